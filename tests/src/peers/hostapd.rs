//! hostapd as a RADIUS server: EAP only, one thread, and no more than a thousand sessions at a time, finished ones
//! included (it keeps each for ten seconds and rejects whoever comes then).

use std::{fmt::Write as _, net::SocketAddr, path::Path};

use anyhow::{Context as _, Result};

use super::{
    SECRET, START_LIMIT, User, certificate::Certificate, free_udp_port, local, private_folder, write,
};
use crate::world::{daemon::Daemon, netns::Netns};

/// A running one.
pub(crate) struct Hostapd {
    port: u16,
    daemon: Daemon,
}

/// How it is to be.
pub(crate) struct Options<'a> {
    /// What stations see. Its authority is not given to hostapd: it would send that too, a longer handshake.
    pub(crate) certificate: &'a Certificate,
    /// Who may log in.
    pub(crate) users: &'a [User],
    /// TLS 1.3 for who offers it.
    pub(crate) tls13: bool,
    /// Proposed first: PEAP, or TTLS.
    pub(crate) ttls: bool,
}

impl Hostapd {
    /// Starts one in `dir`.
    pub(crate) fn start(name: &str, dir: &Path, logs: &Path, options: &Options<'_>) -> Result<Self> {
        private_folder(dir)?;
        let port = free_udp_port()?;
        let path = |file: &str| dir.join(file).display().to_string();
        let order = if options.ttls { "TTLS,PEAP" } else { "PEAP,TTLS" };
        // The first line is for identities outside the tunnel.
        let mut users = format!("* {order}\n");
        for user in options.users {
            writeln!(users, "\"{}\" MSCHAPV2,TTLS-PAP \"{}\" [2]", user.name, user.password)?;
        }
        write(&dir.join("users"), &users)?;
        write(&dir.join("clients"), &format!("127.0.0.1 {SECRET}\n"))?;
        let tls13 = if options.tls13 { "[ENABLE-TLSv1.3]" } else { "" };
        let settings = format!(
            "interface=as\ndriver=none\nlogger_stdout=-1\nlogger_stdout_level=4\nlogger_syslog=0\n\
             eap_server=1\neap_user_file={}\nserver_cert={}\nprivate_key={}\nserver_id={}\n\
             tls_session_lifetime=86400\ntls_flags=[DISABLE-TLSv1.0][DISABLE-TLSv1.1]{tls13}\n\
             fragment_size=1400\nradius_server_clients={}\nradius_server_auth_port={port}\n",
            path("users"),
            options.certificate.leaf.display(),
            options.certificate.key.display(),
            super::SERVER_NAME,
            path("clients"),
        );
        write(&dir.join("hostapd.conf"), &settings)?;
        let mut daemon = Daemon::new(name, &Netns::here(), logs, &["hostapd", &path("hostapd.conf")]);
        daemon.start()?;
        daemon.ready("AP-ENABLED", START_LIMIT)?;
        Ok(Self { port, daemon })
    }

    /// Where Access-Requests go.
    pub(crate) fn radius(&self) -> SocketAddr {
        local(self.port)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Result<u32> {
        self.daemon.pid().context("hostapd is not running")
    }
}
