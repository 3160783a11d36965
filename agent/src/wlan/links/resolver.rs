//! `/etc/resolv.conf` where nobody else looks after it: the preferred link's name servers in, the former file back.
//!
//! A symbolic link there means that systemd-resolved, resolvconf or NetworkManager owns it: it is left alone, and
//! the log says so. Files are replaced by a rename, so that no reader ever sees half of one.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Write},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// First line of what we write, by which it is known again after a crash.
const MARK: &str =
    "# written by wifi-offloadd; the former file is beside it and comes back when the agent stops\n";
/// Appended to the name of the former file.
const FORMER: &str = ".before-wifi-offload";
/// Appended to the name of a file that is not complete yet.
const UNFINISHED: &str = ".wifi-offload-new";
/// More are not read (`resolv.conf(5)`, MAXNS).
const MAX_SERVERS: usize = 3;
/// A former file larger than this is none.
const MAX_FILE: u64 = 64 * 1024;

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Done, or nothing to do.
    Done,
    /// Another program owns the file; it is a link to this.
    LeftAlone(PathBuf),
}

/// The file, or none where the setting says that it is not ours to touch.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    path: PathBuf,
}

impl Resolver {
    /// For the file at `path`.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Names these servers; without any, the former file comes back.
    pub(super) fn set(&self, servers: &[IpAddr]) -> io::Result<Outcome> {
        if servers.is_empty() {
            return self.restore();
        }
        if let Some(target) = self.link()? {
            return Ok(Outcome::LeftAlone(target));
        }
        let mut text = MARK.to_owned();
        for server in servers.iter().take(MAX_SERVERS) {
            text.push_str(&format!("nameserver {server}\n"));
        }
        match read(&self.path)? {
            Some(there) if there == text => return Ok(Outcome::Done),
            Some(there) if there.starts_with(MARK) => {}
            Some(there) => write(&self.beside(FORMER), &there)?,
            None => remove(&self.beside(FORMER))?,
        }
        write(&self.path, &text)?;
        Ok(Outcome::Done)
    }

    /// Puts the former file back, unless another program has written a new one meanwhile.
    pub(super) fn restore(&self) -> io::Result<Outcome> {
        if let Some(target) = self.link()? {
            return Ok(Outcome::LeftAlone(target));
        }
        let former = self.beside(FORMER);
        if read(&self.path)?.is_some_and(|there| there.starts_with(MARK)) {
            match read(&former)? {
                Some(text) => write(&self.path, &text)?,
                None => remove(&self.path)?,
            }
        }
        remove(&former)?;
        Ok(Outcome::Done)
    }

    fn link(&self) -> io::Result<Option<PathBuf>> {
        match fs::symlink_metadata(&self.path) {
            Ok(data) if data.is_symlink() => fs::read_link(&self.path).map(Some),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        beside(&self.path, suffix)
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::metadata(path) {
        Ok(data) if data.len() > MAX_FILE => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
        Ok(_) => fs::read(path).map(|octets| Some(String::from_utf8_lossy(&octets).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = beside(path, UNFINISHED);
    remove(&unfinished)?;
    // Every program must read it, whatever the daemon's umask takes away.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&unfinished)?;
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    match fs::rename(&unfinished, path) {
        // The file is mounted there, as containers do: a rename cannot replace it.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            remove(&unfinished)?;
            fs::write(path, text)
        }
        renamed => renamed,
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => fs::write(path, ""),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use tempfile::TempDir;

    use super::*;

    const CELLULAR: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::new(10, 64, 0, 1))];
    const WLAN: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::new(10, 9, 0, 1))];

    fn folder() -> (TempDir, PathBuf, Resolver) {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("resolv.conf");
        let resolver = Resolver::new(path.clone());
        (folder, path, resolver)
    }

    fn files(folder: &TempDir) -> usize {
        fs::read_dir(folder.path()).expect("readable").count()
    }

    #[test]
    fn the_former_file_comes_back() {
        let (folder, path, resolver) = folder();
        fs::write(&path, "nameserver 192.0.2.1\n").expect("writable");
        assert_eq!(resolver.set(&CELLULAR).expect("written"), Outcome::Done);
        assert_eq!(resolver.set(&WLAN).expect("written"), Outcome::Done);
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(text, format!("{MARK}nameserver 10.9.0.1\n"));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o644);
        // As after a crash: nothing is remembered.
        let resolver = Resolver::new(path.clone());
        assert_eq!(resolver.restore().expect("restored"), Outcome::Done);
        assert_eq!(fs::read_to_string(&path).expect("readable"), "nameserver 192.0.2.1\n");
        assert_eq!(files(&folder), 1);
    }

    #[test]
    fn without_a_former_file_none_stays() {
        let (folder, _, resolver) = folder();
        resolver.set(&CELLULAR).expect("written");
        resolver.set(&[]).expect("restored");
        assert_eq!(files(&folder), 0);
    }

    #[test]
    fn what_another_program_wrote_meanwhile_stays() {
        let (folder, path, resolver) = folder();
        fs::write(&path, "nameserver 192.0.2.1\n").expect("writable");
        resolver.set(&CELLULAR).expect("written");
        fs::write(&path, "nameserver 192.0.2.2\n").expect("writable");
        resolver.restore().expect("restored");
        assert_eq!(fs::read_to_string(&path).expect("readable"), "nameserver 192.0.2.2\n");
        assert_eq!(files(&folder), 1);
    }

    #[test]
    fn a_link_is_left_alone() {
        let (folder, path, resolver) = folder();
        let target = folder.path().join("stub-resolv.conf");
        fs::write(&target, "nameserver 127.0.0.53\n").expect("writable");
        symlink(&target, &path).expect("linked");
        assert_eq!(resolver.set(&CELLULAR).expect("seen"), Outcome::LeftAlone(target.clone()));
        assert_eq!(resolver.restore().expect("seen"), Outcome::LeftAlone(target.clone()));
        assert_eq!(fs::read_to_string(&target).expect("readable"), "nameserver 127.0.0.53\n");
        assert_eq!(files(&folder), 2);
    }

    #[test]
    fn only_as_many_servers_as_are_read() {
        let (_folder, path, resolver) = folder();
        resolver.set(&[CELLULAR[0], WLAN[0], CELLULAR[0], WLAN[0]]).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("readable").matches("nameserver").count(), MAX_SERVERS);
    }
}
