//! Everything that a run of the benchmark found, as it goes into `results.json`.

use serde::Serialize;

use super::{
    run::Measured,
    shape::{Mode, Shape},
    targets,
};
use crate::bench::{process, target::Target};

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Less was done than a figure to quote needs.
    pub(super) quick: bool,
    /// Of the machine.
    pub(super) cores: usize,
    /// Load average of a minute when it began; the benchmark itself makes about two.
    pub(super) load_before: String,
    /// Servers side by side.
    pub(super) rows: Vec<Row>,
    /// portal-aaa by stored credentials.
    pub(super) scale: Vec<Size>,
    /// Memory of half-open conversations.
    pub(super) half_open: Vec<HalfOpen>,
    /// What has to be reached.
    pub(super) targets: Vec<Target>,
}

/// Servers side by side.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    /// Unique.
    pub(super) name: String,
    /// What is measured.
    pub(super) mode: Mode,
    /// TLS version, where there is TLS.
    pub(super) tls: Option<&'static str>,
    /// Kind of the server's certificate, where there is TLS.
    pub(super) certificate: Option<&'static str>,
    /// In the order of measurement.
    pub(super) servers: Vec<Measured>,
}

/// portal-aaa with so many credentials stored.
#[derive(Debug, Serialize)]
pub(super) struct Size {
    /// Credentials.
    pub(super) stored: usize,
    /// Server CPU per login by PAP, median.
    pub(super) pap_us: Option<f64>,
    /// The same by PEAP.
    pub(super) peap_us: Option<f64>,
    /// Resident after that.
    pub(super) rss_mib: f64,
    /// Why something is missing.
    pub(super) not_measured: Option<String>,
}

/// Conversations that were begun and left.
#[derive(Debug, Serialize)]
pub(super) struct HalfOpen {
    /// Where they were left.
    pub(super) left: &'static str,
    /// How many.
    pub(super) conversations: usize,
    /// Resident memory of each.
    pub(super) kib_each: f64,
}

impl Report {
    /// An empty one.
    pub(super) fn new(quick: bool) -> Self {
        Self {
            quick,
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            load_before: process::load(),
            rows: Vec::new(),
            scale: Vec::new(),
            half_open: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// Compares with what has to be reached.
    pub(super) fn finish(&mut self) {
        self.targets = targets::judge(self);
    }

    /// Our own server was fit to be measured everywhere.
    pub(super) fn is_correct(&self) -> bool {
        let ours =
            |row: &Row| row.server("portal-aaa").is_some_and(|measured| measured.not_measured.is_none());
        self.rows.iter().all(ours) && self.scale.iter().all(|size| size.not_measured.is_none())
    }

    /// The row of this name.
    pub(super) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }
}

impl Row {
    /// A measured one.
    pub(super) fn new(name: &str, shape: Shape, servers: Vec<Measured>) -> Self {
        let eap = shape.mode.method().is_some();
        Self {
            name: name.to_owned(),
            mode: shape.mode,
            tls: eap.then(|| shape.tls.name()),
            certificate: eap.then(|| shape.certificate.name()),
            servers,
        }
    }

    /// What was measured of this server.
    pub(super) fn server(&self, name: &str) -> Option<&Measured> {
        self.servers.iter().find(|measured| measured.server == name)
    }

    /// Our CPU per login as a part of another server's.
    pub(super) fn ratio(&self, other: &str) -> Option<f64> {
        Some(self.server("portal-aaa")?.cpu()? / self.server(other)?.cpu()?)
    }
}
