//! The other way round: portal-aaa takes logins of foreign realms and carries them to FreeRADIUS, their home server.

use anyhow::{Context as _, Result, ensure};

use super::{Limits, Task, bed::Bed};
use crate::peers::{
    ANONYMOUS, User,
    certificate::{Certificate, Kind},
    eapol::{Attempt, Method, Tls},
    free_udp_port,
    freeradius::{self, Backend, FreeRadius},
    portal::PortalAaa,
    private_folder,
};

/// Realm of the guest.
const GUEST_REALM: &str = "partner.example";
/// Between portal-aaa and the home server; another one than the access point's, so that keys are wrapped anew.
const HOME_SECRET: &str = "between-the-two-operators";
/// Name in the home server's certificate.
const HOME_NAME: &str = "aaa.partner.example";
/// Seconds that a login may take while a dead home server is found out.
const PATIENT: u32 = 40;

/// Its cases.
pub(super) fn tasks() -> Vec<Task> {
    vec![
        Task::new("home server: FreeRADIUS, PEAP and TTLS", guests),
        Task::new("home server: the first is dead, the second serves", first_is_dead),
        Task::new("home server: it dies, the next takes over", dies),
        Task::new("home server: unknown realm", unknown),
    ]
}

fn guests(bed: &Bed) -> Result<Limits> {
    let mut roaming = Roaming::make(bed, &[true])?;
    for tls in Tls::ALL {
        for method in [Method::PeapMschapv2, Method::TtlsPap] {
            let outcome = bed.run(&roaming.attempt(method, tls))?;
            let good = outcome.accepted && outcome.keys_match(1);
            ensure!(good, "{}, TLS {}\n{}", method.name(), tls.name(), outcome.evidence());
        }
    }
    let mut liar = roaming.attempt(Method::PeapMschapv2, Tls::V12);
    liar.user.password = "not it".to_owned();
    let outcome = bed.run(&liar)?;
    ensure!(!outcome.accepted && outcome.rejected(), "a wrong password\n{}", outcome.evidence());
    roaming.visited.stop()?;
    Ok(Limits::new())
}

fn first_is_dead(bed: &Bed) -> Result<Limits> {
    let mut roaming = Roaming::make(bed, &[false, true])?;
    roaming.must_log_in(bed)?;
    roaming.visited.stop()?;
    Ok(Limits::new())
}

fn dies(bed: &Bed) -> Result<Limits> {
    let mut roaming = Roaming::make(bed, &[true, true])?;
    roaming.must_log_in(bed)?;
    roaming.homes.first_mut().context("no home server")?.stop()?;
    roaming.must_log_in(bed)?;
    roaming.visited.stop()?;
    Ok(Limits::new())
}

fn unknown(bed: &Bed) -> Result<Limits> {
    let mut roaming = Roaming::make(bed, &[true])?;
    let mut stranger = roaming.attempt(Method::PeapMschapv2, Tls::V12);
    stranger.anonymous = "anonymous@nobody.example".to_owned();
    let outcome = bed.run(&stranger)?;
    ensure!(!outcome.accepted && outcome.rejected(), "{}", outcome.evidence());
    let told = roaming.visited.log_lines()?.iter().any(|line| line.contains("unknown-realm"));
    ensure!(told, "the log does not say unknown-realm");
    // Its own realm is none of the others' business.
    let user = roaming.visited.issue(&bed.station(), "device")?;
    let ca = roaming.visited.certificate().ca;
    let own = Attempt::new(roaming.visited.radius(), &ca, &user, Method::TtlsPap, Tls::V13);
    ensure!(own.anonymous == ANONYMOUS && bed.run(&own)?.accepted, "its own realm");
    roaming.visited.stop()?;
    Ok(Limits::new())
}

/// portal-aaa, and the home servers of the guest's realm in order of preference.
struct Roaming {
    visited: PortalAaa,
    homes: Vec<FreeRadius>,
    certificate: Certificate,
    guest: User,
}

impl Roaming {
    /// `alive` says how many home servers there are, and which of them run.
    fn make(bed: &Bed, alive: &[bool]) -> Result<Self> {
        let dir = bed.new_folder("roaming")?;
        let pki = dir.join("pki");
        private_folder(&pki)?;
        let certificate = Certificate::make(&pki, Kind::P256, HOME_NAME)?;
        let guest = User {
            name: format!("guest@{GUEST_REALM}"),
            password: "a guest of yours".to_owned(),
            station: bed.station(),
        };
        let (label, mut homes, mut tables) = (format!("roaming-{}", bed.number()), Vec::new(), String::new());
        for (number, alive) in alive.iter().enumerate() {
            let port = if *alive {
                let options = freeradius::Options {
                    certificate: &certificate,
                    backend: Backend::File(std::slice::from_ref(&guest)),
                    tls13: true,
                    ttls: false,
                    secret: HOME_SECRET,
                    cache: false,
                };
                let name = format!("{label}-home-{number}");
                let home = FreeRadius::start(&name, &dir.join(&name), bed.logs(), &options)?;
                homes.push(home);
                homes.last().context("no home server")?.radius().port()
            } else {
                free_udp_port()?
            };
            tables.push_str(&format!(
                "[[proxy.home_server]]\nname = \"home-{number}\"\naddress = \"127.0.0.1:{port}\"\n\
                 secret = \"{HOME_SECRET}\"\n\n"
            ));
        }
        let names: Vec<String> = (0..alive.len()).map(|number| format!("\"home-{number}\"")).collect();
        tables.push_str(&format!(
            "[[proxy.realm]]\nrealm = \"{GUEST_REALM}\"\nhome_servers = [{}]\n",
            names.join(", ")
        ));
        let mut visited = PortalAaa::init(&label, &dir.join("portal"), bed.logs())?;
        visited.configure(&tables)?;
        visited.serve()?;
        Ok(Self { visited, homes, certificate, guest })
    }

    fn attempt(&self, method: Method, tls: Tls) -> Attempt {
        Attempt {
            server_name: HOME_NAME.to_owned(),
            anonymous: format!("anonymous@{GUEST_REALM}"),
            patience: PATIENT,
            ..Attempt::new(self.visited.radius(), &self.certificate.ca, &self.guest, method, tls)
        }
    }

    fn must_log_in(&self, bed: &Bed) -> Result<()> {
        let outcome = bed.run(&self.attempt(Method::PeapMschapv2, Tls::V12))?;
        ensure!(outcome.accepted && outcome.keys_match(1), "{}", outcome.evidence());
        Ok(())
    }
}
