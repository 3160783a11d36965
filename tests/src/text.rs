//! Reading logs: their end for a diagnosis, their new lines while they grow.

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::clock;

/// The last lines of a file, headed by its name; for messages about failures.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let all: Vec<&str> = text.lines().collect();
    let last = all.get(all.len().saturating_sub(lines)..).unwrap_or_default();
    format!("--- {}\n{}", path.display(), last.join("\n"))
}

/// A log that another program writes, read line by line as it grows.
#[derive(Debug, Clone)]
pub(crate) struct Follower {
    path: PathBuf,
    read: u64,
    partial: Vec<u8>,
}

impl Follower {
    /// From the beginning.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), read: 0, partial: Vec::new() }
    }

    /// From what is written next.
    pub(crate) fn from_now(path: &Path) -> Self {
        let read = fs::metadata(path).map_or(0, |data| data.len());
        Self { read, ..Self::new(path) }
    }

    /// The lines that came since the last call. A file that does not exist yet has none.
    pub(crate) fn lines(&mut self) -> Result<Vec<String>> {
        let Ok(mut file) = fs::File::open(&self.path) else { return Ok(Vec::new()) };
        file.seek(SeekFrom::Start(self.read))?;
        let before = self.partial.len();
        file.read_to_end(&mut self.partial).with_context(|| self.path.display().to_string())?;
        self.read += u64::try_from(self.partial.len() - before)?;
        let Some(end) = self.partial.iter().rposition(|&octet| octet == b'\n') else { return Ok(Vec::new()) };
        let rest = self.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        Ok(String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect())
    }

    /// Waits for a line that `wanted` accepts; the end of the log goes into the error.
    pub(crate) fn wait(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String> {
        clock::until(what, limit, || Ok(self.lines()?.into_iter().find(|line| wanted(line))))
            .with_context(|| tail(&self.path, 25))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_line_counts_when_it_is_whole() {
        let path = std::env::temp_dir().join(format!("lab-follower-{}", std::process::id()));
        let mut file = fs::File::create(&path).unwrap();
        let mut follower = Follower::new(&path);
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(follower.lines().unwrap(), ["one"]);
        assert!(follower.lines().unwrap().is_empty());
        file.write_all(b"o\nthree\n").unwrap();
        assert_eq!(follower.lines().unwrap(), ["two", "three"]);
        assert_eq!(tail(&path, 1), format!("--- {}\nthree", path.display()));
        fs::remove_file(path).unwrap();
    }
}
