//! What a locked SIM waits for, and the PIN that the configuration names.

use std::{
    collections::HashMap,
    fs::File,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use provisioning::secret::Password;

use super::{
    Lock,
    properties::{Properties, number},
};

/// `MM_MODEM_LOCK_SIM_PIN`.
const SIM_PIN: u32 = 2;
/// A PIN and an end of line.
const MAX_FILE: u64 = 64;

/// `UnlockRequired` and `UnlockRetries` of a modem whose state says locked.
pub(super) fn lock(modem: &Properties) -> Lock {
    if number(modem, "UnlockRequired") != Some(SIM_PIN) {
        return Lock::Other;
    }
    let retries = modem.get("UnlockRetries").and_then(|value| value.try_clone().ok());
    let retries: Option<HashMap<u32, u32>> = retries.and_then(|value| value.try_into().ok());
    Lock::Pin { retries: retries.and_then(|retries| retries.get(&SIM_PIN).copied()) }
}

/// Why there is no PIN to send.
#[derive(Debug, thiserror::Error)]
pub(super) enum PinError {
    #[error("pin-not-set: the SIM waits for its PIN, and [cellular] pin-file names no file")]
    NotSet,
    #[error("pin-file {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("pin-file {}: others than its owner may read it (mode {mode:03o}, must be 600)", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("pin-file {}: must be 4 to 8 digits", path.display())]
    NoPin { path: PathBuf },
}

/// Reads the PIN from a file that nobody else may read. A PIN is 4 to 8 digits (3GPP TS 31.101 §9.5.1).
pub(super) fn pin(path: Option<&Path>) -> Result<Password, PinError> {
    let path = path.ok_or(PinError::NotSet)?;
    let unreadable = |error| PinError::Unreadable { path: path.to_owned(), error };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(PinError::Open { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text).map_err(unreadable)?;
    let whole = Password::new(text);
    let digits = whole.expose().trim_ascii();
    if (4..=8).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit()) {
        Ok(Password::new(digits.to_owned()))
    } else {
        Err(PinError::NoPin { path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use zbus::{OwnedVariant, Variant};

    use super::*;

    #[test]
    fn what_a_sim_waits_for() {
        let own = |value: Variant<'static>| OwnedVariant::try_from(value).unwrap();
        let mut modem = Properties::from([("UnlockRequired".to_owned(), own(2u32.into()))]);
        assert_eq!(lock(&modem), Lock::Pin { retries: None });
        modem.insert("UnlockRetries".to_owned(), own(HashMap::from([(2u32, 3u32), (4, 10)]).into()));
        assert_eq!(lock(&modem), Lock::Pin { retries: Some(3) });
        modem.insert("UnlockRequired".to_owned(), own(4u32.into()));
        assert_eq!(lock(&modem), Lock::Other);
        assert_eq!(lock(&Properties::new()), Lock::Other);
    }

    #[test]
    fn a_pin_is_read_from_a_private_file_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pin");
        let with = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            pin(Some(&path))
        };
        assert_eq!(with("1234\n", 0o600).unwrap().expose(), "1234");
        assert_eq!(with("12345678", 0o400).unwrap().expose(), "12345678");
        for mode in [0o644, 0o640, 0o604] {
            assert!(matches!(with("1234", mode), Err(PinError::Open { .. })), "{mode:o}");
        }
        for text in ["", "123", "123456789", "12a4", "12 34", &"1".repeat(100)] {
            let error = with(text, 0o600).unwrap_err();
            assert!(matches!(error, PinError::NoPin { .. }), "{text}");
        }
        assert!(!format!("{:?}", with("4711", 0o600)).contains("4711"));
        assert!(!with("471199999", 0o600).unwrap_err().to_string().contains("4711"));
        assert!(matches!(pin(None), Err(PinError::NotSet)));
        fs::remove_file(&path).unwrap();
        assert!(matches!(pin(Some(&path)), Err(PinError::Unreadable { .. })));
    }
}
