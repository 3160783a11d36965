//! What could be overheard: tcpdump on the air, between access point and AAA, and between device and portal.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;

use super::{daemon::Daemon, netns::Netns};

/// One capture.
pub(crate) struct Capture {
    daemon: Daemon,
    file: PathBuf,
}

impl Capture {
    /// Starts to listen: `what` is an interface and, after it, a filter. `work` holds the file until the end.
    pub(crate) fn start(name: &str, place: &Netns, what: &[&str], work: &Path, logs: &Path) -> Result<Self> {
        let file = work.join(format!("{name}.pcap"));
        let path = file.to_string_lossy().into_owned();
        let mut words = vec!["tcpdump", "-Z", "root", "-n", "-s", "0", "-w", &path, "-i"];
        words.extend(what);
        let mut daemon = Daemon::new(&format!("tcpdump-{name}"), place, logs, &words);
        daemon.start()?;
        daemon.ready("listening on", Duration::from_secs(20))?;
        Ok(Self { daemon, file })
    }

    /// Ends it and puts the file into `folder`.
    pub(crate) fn finish(mut self, folder: &Path) -> Result<()> {
        self.daemon.stop()?;
        if let Some(name) = self.file.file_name() {
            fs::copy(&self.file, folder.join(name))?;
        }
        Ok(())
    }
}
