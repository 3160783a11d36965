//! The daemon's configuration: `agent.toml`, then `agent.toml.d/*.toml` beside it in the order of their names.
//!
//! Each file is read into a [`fragment`] whose keys are all optional, the fragments are laid over each other, and what
//! comes out is [`Settings`], complete and checked. `agent/agent.toml` is the file that gets installed and the
//! reference of every key. The daemon calls [`load`] at start.

mod diagnostic;
mod fragment;
mod settings;
mod setup;
mod values;

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use self::fragment::Fragment;
pub use self::{
    diagnostic::Diagnostic,
    settings::{Cellular, Log, Offload, Portal, Settings, Sms, State, Supplicant, Wlan},
    setup::{SetupError, keep_portal, portal_fragment},
    values::ValueError,
};

/// Longest file, octets.
const MAX_FILE: u64 = 64 * 1024;
/// Most fragments.
const MAX_FRAGMENTS: usize = 100;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or directory could not be read.
    #[error("{path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Longer than any configuration, or too many fragments.
    #[error("{0}: too much to be a configuration")]
    TooMuch(PathBuf),
    /// A file says something wrong.
    #[error("{0}")]
    Wrong(Box<Diagnostic>),
}

/// Reads `path` and the fragments beside it.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    let mut whole = read(path)?;
    for path in fragments(path)? {
        whole.lay_over(read(&path)?);
    }
    Ok(Settings::from(whole))
}

/// `NAME.d/*.toml`, sorted by name; hidden files are somebody's editor.
fn fragments(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let mut directory = path.as_os_str().to_owned();
    directory.push(".d");
    let directory = PathBuf::from(directory);
    let failed = |source| ConfigError::Read { path: directory.clone(), source };
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
        if paths.len() > MAX_FRAGMENTS {
            return Err(ConfigError::TooMuch(directory));
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Fragment, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAX_FILE) {
        return Err(ConfigError::TooMuch(path.to_owned()));
    }
    toml::from_str(&text).map_err(|error| {
        ConfigError::Wrong(Box::new(Diagnostic::new(path, &text, error.span(), error.message())))
    })
}

#[cfg(test)]
mod tests;
