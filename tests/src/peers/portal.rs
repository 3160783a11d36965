//! portal-aaa as an operator runs it: the program itself, by its commands, in a folder of its own.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::{
    REALM, SECRET, START_LIMIT, User, certificate::Certificate, free_tcp_port, free_udp_port, local,
};
use crate::{
    clock, workshop,
    world::{daemon::Daemon, netns::Netns},
};

/// One installation, and `serve` on it while it runs.
pub(crate) struct PortalAaa {
    program: PathBuf,
    dir: PathBuf,
    radius: u16,
    accounting: u16,
    portal: u16,
    daemon: Daemon,
}

/// What `credential issue --json` prints, as far as it is needed here.
#[derive(Deserialize)]
struct Issued {
    username: String,
    password: String,
}

impl PortalAaa {
    /// `init` in `dir`, on free loopback ports, and one RADIUS client: this machine. The log is JSON, in `logs`.
    pub(crate) fn init(name: &str, dir: &Path, logs: &Path) -> Result<Self> {
        Self::of(workshop::program("portal-aaa"), name, dir, logs, None)
    }

    /// The same; devices know the portal by this name, and its certificate carries it.
    pub(crate) fn named(name: &str, dir: &Path, logs: &Path, portal: &str) -> Result<Self> {
        Self::of(workshop::program("portal-aaa"), name, dir, logs, Some(portal))
    }

    /// The same of the program as it is shipped.
    pub(crate) fn shipped(name: &str, dir: &Path, logs: &Path) -> Result<Self> {
        Self::of(workshop::shipped("portal-aaa"), name, dir, logs, None)
    }

    /// A second `serve` on the same database, keys and certificates, on ports of its own. It has the settings that this
    /// one has now.
    pub(crate) fn beside(&self, name: &str, logs: &Path) -> Result<Self> {
        let ports = [free_udp_port()?, free_udp_port()?, free_tcp_port()?];
        let dir = self.path("second");
        super::private_folder(&dir)?;
        let mut text = fs::read_to_string(self.path("portal-aaa.toml"))?;
        for (from, to) in [self.radius, self.accounting, self.portal].into_iter().zip(ports) {
            text = text.replace(&format!("\"127.0.0.1:{from}\""), &format!("\"127.0.0.1:{to}\""));
        }
        let text = text.replace("\ndata_dir = \".\"\n", "\ndata_dir = \"..\"\n");
        super::write(&dir.join("portal-aaa.toml"), &text)?;
        Ok(Self::existing(self.program.clone(), name, &dir, logs, ports))
    }

    fn of(program: PathBuf, name: &str, dir: &Path, logs: &Path, portal_name: Option<&str>) -> Result<Self> {
        let (radius, accounting, portal) = (free_udp_port()?, free_udp_port()?, free_tcp_port()?);
        let mut init = Command::new(&program);
        init.args(["init", "--realm", REALM, "--listen", "127.0.0.1"]).arg("--dir").arg(dir);
        for (option, port) in
            [("--radius-port", radius), ("--accounting-port", accounting), ("--portal-port", portal)]
        {
            init.args([option, &port.to_string()]);
        }
        init.args(portal_name.map(|name| ["--portal-name", name]).into_iter().flatten());
        workshop::run(&mut init)?;
        let made = Self::existing(program, name, dir, logs, [radius, accounting, portal]);
        made.add_client()?;
        Ok(made)
    }

    /// This machine may ask for logins.
    pub(crate) fn add_client(&self) -> Result<()> {
        self.admin(&["nas", "add", "loopback", "--network", "127.0.0.1/32", "--secret", SECRET]).map(drop)
    }

    fn existing(
        program: PathBuf,
        name: &str,
        dir: &Path,
        logs: &Path,
        [radius, accounting, portal]: [u16; 3],
    ) -> Self {
        let config = dir.join("portal-aaa.toml").display().to_string();
        let words = [&*program.to_string_lossy(), "serve", "--config", &config, "--log-format", "json"];
        let daemon = Daemon::new(name, &Netns::here(), logs, &words);
        Self { program, dir: dir.to_owned(), radius, accounting, portal, daemon }
    }

    /// Says nothing at all, as a server under measurement.
    pub(crate) fn quiet(mut self) -> Self {
        self.daemon = self.daemon.env("RUST_LOG", "off");
        self
    }

    /// A file of the installation.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where Access-Requests go.
    pub(crate) fn radius(&self) -> SocketAddr {
        local(self.radius)
    }

    /// Where Accounting-Requests go.
    pub(crate) fn accounting(&self) -> SocketAddr {
        local(self.accounting)
    }

    /// Where devices ask for credentials.
    pub(crate) fn portal(&self) -> SocketAddr {
        local(self.portal)
    }

    /// Its log.
    pub(crate) fn log(&self) -> &Path {
        self.daemon.log()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Result<u32> {
        self.daemon.pid().context("portal-aaa is not running")
    }

    /// The certificate that stations see.
    pub(crate) fn certificate(&self) -> Certificate {
        let path = |file: &str| self.path("tls").join(file);
        Certificate { ca: path("ca.pem"), leaf: path("aaa.pem"), key: path("aaa.key") }
    }

    /// The certificate that devices see at the portal.
    pub(crate) fn portal_certificate(&self) -> Certificate {
        let path = |file: &str| self.path("tls").join(file);
        // Another authority than that of the stations, where there is one.
        let own = path("portal-ca.pem");
        let ca = if own.exists() { own } else { path("ca.pem") };
        Certificate { ca, leaf: path("portal.pem"), key: path("portal.key") }
    }

    /// Takes another certificate for the portal. Before `serve`.
    pub(crate) fn use_portal_certificate(&self, other: &Certificate) -> Result<()> {
        let path = |file: &str| self.path("tls").join(file);
        let own = [path("portal-ca.pem"), path("portal.pem"), path("portal.key")];
        for (from, to) in [&other.ca, &other.leaf, &other.key].into_iter().zip(&own) {
            fs::copy(from, to).with_context(|| to.display().to_string())?;
        }
        Ok(())
    }

    /// Takes another certificate for the stations; the authority of the credentials follows. Before `serve`.
    pub(crate) fn use_certificate(&self, other: &Certificate) -> Result<()> {
        let own = self.certificate();
        for (from, to) in [(&other.ca, &own.ca), (&other.leaf, &own.leaf), (&other.key, &own.key)] {
            fs::copy(from, to).with_context(|| to.display().to_string())?;
        }
        Ok(())
    }

    /// Adds text to the end of the configuration. Before `serve`.
    pub(crate) fn configure(&self, text: &str) -> Result<()> {
        let path = self.path("portal-aaa.toml");
        let before = fs::read_to_string(&path)?;
        super::write(&path, &format!("{before}\n{text}"))
    }

    /// Another line in the configuration in place of this one, which must be there once. Before `serve`.
    pub(crate) fn edit(&self, from: &str, to: &str) -> Result<()> {
        let path = self.path("portal-aaa.toml");
        let text = fs::read_to_string(&path)?;
        let line = format!("\n{from}\n");
        ensure!(text.matches(&line).count() == 1, "portal-aaa init writes no line {from}");
        super::write(&path, &text.replace(&line, &format!("\n{to}\n")))
    }

    /// Proposes TTLS to stations first. Before `serve`.
    pub(crate) fn propose_ttls(&self) -> Result<()> {
        self.edit("outer = \"peap\"", "outer = \"ttls\"")?;
        self.edit("inner = \"mschapv2\"", "inner = \"pap\"")
    }

    /// One command on this installation.
    pub(crate) fn admin(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        workshop::run(command.args(words).arg("--config").arg(self.path("portal-aaa.toml")))
    }

    /// A credential for a station; `lifetime` as the command takes it.
    pub(crate) fn issue(&self, station: &str, lifetime: &str) -> Result<User> {
        let words = ["credential", "issue", "--imsi", "001010123456789", "--mac", station];
        let text = self.admin(&[&words[..], &["--lifetime", lifetime, "--json"]].concat())?;
        let issued: Issued = serde_json::from_str(&text).context("credential issue --json")?;
        Ok(User { name: issued.username, password: issued.password, station: station.to_owned() })
    }

    /// Starts it and waits until it serves: the portal's port opens last.
    pub(crate) fn serve(&mut self) -> Result<()> {
        self.daemon.start()?;
        let portal = local(self.portal);
        clock::until("portal-aaa listens", START_LIMIT, || {
            self.daemon.must_run()?;
            Ok(TcpStream::connect_timeout(&portal, Duration::from_secs(1)).ok().map(drop))
        })
    }

    /// SIGKILL: it gets no chance to finish anything.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.daemon.must_run()?;
        self.daemon.kill()
    }

    /// Ends it. It must have been alive until then.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.daemon.must_run()?;
        self.daemon.stop()
    }

    /// Its log so far, lines of JSON.
    pub(crate) fn log_lines(&self) -> Result<Vec<String>> {
        let text = fs::read(self.log()).with_context(|| self.log().display().to_string())?;
        let text = String::from_utf8_lossy(&text).into_owned();
        ensure!(!text.contains("panicked"), "portal-aaa panicked: {}", self.log().display());
        Ok(text.lines().map(str::to_owned).collect())
    }
}
