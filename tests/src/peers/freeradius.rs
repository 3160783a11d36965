//! FreeRADIUS from Debian with a configuration of its own: an authentication server tuned for speed, or a proxy.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, Result};
use rusqlite::Connection;

use super::{START_LIMIT, User, certificate::Certificate, free_udp_port, local, private_folder, write};
use crate::world::{daemon::Daemon, netns::Netns};

/// FreeRADIUS resumes only by files (`persist_dir`); here they cost no disk.
const SHARED_MEMORY: &str = "/dev/shm";

/// A running one.
pub(crate) struct FreeRadius {
    port: u16,
    daemon: Daemon,
    cache: Option<PathBuf>,
}

/// Where its users are.
pub(crate) enum Backend<'a> {
    /// In a file, which is held in memory.
    File(&'a [User]),
    /// In an SQLite database ([`database`]).
    Sqlite(&'a Path),
}

/// How an authentication server is to be.
pub(crate) struct Options<'a> {
    /// What stations see.
    pub(crate) certificate: &'a Certificate,
    /// Who may log in.
    pub(crate) backend: Backend<'a>,
    /// TLS 1.3 for who offers it.
    pub(crate) tls13: bool,
    /// Proposed first: PEAP, or TTLS.
    pub(crate) ttls: bool,
    /// Shared with its client, this machine.
    pub(crate) secret: &'a str,
    /// Session cache. It costs something with each full login, so only where sessions are resumed.
    pub(crate) cache: bool,
}

impl FreeRadius {
    /// Starts an authentication server in `dir`.
    pub(crate) fn start(name: &str, dir: &Path, logs: &Path, options: &Options<'_>) -> Result<Self> {
        private_folder(dir)?;
        let port = free_udp_port()?;
        let cache = options.cache.then(|| cache_folder(name, dir)).transpose()?;
        if let Backend::File(users) = options.backend {
            let mut text = String::new();
            for user in users {
                writeln!(text, "\"{}\" Cleartext-Password := \"{}\"", user.name, user.password)?;
            }
            write(&dir.join("users"), &text)?;
        }
        let settings = settings(dir, port, options, cache.as_deref());
        Ok(Self { port, daemon: run(name, dir, logs, &settings)?, cache })
    }

    /// Starts one with this configuration, which listens on `port`.
    pub(crate) fn with(name: &str, dir: &Path, logs: &Path, port: u16, settings: &str) -> Result<Self> {
        Ok(Self { port, daemon: run(name, dir, logs, settings)?, cache: None })
    }

    /// Where Access-Requests go.
    pub(crate) fn radius(&self) -> SocketAddr {
        local(self.port)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Result<u32> {
        self.daemon.pid().context("FreeRADIUS is not running")
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.daemon.stop()
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        let _ = self.daemon.stop();
        if let Some(cache) = &self.cache {
            let _ = fs::remove_dir_all(cache);
        }
    }
}

/// A database of its default schema with these users.
pub(crate) fn database(path: &Path, users: &[User]) -> Result<()> {
    let mut db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.execute_batch(
        "CREATE TABLE radcheck (id INTEGER PRIMARY KEY AUTOINCREMENT, username varchar(64) NOT NULL DEFAULT '',
         attribute varchar(64) NOT NULL DEFAULT '', op char(2) NOT NULL DEFAULT '==',
         value varchar(253) NOT NULL DEFAULT '');
         CREATE INDEX check_username ON radcheck(username);",
    )?;
    let all = db.transaction()?;
    {
        let mut insert = all.prepare(
            "INSERT INTO radcheck (username, attribute, op, value) VALUES (?1, 'Cleartext-Password', ':=', ?2)",
        )?;
        for user in users {
            insert.execute([&user.name, &user.password])?;
        }
    }
    all.commit()?;
    db.execute_batch("ANALYZE")?;
    Ok(())
}

/// What every configuration begins with: folders, and threads as many as cores.
pub(crate) fn head(dir: &Path, secret: &str) -> String {
    let threads = threads();
    format!(
        "prefix = /usr\nlocalstatedir = {dir}\nlogdir = {dir}\nraddbdir = {dir}\nname = radiusd\nconfdir = {dir}\n\
         run_dir = {dir}\nlibdir = /usr/lib/freeradius\npidfile = {dir}/pid\nmax_request_time = 30\n\
         cleanup_delay = 5\nmax_requests = 65536\nhostname_lookups = no\n\
         log {{\n destination = files\n file = {dir}/radius.log\n auth = no\n}}\n\
         security {{\n allow_core_dumps = no\n max_attributes = 200\n reject_delay = 0\n status_server = yes\n}}\n\
         thread pool {{\n start_servers = {threads}\n max_servers = {threads}\n min_spare_servers = 1\n \
         max_spare_servers = {threads}\n max_queue_size = 65536\n max_requests_per_server = 0\n \
         auto_limit_acct = no\n}}\n\
         client loopback {{\n ipaddr = 127.0.0.1\n secret = {secret}\n require_message_authenticator = no\n \
         nas_type = other\n}}\n",
        dir = dir.display(),
    )
}

fn threads() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}

fn run(name: &str, dir: &Path, logs: &Path, settings: &str) -> Result<Daemon> {
    write(&dir.join("radiusd.conf"), settings)?;
    let place = dir.display().to_string();
    let words = ["freeradius", "-f", "-l", "stdout", "-d", &place, "-n", "radiusd"];
    let mut daemon = Daemon::new(name, &Netns::here(), logs, &words);
    daemon.start()?;
    daemon.ready("Ready to process requests", START_LIMIT)?;
    Ok(daemon)
}

fn cache_folder(name: &str, dir: &Path) -> Result<PathBuf> {
    let memory = Path::new(SHARED_MEMORY);
    let own = format!("lab-{name}-{}", std::process::id());
    let folder = if memory.is_dir() { memory.join(own) } else { dir.join("sessions") };
    private_folder(&folder)?;
    Ok(folder)
}

fn settings(dir: &Path, port: u16, options: &Options<'_>, cache: Option<&Path>) -> String {
    let place = dir.display();
    let (lookup, module) = match options.backend {
        Backend::File(_) => {
            ("files", format!("files {{\n usersfile = {place}/users\n key = \"%{{User-Name}}\"\n}}\n"))
        }
        Backend::Sqlite(path) => ("sql", sql(path)),
    };
    let first = if options.ttls { "ttls" } else { "peap" };
    let newest = if options.tls13 { "1.3" } else { "1.2" };
    let cache = cache.map_or_else(
        || "cache {\n enable = no\n}".to_owned(),
        |folder| {
            format!(
                "cache {{\n enable = yes\n lifetime = 24\n name = \"lab\"\n persist_dir = \"{}\"\n \
                 store {{\n  Tunnel-Private-Group-Id\n }}\n}}",
                folder.display()
            )
        },
    );
    let tunnel = "tls = tls-common\n copy_request_to_tunnel = no\n use_tunneled_reply = no\n \
                  virtual_server = \"inner\"\n default_eap_type = mschapv2\n";
    format!(
        "{head}proxy_requests = no\n\
         modules {{\n{module}pap {{\n normalise = no\n}}\nmschap {{\n use_mppe = no\n}}\n\
         eap {{\n default_eap_type = {first}\n timer_expire = 60\n ignore_unknown_eap_types = no\n \
         max_sessions = 65536\n\
         tls-config tls-common {{\n private_key_file = {key}\n certificate_file = {leaf}\n ca_file = {ca}\n \
         auto_chain = no\n fragment_size = 1400\n include_length = no\n check_crl = no\n \
         cipher_list = \"DEFAULT\"\n cipher_server_preference = no\n tls_min_version = \"1.2\"\n \
         tls_max_version = \"{newest}\"\n ecdh_curve = \"\"\n{cache}\n}}\n\
         peap {{\n {tunnel}}}\nttls {{\n {tunnel}}}\nmschapv2 {{\n}}\n}}\n}}\n\
         server default {{\n listen {{\n type = auth\n ipaddr = 127.0.0.1\n port = {port}\n }}\n \
         authorize {{\n eap {{\n ok = return\n }}\n {lookup}\n pap\n }}\n \
         authenticate {{\n Auth-Type PAP {{\n pap\n }}\n eap\n }}\n}}\n\
         server inner {{\n authorize {{\n eap {{\n ok = return\n }}\n {lookup}\n pap\n }}\n \
         authenticate {{\n Auth-Type PAP {{\n pap\n }}\n Auth-Type MS-CHAP {{\n mschap\n }}\n eap\n }}\n}}\n",
        head = head(dir, options.secret),
        key = options.certificate.key.display(),
        leaf = options.certificate.leaf.display(),
        ca = options.certificate.ca.display(),
    )
}

fn sql(path: &Path) -> String {
    let threads = threads();
    format!(
        "sql {{\n driver = \"rlm_sql_sqlite\"\n dialect = \"sqlite\"\n sqlite {{\n filename = \"{}\"\n \
         busy_timeout = 200\n }}\n radius_db = \"radius\"\n authcheck_table = \"radcheck\"\n read_groups = no\n \
         read_profiles = no\n read_clients = no\n delete_stale_sessions = no\n sql_user_name = \"%{{User-Name}}\"\n \
         authorize_check_query = \"SELECT id, username, attribute, value, op FROM radcheck WHERE username = \
         '%{{SQL-User-Name}}'\"\n pool {{\n start = {threads}\n min = {threads}\n max = {threads}\n spare = {threads}\n \
         uses = 0\n lifetime = 0\n idle_timeout = 0\n }}\n}}\n",
        path.display()
    )
}
