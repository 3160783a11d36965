//! The vault's files: `vault`, sealed, and `vault.key`, in a directory of mode 0700.
//!
//! A file that cannot be opened is set aside as `.bad` and the device starts anew: it can always get another
//! credential, but nobody may be near to delete a file for it.

use std::{
    env,
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    Stored,
    codec::{self, CodecError},
    replace::replace,
    seal::{Key, MIN_KEY, NONCE, SealError},
};

/// The sealed file.
const FILE: &str = "vault";
/// The key, here or in systemd's credentials directory.
const KEY_FILE: &str = "vault.key";
/// Octets of a key that we make.
const KEY_OCTETS: usize = 64;
/// Longest file that is read.
const MAX_FILE: u64 = 256 * 1024;

/// Why the vault does not work.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The key that systemd gives is too short.
    #[error("{0}: a key has at least {MIN_KEY} octets")]
    ShortKey(PathBuf),
    /// Sealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The content could not be encoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The kernel gave no random octets.
    #[error("no random octets: {0}")]
    Random(getrandom::Error),
}

/// The vault of one state directory.
pub struct Vault {
    path: PathBuf,
    key: Key,
}

impl Vault {
    /// Opens the vault of `dir`, with the key of `$CREDENTIALS_DIRECTORY/vault.key` where systemd gives one
    /// (systemd.exec(5), `LoadCredential=`), else with `dir/vault.key`, which is made when it is missing.
    pub fn open(dir: &Path) -> Result<Self, VaultError> {
        Self::open_with(dir, env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).as_deref())
    }

    /// The same with the credentials directory named.
    pub fn open_with(dir: &Path, credentials: Option<&Path>) -> Result<Self, VaultError> {
        private_directory(dir).map_err(|source| io_error(dir, source))?;
        let given = match credentials.map(|credentials| credentials.join(KEY_FILE)) {
            Some(path) => given_key(&path)?,
            None => None,
        };
        let octets = match given {
            Some(octets) => octets,
            None => own_key(&dir.join(KEY_FILE))?,
        };
        Ok(Self { path: dir.join(FILE), key: Key::derive(&octets)? })
    }

    /// Key of the handle under which the machine remembers whose credential this is.
    pub fn subscriber_key(&self) -> [u8; 32] {
        self.key.subscriber()
    }

    /// What was stored last; nothing where there is nothing, or nothing that can be read.
    pub fn load(&self) -> Option<Stored> {
        let sealed = match read(&self.path) {
            Ok(sealed) => sealed?,
            Err(error) => {
                self.set_aside(&error);
                return None;
            }
        };
        let opened = self.key.open(&sealed).map_err(VaultError::from);
        match opened.and_then(|plain| codec::decode(&plain).map_err(VaultError::from)) {
            Ok(stored) => Some(stored),
            Err(error) => {
                self.set_aside(&error);
                None
            }
        }
    }

    /// Keeps this in place of what was stored.
    pub fn store(&self, stored: &Stored) -> Result<(), VaultError> {
        let mut nonce = [0u8; NONCE];
        getrandom::fill(&mut nonce).map_err(VaultError::Random)?;
        let sealed = self.key.seal(nonce, &codec::encode(stored)?)?;
        replace(&self.path, &sealed, 0o600).map_err(|source| io_error(&self.path, source))
    }

    fn set_aside(&self, reason: &VaultError) {
        set_aside(&self.path, reason);
    }
}

/// Keeps a useless file for whoever wants to look, out of the way.
fn set_aside(path: &Path, reason: &VaultError) {
    let aside =
        path.with_file_name(format!("{}.bad", path.file_name().unwrap_or_default().to_string_lossy()));
    let moved = fs::rename(path, &aside);
    let error = moved.err().map(|error| error.to_string());
    tracing::warn!(%reason, aside = %aside.display(), error, "a vault file is of no use; set aside, starting anew");
}

fn private_directory(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    if fs::metadata(dir)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// The key that systemd gives, if it gives one. A short one is a mistake of set-up, and fatal: sealing under another
/// key unasked would look like it worked.
fn given_key(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    let octets = read(path)?;
    match octets {
        Some(octets) if octets.len() < MIN_KEY => Err(VaultError::ShortKey(path.to_owned())),
        other => Ok(other),
    }
}

/// Our own key, made at first start.
fn own_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    match read(path)? {
        Some(octets) if octets.len() >= MIN_KEY => return Ok(octets),
        Some(_) => set_aside(path, &VaultError::ShortKey(path.to_owned())),
        None => {}
    }
    let mut octets = Zeroizing::new(vec![0u8; KEY_OCTETS]);
    getrandom::fill(&mut octets).map_err(VaultError::Random)?;
    replace(path, &octets, 0o600).map_err(|source| io_error(path, source))?;
    Ok(octets)
}

/// A whole small file; none if there is none.
fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(io_error(path, source)),
    };
    let mut octets = Zeroizing::new(Vec::new());
    file.take(MAX_FILE + 1).read_to_end(&mut octets).map_err(|source| io_error(path, source))?;
    if u64::try_from(octets.len()).is_ok_and(|length| length > MAX_FILE) {
        return Err(io_error(path, io::Error::from(io::ErrorKind::FileTooLarge)));
    }
    Ok(Some(octets))
}

fn io_error(path: &Path, source: io::Error) -> VaultError {
    VaultError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{
        replace::{replace_on, tests::Dying},
        sample::stored,
    };

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("metadata").permissions().mode() & 0o777
    }

    #[test]
    fn it_survives_a_restart_and_nobody_else_reads_it() {
        let dir = tempfile::tempdir().expect("directory");
        let dir = dir.path().join("state");
        let vault = Vault::open_with(&dir, None).expect("opens");
        assert_eq!(vault.load(), None);
        let kept = stored("never-in-clear-on-disk");
        vault.store(&kept).expect("stores");
        assert_eq!((mode(&dir), mode(&dir.join(FILE)), mode(&dir.join(KEY_FILE))), (0o700, 0o600, 0o600));
        let again = Vault::open_with(&dir, None).expect("opens");
        assert_eq!(again.load(), Some(kept));
        assert_eq!(again.subscriber_key(), vault.subscriber_key());
        for entry in fs::read_dir(&dir).expect("lists") {
            let octets = fs::read(entry.expect("entry").path()).expect("reads");
            assert!(!octets.windows(8).any(|window| window == b"never-in" || window == b"operator"));
        }
    }

    #[test]
    fn a_loose_directory_is_closed() {
        let dir = tempfile::tempdir().expect("directory");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("mode");
        Vault::open_with(dir.path(), None).expect("opens");
        assert_eq!(mode(dir.path()), 0o700);
    }

    #[test]
    fn what_cannot_be_read_is_set_aside() {
        let damage: [fn(&Path); 4] = [
            |dir| fs::write(dir.join(FILE), "{}").expect("writes"),
            |dir| fs::write(dir.join(FILE), vec![0; 300_000]).expect("writes"),
            |dir| fs::remove_file(dir.join(KEY_FILE)).expect("removes"),
            |dir| fs::write(dir.join(KEY_FILE), "short").expect("writes"),
        ];
        for damage in damage {
            let dir = tempfile::tempdir().expect("directory");
            Vault::open_with(dir.path(), None).and_then(|vault| vault.store(&stored("p"))).expect("stores");
            damage(dir.path());
            let vault = Vault::open_with(dir.path(), None).expect("opens");
            assert_eq!(vault.load(), None);
            assert!(dir.path().join("vault.bad").exists());
            vault.store(&stored("q")).expect("stores");
            assert_eq!(vault.load(), Some(stored("q")));
        }
    }

    #[test]
    fn the_key_of_systemd_goes_first() {
        let (dir, credentials) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let open = || Vault::open_with(dir.path(), Some(credentials.path()));
        open().and_then(|vault| vault.store(&stored("p"))).expect("stores without a given key");
        fs::write(credentials.path().join(KEY_FILE), [1u8; 31]).expect("writes");
        assert!(matches!(open(), Err(VaultError::ShortKey(_))));
        fs::write(credentials.path().join(KEY_FILE), [1u8; 32]).expect("writes");
        let vault = open().expect("opens");
        assert_eq!(vault.load(), None, "sealed under the other key");
        vault.store(&stored("q")).expect("stores");
        assert_eq!(open().expect("opens").load(), Some(stored("q")));
    }

    #[test]
    fn a_crash_leaves_the_old_or_the_new() {
        // Steps: remove, create, two halves, flush, rename, flush the directory.
        for steps in 0..7 {
            let dir = tempfile::tempdir().expect("directory");
            let vault = Vault::open_with(dir.path(), None).expect("opens");
            vault.store(&stored("old")).expect("stores");
            let plain = codec::encode(&stored("new")).expect("encodes");
            let sealed = vault.key.seal([9; NONCE], &plain).expect("seals");
            replace_on(&mut Dying::after(steps), &vault.path, &sealed, 0o600).expect_err("stops");
            let again = Vault::open_with(dir.path(), None).expect("opens");
            let expected = if steps == 6 { "new" } else { "old" };
            assert_eq!(again.load(), Some(stored(expected)), "after {steps} steps");
            again.store(&stored("next")).expect("what the crash left does not stand in the way");
            assert_eq!(again.load(), Some(stored("next")));
            assert!(!dir.path().join(".vault.new").exists());
        }
    }

    #[test]
    fn a_crash_while_the_first_key_is_made_is_mended() {
        for steps in 0..7 {
            let dir = tempfile::tempdir().expect("directory");
            let path = dir.path().join(KEY_FILE);
            replace_on(&mut Dying::after(steps), &path, &[7; KEY_OCTETS], 0o600).expect_err("stops");
            let vault = Vault::open_with(dir.path(), None).expect("opens");
            vault.store(&stored("p")).expect("stores");
            assert_eq!(Vault::open_with(dir.path(), None).expect("opens").load(), Some(stored("p")));
        }
    }
}
