//! The one part of the configuration that a program writes: `offloadctl setup URL`, as a fragment of its own beside
//! `agent.toml`, so that no file of a person is changed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    ConfigError, load,
    values::{Url, ValueError},
};
use crate::vault::replace;

/// Its name; fragments of later names still win.
const FRAGMENT: &str = "50-setup.toml";

/// Why the portal was not set.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Not an URL that the configuration takes.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A fragment of a later name says something else.
    #[error("another fragment in {0} sets [portal] url to something else, and wins")]
    Overridden(PathBuf),
    /// A file could not be written.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// What stands there already is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It cannot be written as TOML.
    #[error(transparent)]
    Encode(#[from] toml::ser::Error),
}

/// The fragment's text.
pub fn portal_fragment(url: &str) -> Result<String, SetupError> {
    let Url(url) = Url::try_from(url.to_owned())?;
    let portal = toml::Table::from_iter([("url".to_owned(), toml::Value::String(url))]);
    let whole = toml::Table::from_iter([("portal".to_owned(), toml::Value::Table(portal))]);
    Ok(format!("# Written by `offloadctl setup`.\n{}", toml::to_string(&whole)?))
}

/// Puts it beside the configuration `path`, and looks whether it counts; where it does not, it is taken away again.
pub fn keep_portal(path: &Path, fragment: &str, url: &str) -> Result<(), SetupError> {
    let mut folder = path.as_os_str().to_owned();
    folder.push(".d");
    let folder = PathBuf::from(folder);
    let failed = |error| SetupError::Io(folder.clone(), error);
    fs::create_dir_all(&folder).map_err(failed)?;
    let file = folder.join(FRAGMENT);
    let before = fs::read(&file).ok();
    replace(&file, fragment.as_bytes(), 0o644).map_err(failed)?;
    let outcome = match load(path) {
        Ok(settings) if settings.portal.url.as_deref() == Some(url) => return Ok(()),
        Ok(_) => SetupError::Overridden(folder.clone()),
        Err(error) => error.into(),
    };
    match before {
        Some(octets) => replace(&file, &octets, 0o644),
        None => fs::remove_file(&file),
    }
    .map_err(failed)?;
    Err(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(config: &Path, url: &str) -> Result<(), SetupError> {
        keep_portal(config, &portal_fragment(url)?, url)
    }

    #[test]
    fn it_counts_and_leaves_the_rest_alone() {
        let dir = tempfile::tempdir().expect("directory");
        let config = dir.path().join("agent.toml");
        fs::write(&config, "[portal]\nurl = \"https://old.example\"\n[cellular]\napn = \"kept\"\n")
            .expect("writes");
        let url = "https://portal.operator.example:8443";
        for _ in 0..2 {
            set(&config, url).expect("is set");
            let settings = load(&config).expect("loads");
            assert_eq!((settings.portal.url.as_deref(), settings.cellular.apn.as_str()), (Some(url), "kept"));
        }
    }

    #[test]
    fn what_is_no_https_url_is_refused() {
        for url in
            ["http://portal.example", "portal.example", "https://u:p@portal.example", "", "https://a\n[x]"]
        {
            assert!(matches!(portal_fragment(url), Err(SetupError::Value(_))), "{url}");
        }
    }

    #[test]
    fn a_later_fragment_wins_and_that_is_said() {
        let dir = tempfile::tempdir().expect("directory");
        let config = dir.path().join("agent.toml");
        fs::create_dir(dir.path().join("agent.toml.d")).expect("makes");
        fs::write(&config, "").expect("writes");
        fs::write(
            dir.path().join("agent.toml.d/90-fleet.toml"),
            "[portal]\nurl = \"https://fleet.example\"\n",
        )
        .expect("writes");
        assert!(matches!(set(&config, "https://mine.example"), Err(SetupError::Overridden(_))));
        assert!(!dir.path().join("agent.toml.d").join(FRAGMENT).exists());
    }
}
