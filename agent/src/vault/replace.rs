//! Puts a file in place so that a crash at any moment leaves the old one or the new one, whole.
//!
//! Write beside it, flush, rename, flush the directory: rename(2) is atomic, and only fsync(2) of file and
//! directory makes both last over a power cut.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Moments at which a crash leaves the directory in different states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing done.
    Begin,
    /// The file beside is there, empty.
    Created,
    /// Half of the octets are in it.
    Half,
    /// All of them.
    Written,
    /// They are on the disk.
    Flushed,
    /// The name points to the new file.
    Renamed,
}

/// Puts `octets` at `path` with `mode`, whatever the umask.
pub(super) fn replace(path: &Path, octets: &[u8], mode: u32) -> io::Result<()> {
    replace_with(path, octets, mode, |_| Ok(()))
}

/// The same, stopped where `reached` returns an error, as a crash would stop it.
pub(super) fn replace_with(
    path: &Path,
    octets: &[u8],
    mode: u32,
    mut reached: impl FnMut(Step) -> io::Result<()>,
) -> io::Result<()> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    // One name, not a random one: what a crash leaves behind is overwritten the next time.
    let mut beside_name = OsString::from(".");
    beside_name.push(name);
    beside_name.push(".new");
    let beside = directory.join(beside_name);
    reached(Step::Begin)?;
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    reached(Step::Created)?;
    let (first, second) = octets.split_at(octets.len() / 2);
    file.write_all(first)?;
    reached(Step::Half)?;
    file.write_all(second)?;
    reached(Step::Written)?;
    file.sync_all()?;
    reached(Step::Flushed)?;
    fs::rename(&beside, path)?;
    reached(Step::Renamed)?;
    File::open(directory)?.sync_all()
}
