//! Debian's `eapol_test`: wpa_supplicant's EAP peer behind a RADIUS client, one process a login.
//!
//! It checks the server's certificate and name, PEAP's crypto-binding, the authenticator of MSCHAPv2, and that the
//! keys of the Access-Accept are its own. Run with its debugging output, which is where its evidence stands.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use super::{ANONYMOUS, SECRET, SERVER_NAME, User, write};

/// Outer and inner method.
pub(crate) use eap::LoginMethod as Method;

/// PEAP, not TTLS.
pub(crate) fn is_peap(method: Method) -> bool {
    matches!(method, Method::PeapMschapv2 | Method::PeapGtc)
}

/// As wpa_supplicant configures the inner one.
fn phase2(method: Method) -> &'static str {
    match method {
        Method::PeapMschapv2 | Method::TtlsMschapv2 => "auth=MSCHAPV2",
        Method::PeapGtc => "auth=GTC",
        Method::TtlsPap => "auth=PAP",
        Method::TtlsChap => "auth=CHAP",
        Method::TtlsMschap => "auth=MSCHAP",
        Method::TtlsEapMschapv2 => "autheap=MSCHAPV2",
        Method::TtlsEapGtc => "autheap=GTC",
    }
}

/// Version of TLS that the peer allows, alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tls {
    /// 1.2.
    V12,
    /// 1.3.
    V13,
}

impl Tls {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::V12, Self::V13];

    /// For tables and case names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V12 => "1.2",
            Self::V13 => "1.3",
        }
    }

    fn phase1(self) -> &'static str {
        match self {
            Self::V12 => {
                "tls_disable_tlsv1_0=1 tls_disable_tlsv1_1=1 tls_disable_tlsv1_2=0 tls_disable_tlsv1_3=1"
            }
            Self::V13 => {
                "tls_disable_tlsv1_0=1 tls_disable_tlsv1_1=1 tls_disable_tlsv1_2=1 tls_disable_tlsv1_3=0"
            }
        }
    }
}

/// One run of the peer.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// Where.
    pub(crate) server: SocketAddr,
    /// RADIUS secret.
    pub(crate) secret: String,
    /// Authority that it trusts.
    pub(crate) ca: PathBuf,
    /// Name that the server must have.
    pub(crate) server_name: String,
    /// Identity outside the tunnel.
    pub(crate) anonymous: String,
    /// Who logs in.
    pub(crate) user: User,
    /// How.
    pub(crate) method: Method,
    /// On what.
    pub(crate) tls: Tls,
    /// PEAP: a server without crypto-binding is refused.
    pub(crate) binding: bool,
    /// Most octets of TLS in a packet of the peer.
    pub(crate) fragment: Option<u16>,
    /// What it tells of the link, for the server's packets.
    pub(crate) framed_mtu: Option<u16>,
    /// Logins after the first, which resume its session where they can.
    pub(crate) again: u32,
    /// Seconds that it waits.
    pub(crate) patience: u32,
}

impl Attempt {
    /// A plain one.
    pub(crate) fn new(server: SocketAddr, ca: &Path, user: &User, method: Method, tls: Tls) -> Self {
        Self {
            server,
            secret: SECRET.to_owned(),
            ca: ca.to_owned(),
            server_name: SERVER_NAME.to_owned(),
            anonymous: ANONYMOUS.to_owned(),
            user: user.clone(),
            method,
            tls,
            binding: false,
            fragment: None,
            framed_mtu: None,
            again: 0,
            patience: 10,
        }
    }

    /// Runs it. `file` is for its configuration, and unique.
    pub(crate) fn run(&self, file: &Path) -> Result<Outcome> {
        write(file, &self.configuration()?)?;
        let mut command = Command::new("eapol_test");
        command.args(["-t", &self.patience.to_string(), "-r", &self.again.to_string()]);
        command.args(["-a", &self.server.ip().to_string(), "-p", &self.server.port().to_string()]);
        command.args(["-s", &self.secret, "-M", &self.user.station.replace('-', ":")]);
        if let Some(mtu) = self.framed_mtu {
            // An attribute given here takes the place of eapol_test's own (1400).
            command.args(["-N", &format!("12:d:{mtu}")]);
        }
        let output = command.arg("-c").arg(file).stdin(Stdio::null()).output().context("start eapol_test")?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(Outcome { accepted: output.status.success(), text })
    }

    fn configuration(&self) -> Result<String> {
        let mut phase1 = self.tls.phase1().to_owned();
        if is_peap(self.method) {
            phase1.push_str(if self.binding { " crypto_binding=2" } else { " crypto_binding=0" });
        }
        let mut text = format!(
            "fast_reauth=1\nnetwork={{\n key_mgmt=IEEE8021X\n eap={}\n",
            if is_peap(self.method) { "PEAP" } else { "TTLS" }
        );
        for (key, value) in [
            ("anonymous_identity", self.anonymous.as_str()),
            ("password", &self.user.password),
            ("ca_cert", &self.ca.display().to_string()),
            ("domain_match", &self.server_name),
            ("phase1", &phase1),
            ("phase2", phase2(self.method)),
        ] {
            writeln!(text, " {key}=\"{value}\"")?;
        }
        // Hexadecimal: any octets.
        text.push_str(" identity=");
        for octet in self.user.name.bytes() {
            write!(text, "{octet:02x}")?;
        }
        if let Some(size) = self.fragment {
            write!(text, "\n fragment_size={size}")?;
        }
        Ok(text + "\n}\n")
    }
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// All logins of the run succeeded.
    pub(crate) accepted: bool,
    /// All that it printed.
    pub(crate) text: String,
}

impl Outcome {
    /// Keys of this many logins were the peer's own, and none was another.
    pub(crate) fn keys_match(&self, logins: u32) -> bool {
        self.text.contains(&format!("MPPE keys OK: {logins}  mismatch: 0"))
    }

    /// An Access-Reject came.
    pub(crate) fn rejected(&self) -> bool {
        self.text.contains("(Access-Reject)")
    }

    /// Handshakes of this version.
    pub(crate) fn on(&self, tls: Tls) -> bool {
        self.text.contains(&format!("Using TLS version TLSv{}", tls.name()))
    }

    /// Logins that resumed a session, as the peer's TLS library says.
    pub(crate) fn resumed(&self) -> usize {
        self.text.matches("Handshake finished - resumed=1").count()
    }

    /// The lines that matter to a reader, and the end.
    pub(crate) fn evidence(&self) -> String {
        const WORDS: [&str; 8] = [
            "EAP-FAILURE",
            "OpenSSL:",
            "SSL: ",
            "TLS-CERT-ERROR",
            "mismatch",
            "resumed=",
            "Reject",
            "EAP-PEAP: ",
        ];
        let telling = |line: &&str| !line.contains("hexdump") && WORDS.iter().any(|word| line.contains(word));
        let lines: Vec<&str> = self.text.lines().filter(telling).collect();
        let from = lines.len().saturating_sub(15);
        let end: Vec<&str> = self.text.lines().rev().take(3).collect();
        let told = lines.get(from..).unwrap_or_default().join("\n");
        format!("{told}\n{}", end.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }
}
