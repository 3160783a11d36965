//! What callers change: words to the machine, and where the portal is.

use std::path::PathBuf;

use tokio::sync::{mpsc, watch};
use zbus::fdo;

use crate::{
    config::{self, SetupError},
    machine::{Input, UserWord},
    provision::{http::Roots, https},
    vault::replace,
};

/// Longest PEM text, octets.
const MAX_CA: usize = 64 * 1024;
/// Longest URL, octets.
const MAX_URL: usize = 2048;

/// Where orders go.
#[derive(Clone)]
pub struct Orders {
    /// Into the machine.
    pub inputs: mpsc::Sender<Input>,
    /// Into the portal's client, which reads it for each request.
    pub portal: watch::Sender<https::Settings>,
    /// `agent.toml`; the fragment that is written stands beside it.
    pub config: PathBuf,
}

impl Orders {
    /// Returns when the machine's queue has it.
    pub(super) async fn say(&self, word: UserWord) -> fdo::Result<()> {
        let sent = self.inputs.send(Input::User(word)).await;
        sent.map_err(|_| fdo::Error::Failed("wifi-offloadd is stopping".to_owned()))
    }

    /// Keeps it in the configuration, uses it from now on, and asks the new portal at once.
    ///
    /// Both are checked before anything is written.
    pub(super) async fn set_up(&self, url: &str, ca_pem: &str) -> fdo::Result<()> {
        if url.len() > MAX_URL || ca_pem.len() > MAX_CA {
            return Err(fdo::Error::InvalidArgs("too long".to_owned()));
        }
        if !ca_pem.is_empty() {
            Roots::from_pem(ca_pem.as_bytes())
                .map_err(|error| fdo::Error::InvalidArgs(format!("the certificates: {error}")))?;
        }
        let fragment = config::portal_fragment(url).map_err(refused)?;
        config::keep_portal(&self.config, &fragment, url).map_err(refused)?;
        if !ca_pem.is_empty() {
            let path = self.portal.borrow().ca.clone();
            replace(&path, ca_pem.as_bytes(), 0o644)
                .map_err(|error| fdo::Error::IOError(format!("{}: {error}", path.display())))?;
        }
        self.portal.send_modify(|settings| settings.url = Some(url.to_owned()));
        tracing::info!(event = "set-up", url, "the portal has been set");
        self.say(UserWord::Renew).await
    }
}

fn refused(error: SetupError) -> fdo::Error {
    match error {
        SetupError::Value(_) | SetupError::Overridden(_) => fdo::Error::InvalidArgs(error.to_string()),
        SetupError::Io(..) | SetupError::Config(_) | SetupError::Encode(_) => {
            fdo::Error::IOError(error.to_string())
        }
    }
}
