//! What we changed and the kernel cannot mark as ours, on disk before it is done.
//!
//! Routes and rules carry our protocol number. MPTCP endpoints and limits, an interface's state, its MTU and its kernel
//! settings, name servers told to systemd-resolved, and addresses before Linux 5.18 carry nothing: a run that was
//! killed leaves this file, and the next one knows from it what to take away and what was there before. `task` and
//! `keeper` write it; a file that cannot be written costs only this memory, never a link.

use std::{
    collections::BTreeMap,
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::Link;

/// A larger file is none of ours.
const MAX_FILE: u64 = 64 * 1024;
/// Appended to the name of a file that is not complete yet.
const UNFINISHED: &str = ".new";

/// An address on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Kernel's index.
    pub(super) interface: u32,
    /// Ours.
    pub(super) ip: IpAddr,
}

/// An interface as it was before us; only what we changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Before {
    /// Kernel's index.
    pub(super) index: u32,
    /// Such as `wwan0`. An index is given again after a restart of the device, a name with the same index hardly.
    pub(super) name: String,
    /// Up or down.
    pub(super) up: Option<bool>,
    /// Octets.
    pub(super) mtu: Option<u32>,
    /// Under `/proc/sys/net/ipv6/conf/NAME/`.
    pub(super) settings: BTreeMap<String, String>,
}

/// The MPTCP limit of additional subflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Limit {
    /// As it was.
    pub(super) before: u32,
    /// As we set it; another value there is another program's.
    pub(super) set: u32,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// The bearer's interface.
    pub(super) cellular: Option<Before>,
    /// The card.
    pub(super) wlan: Option<Before>,
    /// Addresses that we set.
    pub(super) addresses: Vec<Place>,
    /// MPTCP endpoints that we made.
    pub(super) endpoints: Vec<Place>,
    /// Set while it is not as it was.
    pub(super) subflows: Option<Limit>,
    /// Interfaces whose name servers systemd-resolved has from us.
    pub(super) resolved: Vec<u32>,
}

impl Record {
    /// The link's interface.
    pub(super) fn before_mut(&mut self, link: Link) -> &mut Option<Before> {
        match link {
            Link::Cellular => &mut self.cellular,
            Link::Wlan => &mut self.wlan,
        }
    }
}

/// The record with its file.
#[derive(Debug)]
pub(super) struct Ledger {
    record: Record,
    path: Option<PathBuf>,
    /// A failure is told once.
    failed: bool,
}

impl Ledger {
    /// Reads what a former run left. Without a path it is only in memory.
    pub(super) fn open(path: Option<PathBuf>) -> Self {
        let record = path.as_deref().map(read).unwrap_or_default();
        Self { record, path, failed: false }
    }

    /// What is written.
    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// The link's interface as it was, where we changed it.
    pub(super) fn record_of(&self, link: Link) -> Option<&Before> {
        match link {
            Link::Cellular => self.record.cellular.as_ref(),
            Link::Wlan => self.record.wlan.as_ref(),
        }
    }

    /// Changes the record, on disk before this returns. An empty one needs no file.
    pub(super) fn note(&mut self, change: impl FnOnce(&mut Record)) {
        let mut record = self.record.clone();
        change(&mut record);
        if record == self.record {
            return;
        }
        self.record = record;
        let Some(path) = &self.path else { return };
        match write(path, &self.record) {
            Ok(()) => self.failed = false,
            Err(error) if self.failed => tracing::debug!(%error, "the links' state is not on disk"),
            Err(error) => {
                self.failed = true;
                tracing::warn!(%error, path = %path.display(), "the links' state is not on disk: a crash would leave some of it");
            }
        }
    }
}

fn read(path: &Path) -> Record {
    let octets = match fs::metadata(path) {
        Ok(data) if data.len() <= MAX_FILE => fs::read(path),
        Ok(_) => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Record::default(),
        Err(error) => Err(error),
    };
    let record = octets.and_then(|octets| serde_json::from_slice(&octets).map_err(io::Error::from));
    record.unwrap_or_else(|error| {
        tracing::warn!(%error, path = %path.display(), "the former run's state of the links is not readable");
        Record::default()
    })
}

/// By a rename, so that a run killed here leaves the old file or the new one. Not flushed: the state that it
/// describes is the kernel's, and gone with the power as well.
fn write(path: &Path, record: &Record) -> io::Result<()> {
    if *record == Record::default() {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    fs::write(&unfinished, serde_json::to_vec(record)?)?;
    fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn place() -> Place {
        Place { interface: 3, ip: [10, 64, 0, 2].into() }
    }

    #[test]
    fn a_next_run_reads_what_the_former_wrote() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("links.json");
        let mut ledger = Ledger::open(Some(path.clone()));
        ledger.note(|record| {
            record.endpoints.push(place());
            record.subflows = Some(Limit { before: 0, set: 4 });
            let settings = [("accept_ra".to_owned(), "0".to_owned())].into();
            let before =
                Before { index: 3, name: "wwan0".to_owned(), up: Some(false), mtu: Some(1500), settings };
            *record.before_mut(Link::Cellular) = Some(before);
        });
        let mut next = Ledger::open(Some(path.clone()));
        assert_eq!(next.record(), ledger.record());
        next.note(|record| *record = Record::default());
        assert!(!path.exists());
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0);
    }

    #[test]
    fn a_file_that_is_none_is_nothing_known() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("links.json");
        for content in ["", "{", "[]", "{\"endpoints\": 7}"] {
            fs::write(&path, content).expect("written");
            assert_eq!(Ledger::open(Some(path.clone())).record(), &Record::default(), "{content}");
        }
        // A file of a later version may know more.
        fs::write(&path, "{\"later\": 1, \"resolved\": [3]}").expect("written");
        assert_eq!(Ledger::open(Some(path)).record().resolved, [3]);
    }

    #[test]
    fn a_folder_that_is_not_there_costs_only_the_memory() {
        let mut ledger = Ledger::open(Some("/nonexistent/links.json".into()));
        ledger.note(|record| record.endpoints.push(place()));
        assert_eq!(ledger.record().endpoints, [place()]);
    }
}
