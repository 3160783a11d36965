//! Tables `[radsec]` and `[proxy]`: what may stand there, and what is made of it.

use std::{
    collections::HashSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::validate::name as host_name;
use crate::{
    proxy::{Balance, HomeServer, Pattern, Realm, Secret, Settings, Transport},
    server::radsec,
};

/// What RADIUS and its clients bear (RFC 2865 §3 asks for more than none).
const MAX_SECRET: usize = 128;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RadsecFragment {
    listen: Option<SocketAddr>,
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ProxyFragment {
    home_server: Vec<HomeServerFragment>,
    realm: Vec<RealmFragment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HomeServerFragment {
    name: String,
    address: String,
    #[serde(default)]
    accounting_address: Option<SocketAddr>,
    #[serde(default)]
    transport: TransportFragment,
    #[serde(default)]
    server_name: Option<String>,
    #[serde(default)]
    secret: Option<String>,
    #[serde(default)]
    secret_file: Option<PathBuf>,
    #[serde(default = "yes")]
    status_server: bool,
    #[serde(default)]
    message_authenticator: ProofFragment,
}

/// The secret is not for `Debug`.
impl std::fmt::Debug for HomeServerFragment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HomeServer").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TransportFragment {
    #[default]
    Udp,
    Radsec,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ProofFragment {
    #[default]
    Require,
    Off,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RealmFragment {
    realm: String,
    home_servers: Vec<String>,
    #[serde(default)]
    strip_realm: bool,
    #[serde(default)]
    balance: BalanceFragment,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BalanceFragment {
    #[default]
    FailOver,
    RoundRobin,
}

fn yes() -> bool {
    true
}

impl Default for RadsecFragment {
    fn default() -> Self {
        Self {
            listen: None,
            certificate: "tls/aaa.pem".into(),
            key: "tls/aaa.key".into(),
            ca: "tls/ca.pem".into(),
        }
    }
}

/// Paths resolved.
pub(super) fn radsec(fragment: RadsecFragment, data_dir: &Path) -> radsec::Settings {
    radsec::Settings {
        listen: fragment.listen,
        certificate: data_dir.join(fragment.certificate),
        key: data_dir.join(fragment.key),
        ca: data_dir.join(fragment.ca),
    }
}

/// All home servers and realms; `unfit` hears of everything that cannot work. `own` is our own realm.
pub(super) fn settings(
    fragment: ProxyFragment,
    own: &str,
    has_radsec: bool,
    data_dir: &Path,
    unfit: &mut impl FnMut(&str, String),
) -> Settings {
    let mut names = HashSet::new();
    let mut home_servers = Vec::new();
    for (number, server) in fragment.home_server.into_iter().enumerate() {
        let mut wrong =
            |key: &str, message: String| unfit(&format!("proxy.home_server.{number}.{key}"), message);
        let fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if server.name.is_empty() || !server.name.bytes().all(fit) {
            wrong("name", "a name has letters, digits, dots, hyphens and underscores".to_owned());
        } else if !names.insert(server.name.clone()) {
            wrong("name", format!("{} is the name of another home server", server.name));
        }
        let transport = transport(&server, has_radsec, &mut wrong);
        let secret = secret(&server, data_dir, &mut wrong);
        // Kept even where it is wrong, so that the realms' references stay right; the settings are not used then.
        home_servers.push(HomeServer {
            name: server.name,
            transport,
            secret,
            status_server: server.status_server,
            require_message_authenticator: server.message_authenticator == ProofFragment::Require,
        });
    }
    let mut seen = HashSet::new();
    let realms = fragment.realm.into_iter().enumerate().map(|(number, realm)| {
        let mut wrong = |key: &str, message: String| unfit(&format!("proxy.realm.{number}.{key}"), message);
        let pattern = Pattern::parse(&realm.realm).unwrap_or_else(|message| {
            wrong("realm", message.to_owned());
            Pattern::Any
        });
        if pattern == Pattern::Exact(own.to_owned()) {
            wrong("realm", "is our own: its logins are decided here".to_owned());
        }
        if !seen.insert(realm.realm.to_ascii_lowercase()) {
            wrong("realm", "stands here twice".to_owned());
        }
        let find = |name: &String| home_servers.iter().position(|server| server.name == *name);
        let unknown: Vec<_> =
            realm.home_servers.iter().filter(|name| find(name).is_none()).cloned().collect();
        if !unknown.is_empty() {
            wrong("home_servers", format!("there is no [[proxy.home_server]] named {}", unknown.join(", ")));
        }
        Realm {
            pattern,
            home_servers: realm.home_servers.iter().filter_map(find).collect(),
            strip: realm.strip_realm,
            balance: match realm.balance {
                BalanceFragment::FailOver => Balance::FailOver,
                BalanceFragment::RoundRobin => Balance::RoundRobin,
            },
        }
    });
    let realms = realms.collect();
    Settings { home_servers, realms }
}

fn transport(
    server: &HomeServerFragment,
    has_radsec: bool,
    wrong: &mut impl FnMut(&str, String),
) -> Transport {
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    match server.transport {
        TransportFragment::Udp => {
            let address = server.address.parse().ok().filter(|address: &SocketAddr| address.port() != 0);
            let address = address.unwrap_or_else(|| {
                wrong(
                    "address",
                    "must be ADDRESS:PORT, such as 192.0.2.10:1812 or [2001:db8::1]:1812".to_owned(),
                );
                nowhere
            });
            if server.server_name.is_some() {
                wrong("server_name", "belongs to transport = \"radsec\"".to_owned());
            }
            // RFC 2865 §3, RFC 2866 §3: 1812 and 1813.
            let next = SocketAddr::new(address.ip(), address.port().saturating_add(1));
            Transport::Udp { address, accounting_address: server.accounting_address.unwrap_or(next) }
        }
        TransportFragment::Radsec => {
            let (host, port) = server.address.rsplit_once(':').unwrap_or((&server.address, ""));
            let host = host.trim_start_matches('[').trim_end_matches(']');
            if port.parse::<u16>().is_ok_and(|port| port == 0)
                || port.parse::<u16>().is_err()
                || host.is_empty()
            {
                wrong("address", "must be HOST:PORT, such as radsec.partner.example:2083".to_owned());
            }
            if !has_radsec {
                wrong("transport", "radsec needs a [radsec] table with certificate, key and ca".to_owned());
            }
            if server.accounting_address.is_some() {
                wrong(
                    "accounting_address",
                    "is for transport = \"udp\"; RadSec has one port for all".to_owned(),
                );
            }
            let server_name = server.server_name.clone().unwrap_or_else(|| host.to_owned());
            if host_name(&server_name).is_err() && server_name.parse::<std::net::IpAddr>().is_err() {
                wrong("server_name", "must be the DNS name in the home server's certificate".to_owned());
            }
            Transport::RadSec { address: server.address.clone(), server_name }
        }
    }
}

fn secret(server: &HomeServerFragment, data_dir: &Path, wrong: &mut impl FnMut(&str, String)) -> Secret {
    let text = match (&server.secret, &server.secret_file, server.transport) {
        (None, None, TransportFragment::Radsec) => return Secret(Zeroizing::default()),
        (Some(_), _, TransportFragment::Radsec) | (None, Some(_), TransportFragment::Radsec) => {
            let key = if server.secret.is_some() { "secret" } else { "secret_file" };
            wrong(key, "RadSec has certificates instead".to_owned());
            return Secret(Zeroizing::default());
        }
        (Some(secret), None, TransportFragment::Udp) => Zeroizing::new(secret.clone()),
        (None, Some(path), TransportFragment::Udp) => match fs::read_to_string(data_dir.join(path)) {
            Ok(text) => Zeroizing::new(text),
            Err(error) => {
                wrong("secret_file", format!("cannot be read: {error}"));
                return Secret(Zeroizing::default());
            }
        },
        (Some(_), Some(_), TransportFragment::Udp) => {
            wrong("secret", "stands here and in secret_file: leave one out".to_owned());
            return Secret(Zeroizing::default());
        }
        (None, None, TransportFragment::Udp) => {
            wrong("name", format!("{} needs secret or secret_file", server.name));
            return Secret(Zeroizing::default());
        }
    };
    let octets = text.trim_end_matches(['\r', '\n']).as_bytes();
    if !(1..=MAX_SECRET).contains(&octets.len()) {
        let key = if server.secret.is_some() { "secret" } else { "secret_file" };
        wrong(key, format!("a shared secret has 1 to {MAX_SECRET} octets; 16 or more are hard to guess"));
    }
    Secret(Zeroizing::new(octets.to_vec()))
}
