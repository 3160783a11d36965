//! Other people's proxies in front of portal-aaa: FreeRADIUS by realm over UDP, radsecproxy over TLS.

use anyhow::{Result, ensure};

use super::{Limits, Task, bed::Bed};
use crate::peers::{
    REALM, SECRET, SERVER_NAME, User,
    certificate::{Certificate, Kind},
    eapol::{Attempt, Method, Tls},
    free_tcp_port, free_udp_port,
    freeradius::{self, FreeRadius},
    portal::PortalAaa,
    private_folder,
    radsecproxy::RadsecProxy,
};

/// Name of the proxy in portal-aaa's client table, and in its certificate.
const PROXY: &str = "proxy.visited.example";

/// Its cases.
pub(super) fn tasks() -> Vec<Task> {
    vec![
        Task::new("proxy: FreeRADIUS by realm in front", freeradius),
        Task::new("proxy: radsecproxy over TLS in front", radsecproxy),
        Task::new("proxy: radsecproxy with a certificate of nobody", strange_radsecproxy),
    ]
}

fn freeradius(bed: &Bed) -> Result<Limits> {
    let (dir, port) = (bed.new_folder("proxy")?, free_udp_port()?);
    let server = bed.server(Kind::P256);
    let settings = format!(
        "{head}proxy_requests = yes\n\
         proxy server {{\n default_fallback = no\n}}\n\
         home_server aaa {{\n type = auth\n ipaddr = 127.0.0.1\n port = {home}\n secret = {SECRET}\n \
         status_check = none\n response_window = 5\n zombie_period = 40\n revive_interval = 60\n}}\n\
         home_server_pool aaa {{\n type = fail-over\n home_server = aaa\n}}\n\
         realm {REALM} {{\n auth_pool = aaa\n nostrip\n}}\n\
         modules {{\n realm suffix {{\n format = suffix\n delimiter = \"@\"\n }}\n}}\n\
         server default {{\n listen {{\n type = auth\n ipaddr = 127.0.0.1\n port = {port}\n }}\n \
         authorize {{\n suffix\n }}\n authenticate {{\n }}\n}}\n",
        head = freeradius::head(&dir, SECRET),
        home = server.radius().port(),
    );
    let mut proxy = FreeRadius::with("freeradius-proxy", &dir, bed.logs(), port, &settings)?;
    let user = bed.issue(Kind::P256, "device")?;
    logins(bed, |method, tls| Attempt {
        server: proxy.radius(),
        ..bed.attempt(Kind::P256, &user, method, tls)
    })?;
    proxy.stop()?;
    Ok(Limits::new())
}

/// RADIUS over TLS, mutual certificates, towards portal-aaa.
fn radsecproxy(bed: &Bed) -> Result<Limits> {
    let mut pair = Pair::make(bed, PROXY)?;
    let user = pair.home.issue(&bed.station(), "device")?;
    let (server, ca) = (pair.proxy.radius(), pair.home.certificate().ca);
    logins(bed, |method, tls| Attempt::new(server, &ca, &user, method, tls))?;
    let liar = User { password: "not it".to_owned(), ..user };
    let outcome = bed.run(&Attempt::new(server, &ca, &liar, Method::TtlsPap, Tls::V12))?;
    ensure!(!outcome.accepted && outcome.rejected(), "a wrong password\n{}", outcome.evidence());
    pair.home.stop()?;
    Ok(Limits::new())
}

/// A certificate of the right authority whose name is no access point's: no word of it may be heard.
fn strange_radsecproxy(bed: &Bed) -> Result<Limits> {
    let mut pair = Pair::make(bed, "somebody.elsewhere.example")?;
    let user = pair.home.issue(&bed.station(), "device")?;
    let attempt = Attempt {
        patience: 4,
        ..Attempt::new(pair.proxy.radius(), &pair.home.certificate().ca, &user, Method::TtlsPap, Tls::V12)
    };
    let outcome = bed.run(&attempt)?;
    ensure!(!outcome.accepted && !outcome.rejected(), "an answer to a stranger\n{}", outcome.evidence());
    pair.home.stop()?;
    Ok(Limits::new())
}

/// portal-aaa with RadSec, and radsecproxy that connects to it.
struct Pair {
    proxy: RadsecProxy,
    home: PortalAaa,
}

impl Pair {
    /// `name` stands in the proxy's certificate.
    fn make(bed: &Bed, name: &str) -> Result<Self> {
        let dir = bed.new_folder("radsec")?;
        let folder = |name: &str| -> Result<_> {
            private_folder(&dir.join(name))?;
            Ok(dir.join(name))
        };
        let own = Certificate::make(&folder("home")?, Kind::P256, SERVER_NAME)?;
        let theirs = own.beside(&folder("proxy")?, Kind::P256, name)?;
        let port = free_tcp_port()?;
        let label = format!("radsec-{}", bed.number());
        let mut home = PortalAaa::init(&label, &dir.join("portal"), bed.logs())?;
        home.configure(&format!(
            "[radsec]\nlisten = \"127.0.0.1:{port}\"\ncertificate = \"{}\"\nkey = \"{}\"\nca = \"{}\"\n",
            own.leaf.display(),
            own.key.display(),
            own.ca.display(),
        ))?;
        // Another network than that of the client which is there already; it holds this machine's address, too.
        home.admin(&["nas", "add", PROXY, "--network", "127.0.0.0/8", "--secret", SECRET])?;
        home.serve()?;
        let proxy = RadsecProxy::start(&format!("{label}-proxy"), &dir, bed.logs(), &theirs, port)?;
        Ok(Self { proxy, home })
    }
}

/// PEAP and TTLS on both versions of TLS, first and resumed, all with the peer's own keys.
fn logins(bed: &Bed, attempt: impl Fn(Method, Tls) -> Attempt) -> Result<()> {
    for tls in Tls::ALL {
        for method in [Method::PeapMschapv2, Method::TtlsPap] {
            let attempt =
                Attempt { again: 1, binding: method == Method::PeapMschapv2, ..attempt(method, tls) };
            let outcome = bed.run(&attempt)?;
            let good = outcome.accepted && outcome.keys_match(2) && outcome.resumed() == 1;
            ensure!(good, "{}, TLS {}\n{}", method.name(), tls.name(), outcome.evidence());
        }
    }
    Ok(())
}
