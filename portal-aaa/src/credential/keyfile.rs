//! `keys.toml`: the one file that must not leave the machine, and must not be lost.
//!
//! Written by `portal-aaa init` and `portal-aaa keys`, mode 0600; read at each start and when it has changed. Lost, every issued credential and every
//! sealed column is lost with it; copied, anyone can make credentials.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use data_encoding::HEXLOWER;
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use super::{
    Random, RandomUnavailable,
    keys::{HMAC_KEY, Keys, Ring, SEED, SIV_KEY},
};

/// No genuine file is longer, with 255 epochs.
const MAX_FILE: u64 = 64 * 1024;
/// Write or execute for the group, anything for others: bits that must be off. Group read is for a
/// service user that does not own the file.
const FORBIDDEN_MODE: u32 = 0o037;

/// Number of the first key of each kind.
const FIRST: u8 = 1;

const HEAD: &str = "\
# Keys of this portal-aaa. Keep it secret (mode 0600) and keep a copy in a safe place: without it no issued
# credential can log on and no sealed column of the database can be read; with it anyone can make credentials.
# Every node that answers logins of this realm needs the same file.
# data: seals database columns. identifier: hashes IMSI and IMEI. password: derives passwords.
# tokens: seal usernames, one key an epoch; `epoch` is the one that new usernames are made with.
# policies: sign policies; `policy_key` is the one that signs, later ones are announced to devices before they do.
";

/// Why the keys cannot be used. Names the file, never what stands in it.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Not readable or not writable.
    #[error("{path}: {error}")]
    Io {
        /// Key file.
        path: PathBuf,
        /// Cause.
        error: io::Error,
    },
    /// Others may read or change it.
    #[error("{path}: mode {mode:04o} lets others at the keys; run `chmod 600 {path}`")]
    Mode {
        /// Key file.
        path: PathBuf,
        /// Permission bits found.
        mode: u32,
    },
    /// A key is missing, unknown, or of the wrong length.
    #[error(
        "{path}: {problem}; restore it from your copy, or make a new installation with `portal-aaa init`"
    )]
    Content {
        /// Key file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// No randomness to make keys of.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fragment {
    data: String,
    identifier: String,
    password: String,
    epoch: u8,
    #[serde(default)]
    policy_key: Option<u8>,
    tokens: BTreeMap<String, String>,
    #[serde(default)]
    policies: BTreeMap<String, String>,
}

impl Drop for Fragment {
    fn drop(&mut self) {
        self.data.zeroize();
        self.identifier.zeroize();
        self.password.zeroize();
        self.tokens.values_mut().for_each(Zeroize::zeroize);
        self.policies.values_mut().for_each(Zeroize::zeroize);
    }
}

/// Makes new keys and writes them to `path`, which must not exist.
pub fn create(path: &Path, random: &mut Random<'_>) -> Result<Keys, KeyFileError> {
    let mut ring = Ring { tokens: BTreeMap::new(), epoch: FIRST, signing: BTreeMap::new(), signs: FIRST };
    let (mut data, mut identifier, mut password) = ([0; SIV_KEY], [0; HMAC_KEY], [0; HMAC_KEY]);
    random(&mut data)?;
    random(&mut identifier)?;
    random(&mut password)?;
    random(ring.tokens.entry(FIRST).or_insert([0; SIV_KEY]))?;
    random(ring.signing.entry(FIRST).or_insert([0; SEED]))?;
    let keys = Keys { data, identifier, password, ring: RwLock::new(ring) };
    for key in [&mut data[..], &mut identifier, &mut password] {
        key.zeroize();
    }
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    written
        .and_then(|file| write(file, &keys))
        .map_err(|error| KeyFileError::Io { path: path.to_owned(), error })?;
    Ok(keys)
}

/// What is done to a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation<'a> {
    /// A new key for usernames, not used yet: so that other nodes get it before one of them uses it.
    AddEpoch,
    /// The newest key for usernames is used from now on, a new one where the newest is in use.
    NextEpoch,
    /// A new key for policies, announced to devices and not used yet; used at once where there is none.
    AddPolicyKey,
    /// The key for policies that was announced last signs from now on.
    NextPolicyKey,
    /// Keys for usernames go, but for the one in use, newer ones, and those of these epochs.
    Prune {
        /// Epochs with credentials that live.
        keep: &'a [u8],
    },
}

/// Changes the keys that change, in the file and so for every process that reads it again. The file is whole at any
/// moment. Gives the keys as they are now.
pub fn rotate(path: &Path, rotation: Rotation<'_>, random: &mut Random<'_>) -> Result<Keys, KeyFileError> {
    let keys = load(path)?;
    let full = |problem| KeyFileError::Content { path: path.to_owned(), problem };
    let mut ring = keys.ring().clone();
    let newest = ring.tokens.keys().copied().max().unwrap_or(ring.epoch);
    let add =
        matches!(rotation, Rotation::AddEpoch) || (rotation == Rotation::NextEpoch && newest == ring.epoch);
    if add {
        let next = newest.checked_add(1).ok_or(full("there are 256 epochs, and no number is left"))?;
        random(ring.tokens.entry(next).or_insert([0; SIV_KEY]))?;
    }
    match rotation {
        Rotation::AddEpoch => {}
        Rotation::NextEpoch => ring.epoch = ring.tokens.keys().copied().max().unwrap_or(ring.epoch),
        Rotation::AddPolicyKey => {
            let last = ring.signing.keys().copied().max();
            let next = last.map_or(Some(FIRST), |last| last.checked_add(1));
            let next = next.ok_or(full("there are 256 policy keys, and no number is left"))?;
            random(ring.signing.entry(next).or_insert([0; SEED]))?;
            if last.is_none() {
                ring.signs = next;
            }
        }
        Rotation::NextPolicyKey => {
            let last = ring.signing.keys().copied().max().filter(|last| *last > ring.signs);
            ring.signs = last.ok_or(full("no policy key was announced yet"))?;
        }
        Rotation::Prune { keep } => {
            let epoch = ring.epoch;
            ring.tokens.retain(|number, key| {
                let stays = *number >= epoch || keep.contains(number);
                if !stays {
                    key.zeroize();
                }
                stays
            });
        }
    }
    *keys.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
    replace(path, &keys).map_err(|error| KeyFileError::Io { path: path.to_owned(), error })?;
    Ok(keys)
}

/// Beside it, then in its place, with its owner and mode.
fn replace(path: &Path, keys: &Keys) -> io::Result<()> {
    let old = fs::metadata(path)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    fchown(&file, Some(old.uid()), Some(old.gid()))?;
    file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
    write(file, keys)?;
    fs::rename(&beside, path)?;
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Reads the keys, after a look at who else may.
pub fn load(path: &Path) -> Result<Keys, KeyFileError> {
    let failed = |error| KeyFileError::Io { path: path.to_owned(), error };
    let mut file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    let mode = meta.mode() & 0o7777;
    if mode & FORBIDDEN_MODE != 0 {
        return Err(KeyFileError::Mode { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    (&mut file).take(MAX_FILE).read_to_string(&mut text).map_err(failed)?;
    parse(&text).map_err(|problem| KeyFileError::Content { path: path.to_owned(), problem })
}

fn write(mut file: File, keys: &Keys) -> io::Result<()> {
    let ring = keys.ring();
    file.write_all(HEAD.as_bytes())?;
    let mut line = |name: &str, key: &[u8]| {
        let hex = Zeroizing::new(HEXLOWER.encode(key));
        writeln!(file, "{name} = \"{}\"", *hex)
    };
    line("data", &keys.data)?;
    line("identifier", &keys.identifier)?;
    line("password", &keys.password)?;
    writeln!(file, "epoch = {}", ring.epoch)?;
    if !ring.signing.is_empty() {
        writeln!(file, "policy_key = {}", ring.signs)?;
    }
    writeln!(file, "\n[tokens]")?;
    for (epoch, key) in &ring.tokens {
        let hex = Zeroizing::new(HEXLOWER.encode(key));
        writeln!(file, "{epoch} = \"{}\"", *hex)?;
    }
    writeln!(file, "\n[policies]")?;
    for (number, seed) in &ring.signing {
        let hex = Zeroizing::new(HEXLOWER.encode(seed));
        writeln!(file, "{number} = \"{}\"", *hex)?;
    }
    file.sync_all()
}

fn parse(text: &str) -> Result<Keys, &'static str> {
    // The parser's own error would quote the line, and with it a key.
    let fragment: Fragment = toml::from_str(text).map_err(|_| "not a key file, or a key is missing")?;
    let mut tokens = BTreeMap::new();
    for (epoch, key) in &fragment.tokens {
        let epoch = epoch.parse().map_err(|_| "an epoch is a number from 0 to 255")?;
        tokens.insert(epoch, unhex(key)?);
    }
    let mut signing = BTreeMap::new();
    for (number, seed) in &fragment.policies {
        let number = number.parse().map_err(|_| "a policy key has a number from 0 to 255")?;
        signing.insert(number, unhex(seed)?);
    }
    let signs = match fragment.policy_key {
        Some(number) if !signing.contains_key(&number) => return Err("the policy key in use is not there"),
        None if !signing.is_empty() => return Err("there are policy keys, and none in use"),
        number => number.unwrap_or(1),
    };
    if !tokens.contains_key(&fragment.epoch) {
        return Err("there is no token key for the current epoch");
    }
    Ok(Keys {
        data: unhex(&fragment.data)?,
        identifier: unhex(&fragment.identifier)?,
        password: unhex(&fragment.password)?,
        ring: RwLock::new(Ring { tokens, epoch: fragment.epoch, signing, signs }),
    })
}

fn unhex<const N: usize>(hex: &str) -> Result<[u8; N], &'static str> {
    let octets = Zeroizing::new(HEXLOWER.decode(hex.as_bytes()).map_err(|_| "a key is not hexadecimal")?);
    octets.as_slice().try_into().map_err(|_| "a key has the wrong length")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::credential::system_random;

    fn made() -> (tempfile::TempDir, PathBuf, Keys) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.toml");
        let keys = create(&path, &mut system_random).unwrap();
        (dir, path, keys)
    }

    #[test]
    fn what_was_written_is_read() {
        let (_dir, path, made) = made();
        let read = load(&path).unwrap();
        assert_eq!((read.data, read.identifier, read.password), (made.data, made.identifier, made.password));
        assert!(*read.ring() == *made.ring());
        assert_ne!(read.data, read.ring().tokens[&1]);
        assert!(read.policy_signer().is_some_and(|signer| read.policy_keys() == [signer.public()]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let (_dir, path, _) = made();
        for (mode, fit) in
            [(0o600, true), (0o400, true), (0o640, true), (0o644, false), (0o660, false), (0o604, false)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(load(&path).is_ok(), fit, "{mode:o}");
        }
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let (_dir, path, made) = made();
        assert!(matches!(create(&path, &mut system_random), Err(KeyFileError::Io { .. })));
        assert_eq!(load(&path).unwrap().data, made.data);
    }

    #[test]
    fn keys_are_rotated_in_the_file_and_taken_over() {
        let (_dir, path, made) = made();
        let change = |rotation| rotate(&path, rotation, &mut system_random);
        let first = made.policy_keys();
        for (rotation, epochs) in [
            (Rotation::AddEpoch, (1, vec![1, 2])),
            (Rotation::NextEpoch, (2, vec![1, 2])),
            (Rotation::NextEpoch, (3, vec![1, 2, 3])),
            (Rotation::Prune { keep: &[1] }, (3, vec![1, 3])),
            (Rotation::Prune { keep: &[] }, (3, vec![3])),
        ] {
            assert_eq!(change(rotation).unwrap().epochs(), epochs, "{rotation:?}");
            assert_eq!(load(&path).unwrap().epochs(), epochs);
        }
        assert!(change(Rotation::NextPolicyKey).is_err(), "devices have not heard of it");
        let both = change(Rotation::AddPolicyKey).unwrap().policy_keys();
        assert_eq!((both.len(), both[0]), (2, first[0]));
        assert_eq!(change(Rotation::NextPolicyKey).unwrap().policy_keys(), both[1..]);
        let read = load(&path).unwrap();
        assert_eq!(made.take_over(&read), Ok(true));
        assert_eq!(made.take_over(&read), Ok(false));
        assert_eq!(made.epochs(), (3, vec![3]));
        assert!(made.take_over(&Keys::fixed(1)).is_err());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_of_0_1_0_has_no_policy_key() {
        let (_dir, path, made) = made();
        let text = fs::read_to_string(&path).unwrap();
        let (old, _) = text.split_once("\n[policies]").unwrap();
        fs::write(&path, old.replace("policy_key = 1\n", "")).unwrap();
        let read = load(&path).unwrap();
        assert!(read.ring().tokens == made.ring().tokens);
        assert!(read.policy_signer().is_none() && read.policy_keys().is_empty());
    }

    #[test]
    fn damage_is_told_without_a_key_in_the_message() {
        let (_dir, path, made) = made();
        let text = fs::read_to_string(&path).unwrap();
        for broken in [
            text.replace("epoch = 1", "epoch = 2"),
            text.replace("policy_key = 1", "policy_key = 2"),
            text.replace("policy_key = 1\n", ""),
            text.replace("data = \"", "data = \"00"),
            text.replace("password =", "passwort ="),
            text.replace("identifier = \"", "identifier = \"zz"),
            text[..text.len() - 3].to_owned(),
            String::new(),
        ] {
            fs::write(&path, broken).unwrap();
            let message = load(&path).err().unwrap().to_string();
            assert!(message.contains("keys.toml") && message.contains("restore"), "{message}");
            assert!(!message.contains(&HEXLOWER.encode(&made.data)[..16]), "{message}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_refused(text in "\\PC{0,200}") {
            prop_assert!(parse(&text).is_err());
        }
    }
}
