//! The secret agent (`org.freedesktop.NetworkManager.SecretAgent`): NetworkManager asks it for the password of our
//! profiles when it needs it, and keeps it nowhere. Served by `station`.

use std::{collections::HashMap, sync::Arc};

use provisioning::secret::Password;
use tokio::sync::{Mutex, mpsc};
use zbus::{ObjectPath, OwnedVariant, Variant};

use super::{
    listen::Heard,
    profile::{is_ours, reply},
    proxies::OwnedSections,
    tracker::Notice,
};

/// Where NetworkManager looks for it, at whoever has registered.
pub(super) const PATH: &str = "/org/freedesktop/NetworkManager/SecretAgent";
/// `NM_SECRET_AGENT_GET_SECRETS_FLAG_REQUEST_NEW`: what it had was refused.
const REQUEST_NEW: u32 = 2;

/// The password of the installed credential; none where nothing is installed.
pub(super) type Kept = Arc<Mutex<Option<Password>>>;

/// The object.
pub(super) struct Agent {
    pub(super) kept: Kept,
    pub(super) heard: mpsc::Sender<Heard>,
}

/// What NetworkManager is told instead of secrets.
#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.freedesktop.NetworkManager.SecretAgent")]
enum SecretError {
    #[zbus(error)]
    Bus(zbus::Error),
    /// We have none for that.
    NoSecrets(String),
}

#[zbus::interface(name = "org.freedesktop.NetworkManager.SecretAgent")]
impl Agent {
    /// Secrets of one section of a profile.
    async fn get_secrets(
        &self,
        profile: OwnedSections,
        _path: ObjectPath<'_>,
        section: &str,
        _hints: Vec<String>,
        flags: u32,
    ) -> Result<HashMap<&'static str, HashMap<&'static str, Variant<'static>>>, SecretError> {
        if section != "802-1x" || !uuid(&profile).is_some_and(is_ours) {
            return Err(SecretError::NoSecrets("none of ours".into()));
        }
        if flags & REQUEST_NEW != 0 {
            let _ = self.heard.try_send(Heard::here(Notice::PasswordRefused));
            return Err(SecretError::NoSecrets("there is no other password".into()));
        }
        match self.kept.lock().await.as_ref() {
            Some(password) => Ok(reply(password)),
            None => Err(SecretError::NoSecrets("nothing is installed".into())),
        }
    }

    /// Each question is answered at once.
    #[zbus(name = "CancelGetSecrets")]
    fn cancel(&self, _path: ObjectPath<'_>, _section: &str) {}

    /// Nothing to keep: the credential is in the vault.
    #[zbus(name = "SaveSecrets")]
    fn save(&self, _profile: OwnedSections, _path: ObjectPath<'_>) {}

    /// The same.
    #[zbus(name = "DeleteSecrets")]
    fn delete(&self, _profile: OwnedSections, _path: ObjectPath<'_>) {}
}

/// `connection.uuid`.
pub(super) fn uuid(profile: &OwnedSections) -> Option<&str> {
    let uuid: &OwnedVariant = profile.get("connection")?.get("uuid")?;
    <&str>::try_from(uuid).ok()
}
