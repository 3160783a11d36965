//! Other people's proxies in front of portal-aaa: FreeRADIUS by realm over UDP.

use anyhow::{Result, ensure};

use super::{Limits, Task, bed::Bed};
use crate::peers::{
    REALM, SECRET,
    certificate::Kind,
    eapol::{Attempt, Method, Tls},
    free_udp_port,
    freeradius::{self, FreeRadius},
};

/// Its cases.
pub(super) fn tasks() -> Vec<Task> {
    vec![Task::new("proxy: FreeRADIUS by realm in front", freeradius)]
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
        head = freeradius::head(&dir),
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
