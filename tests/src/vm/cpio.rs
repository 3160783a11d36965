//! Writes an initramfs: a cpio archive in the kernel's "newc" form
//! (Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! Called by `vm::initramfs`. Folders above an entry are made once, by themselves.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

const FOLDER: u32 = 0o040_755;
const LINK: u32 = 0o120_777;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive being written.
pub(crate) struct Archive<W> {
    to: W,
    entries: u32,
    written: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    /// An empty one.
    pub(crate) fn new(to: W) -> Self {
        Self { to, entries: 0, written: BTreeSet::new() }
    }

    /// Whether something of this name is in already.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.written.contains(path.trim_matches('/'))
    }

    /// A folder.
    pub(crate) fn folder(&mut self, path: &str) -> io::Result<()> {
        self.entry(path, FOLDER, &[], 0)
    }

    /// A file; `executable` sets its mode.
    pub(crate) fn file(&mut self, path: &str, content: &[u8], executable: bool) -> io::Result<()> {
        self.entry(path, if executable { PROGRAM } else { FILE }, content, 0)
    }

    /// A symbolic link.
    pub(crate) fn link(&mut self, path: &str, points_to: &str) -> io::Result<()> {
        self.entry(path, LINK, points_to.as_bytes(), 0)
    }

    /// A character device.
    pub(crate) fn device(&mut self, path: &str, major: u32, minor: u32) -> io::Result<()> {
        self.entry(path, CHARACTER_DEVICE, &[], (major << 8) | minor)
    }

    /// The end mark; gives the writer back.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.record("TRAILER!!!", 0, &[], 0)?;
        Ok(self.to)
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8], device: u32) -> io::Result<()> {
        let path = path.trim_matches('/');
        if self.has(path) {
            return Ok(());
        }
        for (slash, _) in path.match_indices('/') {
            let above = path.get(..slash).unwrap_or_default().to_owned();
            if self.written.insert(above.clone()) {
                self.record(&above, FOLDER, &[], 0)?;
            }
        }
        self.written.insert(path.to_owned());
        self.record(path, mode, content, device)
    }

    fn record(&mut self, name: &str, mode: u32, content: &[u8], device: u32) -> io::Result<()> {
        self.entries += 1;
        let size = u32::try_from(content.len()).map_err(io::Error::other)?;
        let (major, minor) = (device >> 8, device & 0xff);
        let name_size = name.len() + 1;
        // magic, ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
        let header = format!(
            "070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{size:08x}{:08x}{:08x}{major:08x}{minor:08x}{name_size:08x}{:08x}",
            self.entries, 0, 0, 1, 0, 0, 0, 0
        );
        self.to.write_all(header.as_bytes())?;
        self.to.write_all(name.as_bytes())?;
        // Name and content each end on a multiple of four; the name's own zero octet is part of the first padding.
        self.pad(header.len() + name_size, 1)?;
        self.to.write_all(content)?;
        self.pad(content.len(), 0)
    }

    fn pad(&mut self, length: usize, extra: usize) -> io::Result<()> {
        let zeros = extra + length.next_multiple_of(4) - length;
        self.to.write_all([0; 4].get(..zeros).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The archive's own names, modes and contents.
    fn read(bytes: &[u8]) -> Vec<(String, usize, Vec<u8>)> {
        let mut found = Vec::new();
        let mut at = 0;
        loop {
            let field = |index: usize| {
                let start = at + 6 + 8 * index;
                u32::from_str_radix(std::str::from_utf8(&bytes[start..start + 8]).unwrap(), 16).unwrap()
                    as usize
            };
            assert_eq!(&bytes[at..at + 6], b"070701");
            let (mode, size, name_size) = (field(1), field(6), field(11));
            let name = String::from_utf8(bytes[at + 110..at + 110 + name_size - 1].to_vec()).unwrap();
            let content = (at + 110 + name_size).next_multiple_of(4);
            if name == "TRAILER!!!" {
                return found;
            }
            found.push((name, mode, bytes[content..content + size].to_vec()));
            at = (content + size).next_multiple_of(4);
        }
    }

    #[test]
    fn an_archive_reads_back() {
        let mut archive = Archive::new(Vec::new());
        archive.file("/usr/bin/lab", b"12345", true).unwrap();
        archive.file("/usr/bin/lab", b"again", true).unwrap();
        archive.link("/init", "usr/bin/lab").unwrap();
        archive.device("/dev/console", 5, 1).unwrap();
        let entries = read(&archive.finish().unwrap());
        let names: Vec<&str> = entries.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["usr", "usr/bin", "usr/bin/lab", "init", "dev", "dev/console"]);
        assert_eq!(entries[2], ("usr/bin/lab".into(), PROGRAM as usize, b"12345".to_vec()));
        assert_eq!(entries[3].2, b"usr/bin/lab");
    }
}
