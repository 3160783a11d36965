//! Puts a file in place so that a crash or a power cut at any moment leaves the old one or the new one, whole.
//!
//! Write beside it, flush, rename, flush the directory: rename(2) is atomic, and only fsync(2) of file and
//! directory makes both last over a power cut. The steps go through [`Disk`], so that tests can end them anywhere, and
//! lose what was not flushed.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// What is asked of the disk, one file at a time.
pub(super) trait Disk {
    /// Takes a name away; none there is well, too.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
    /// A new empty file with this mode, whatever the umask; what is written next goes into it.
    fn create(&mut self, path: &Path, mode: u32) -> io::Result<()>;
    /// More octets.
    fn write(&mut self, octets: &[u8]) -> io::Result<()>;
    /// What was written lasts, fsync(2).
    fn flush(&mut self) -> io::Result<()>;
    /// The name `to` is the file's that had the name `from`, at once.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// The names in this directory last.
    fn flush_directory(&mut self, directory: &Path) -> io::Result<()>;
}

/// The kernel's.
#[derive(Default)]
pub(super) struct Files(Option<File>);

impl Files {
    fn file(&mut self) -> io::Result<&mut File> {
        self.0.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Disk for Files {
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn create(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        self.0 = Some(file);
        Ok(())
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.file()?.write_all(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file()?.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn flush_directory(&mut self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

/// Puts `octets` at `path` with `mode`, whatever the umask.
pub(crate) fn replace(path: &Path, octets: &[u8], mode: u32) -> io::Result<()> {
    replace_on(&mut Files::default(), path, octets, mode)
}

/// The same on this disk.
pub(super) fn replace_on(disk: &mut dyn Disk, path: &Path, octets: &[u8], mode: u32) -> io::Result<()> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    // One name, not a random one: what a crash leaves behind is overwritten the next time.
    let mut beside_name = OsString::from(".");
    beside_name.push(name);
    beside_name.push(".new");
    let beside = directory.join(beside_name);
    disk.remove(&beside)?;
    disk.create(&beside, mode)?;
    disk.write(octets)?;
    disk.flush()?;
    disk.rename(&beside, path)?;
    disk.flush_directory(directory)
}

#[cfg(test)]
pub(super) mod tests;
