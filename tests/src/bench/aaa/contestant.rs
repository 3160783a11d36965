//! The servers that are measured, started for one row and ended after it.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{
    generator::{Generator, STATIONS, Tally},
    run::Run,
    shape::Shape,
    trust::Trust,
};
use crate::{
    bench::stock::Stock,
    clock,
    peers::{
        SECRET, SERVER_NAME, User,
        certificate::{Certificate, Kind},
        eapol::Tls,
        freeradius::{self, Backend, FreeRadius},
        hostapd::{self, Hostapd},
        portal::PortalAaa,
        private_folder,
    },
};

/// hostapd rejects who comes while it holds a thousand sessions, and it holds each for ten seconds.
const HOSTAPD_LOGINS: u64 = 800;
const HOSTAPD_REST: Duration = Duration::from_secs(12);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kin {
    /// portal-aaa.
    Ours,
    /// FreeRADIUS, users in a file.
    FreeRadius,
    /// The same with its session cache on, which every full login pays for.
    FreeRadiusCache,
    /// FreeRADIUS, users in SQLite.
    FreeRadiusSql,
    /// hostapd.
    Hostapd,
}

impl Kin {
    /// Whether any number of users can log in: a file of users is for a few.
    pub(super) fn knows_many(self) -> bool {
        matches!(self, Self::Ours | Self::FreeRadiusSql)
    }

    /// For tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "portal-aaa",
            Self::FreeRadius => "FreeRADIUS",
            Self::FreeRadiusCache => "FreeRADIUS with cache",
            Self::FreeRadiusSql => "FreeRADIUS SQLite",
            Self::Hostapd => "hostapd",
        }
    }
}

enum Program {
    Ours(PortalAaa),
    FreeRadius(FreeRadius),
    Hostapd(Hostapd),
}

/// A running server.
pub(super) struct Contestant {
    /// Which.
    pub(super) kin: Kin,
    /// Who logs in.
    pub(super) users: Vec<User>,
    program: Program,
    rested: Option<Instant>,
}

impl Contestant {
    /// Starts one. All of a row show the same certificate and see the same users log in: a few of `stock`, or where `many`
    /// is said, all of it.
    pub(super) fn start(
        kin: Kin,
        shape: Shape,
        stock: &Stock,
        many: bool,
        certificate: &Certificate,
        work: &Path,
        logs: &Path,
    ) -> Result<Self> {
        let name = kin.name().replace(' ', "-").to_lowercase();
        let dir = work.join(&name);
        private_folder(&dir)?;
        let tls13 = shape.tls == Tls::V13;
        let users: Vec<User> =
            stock.users.iter().take(if many { usize::MAX } else { STATIONS }).cloned().collect();
        let ttls = shape.mode.is_ttls();
        let program = match kin {
            Kin::Ours => {
                let ours = stock.install(&name, &dir.join("installation"), logs)?;
                ours.use_certificate(certificate)?;
                if ttls {
                    ours.propose_ttls()?;
                }
                let mut ours = ours.quiet();
                ours.serve()?;
                Program::Ours(ours)
            }
            Kin::FreeRadius | Kin::FreeRadiusCache | Kin::FreeRadiusSql => {
                let database = work.join("radius.db");
                let backend = if kin != Kin::FreeRadiusSql {
                    Backend::File(&users)
                } else {
                    if !database.exists() {
                        freeradius::database(&database, &stock.users)?;
                    }
                    Backend::Sqlite(&database)
                };
                let cache = shape.mode.resumes() || kin == Kin::FreeRadiusCache;
                let options =
                    freeradius::Options { certificate, backend, tls13, ttls, secret: SECRET, cache };
                Program::FreeRadius(FreeRadius::start(&name, &dir.join("server"), logs, &options)?)
            }
            Kin::Hostapd => {
                let options = hostapd::Options { certificate, users: &users, tls13, ttls };
                Program::Hostapd(Hostapd::start(&name, &dir.join("server"), logs, &options)?)
            }
        };
        Ok(Self { kin, users, program, rested: None })
    }

    /// Where Access-Requests go.
    pub(super) fn address(&self) -> SocketAddr {
        match &self.program {
            Program::Ours(ours) => ours.radius(),
            Program::FreeRadius(free) => free.radius(),
            Program::Hostapd(hostapd) => hostapd.radius(),
        }
    }

    /// Its process.
    pub(super) fn pid(&self) -> Result<u32> {
        match &self.program {
            Program::Ours(ours) => ours.pid(),
            Program::FreeRadius(free) => free.pid(),
            Program::Hostapd(hostapd) => hostapd.pid(),
        }
    }

    /// A generator for it.
    pub(super) fn generator<'a>(
        &self,
        shape: Shape,
        users: &'a [User],
        trust: &'a Trust,
    ) -> Result<Generator<'a>> {
        Generator::new(self.address(), self.kin == Kin::Ours, shape, users, trust, STATIONS)
    }

    /// One measured run of at most `logins`, after logins that are not counted.
    pub(super) fn measure(&mut self, shape: Shape, trust: &Trust, logins: u64) -> Result<Run> {
        self.rest();
        let logins = if self.kin == Kin::Hostapd { logins.min(HOSTAPD_LOGINS) } else { logins };
        let pid = self.pid()?;
        let users = self.users.clone();
        let mut generator = self.generator(shape, &users, trust)?;
        let run = Run::measure(pid, &mut generator, logins)?;
        let Tally { accepted, resumed, .. } = run.tally;
        let expected = if shape.mode.resumes() { accepted } else { 0 };
        ensure!(resumed == expected, "{resumed} of {accepted} logins resumed, expected {expected}");
        self.used();
        Ok(run)
    }

    /// Waits until it takes logins again.
    pub(super) fn rest(&mut self) {
        if let Some(rested) = self.rested.take() {
            clock::pause(rested.saturating_duration_since(clock::now()));
        }
    }

    /// Logins were made.
    pub(super) fn used(&mut self) {
        if self.kin == Kin::Hostapd {
            self.rested = Some(clock::now() + HOSTAPD_REST);
        }
    }
}

/// A certificate for all contestants of a run.
pub(super) fn certificate(work: &Path, kind: Kind) -> Result<Certificate> {
    let folder = work.join(kind.name());
    private_folder(&folder)?;
    Certificate::make(&folder, kind, SERVER_NAME)
}
