//! The daemon over D-Bus, and what can be wrong with that.

use std::{io, path::PathBuf, time::Duration};

use tokio::time::timeout;
use zbus::{Connection, fdo};

use super::password::Prompt;
use crate::bus::{self, Agent1Proxy};

/// For the daemon's answer; it never waits for anything before it tells how it is.
const LIMIT: Duration = Duration::from_secs(5);
/// For one that waits until somebody has typed a password; the daemon gives up first.
const ASKED_LIMIT: Duration = Duration::from_secs(150);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CtlError {
    /// Nobody owns the name, or there is no bus.
    #[error("wifi-offloadd does not run: {0}\nStart it with: systemctl start wifi-offloadd")]
    NotRunning(String),
    /// polkit, or the bus itself.
    #[error("not allowed: {0}\nTry it as root, or ask the administrator for a polkit rule: offloadctl(1)")]
    Denied(String),
    /// What was asked for makes no sense to the daemon.
    #[error("refused: {0}")]
    Refused(String),
    /// Anything else of the bus.
    #[error("wifi-offloadd could not be asked: {0}")]
    Bus(zbus::Error),
    /// It hangs.
    #[error("wifi-offloadd does not answer; its watchdog restarts it within three minutes")]
    Silent,
    /// A file that was named.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// No terminal.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl CtlError {
    pub(super) fn exit_status(&self) -> u8 {
        match self {
            Self::NotRunning(_) => 3,
            Self::Denied(_) => 4,
            _ => 1,
        }
    }
}

impl From<zbus::Error> for CtlError {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::FDO(error) => match *error {
                fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_) => {
                    Self::NotRunning(format!("nobody is {} on D-Bus", bus::NAME))
                }
                fdo::Error::AccessDenied(text)
                | fdo::Error::AuthFailed(text)
                | fdo::Error::InteractiveAuthorizationRequired(text) => Self::Denied(text),
                fdo::Error::InvalidArgs(text)
                | fdo::Error::IOError(text)
                | fdo::Error::LimitsExceeded(text) => Self::Refused(text),
                other => Self::Bus(other.into()),
            },
            other => Self::Bus(other),
        }
    }
}

/// The daemon.
pub(super) struct Daemon {
    /// The connection.
    pub(super) bus: Connection,
    proxy: Agent1Proxy<'static>,
}

impl Daemon {
    /// Opens the bus; whether the daemon is on it the first call tells.
    pub(super) async fn find(address: Option<&str>) -> Result<Self, CtlError> {
        let bus = timeout(LIMIT, bus::connect(address)).await.map_err(|_| CtlError::Silent)?;
        let bus = bus.map_err(|error| CtlError::NotRunning(error.to_string()))?;
        let proxy = Agent1Proxy::builder(&bus).cache_properties(zbus::proxy::CacheProperties::No);
        Ok(Self { proxy: proxy.build().await?, bus })
    }

    pub(super) async fn status(&self) -> Result<String, CtlError> {
        soon(self.proxy.get_status()).await
    }

    pub(super) async fn policy(&self) -> Result<String, CtlError> {
        soon(self.proxy.get_policy()).await
    }

    pub(super) async fn log(&self, most: u32) -> Result<String, CtlError> {
        soon(self.proxy.get_log(most)).await
    }

    pub(super) async fn renew(&self) -> Result<(), CtlError> {
        self.asked(self.proxy.renew()).await
    }

    pub(super) async fn join(&self) -> Result<(), CtlError> {
        self.asked(self.proxy.join()).await
    }

    pub(super) async fn leave(&self) -> Result<(), CtlError> {
        self.asked(self.proxy.leave()).await
    }

    pub(super) async fn setup(&self, url: &str, ca_pem: &str) -> Result<(), CtlError> {
        self.asked(self.proxy.setup(url, ca_pem)).await
    }

    /// A call for which polkit may want a password.
    async fn asked(&self, call: impl Future<Output = zbus::Result<()>>) -> Result<(), CtlError> {
        let _prompt = Prompt::offer();
        let answer = timeout(ASKED_LIMIT, call).await.map_err(|_| CtlError::Silent)?;
        Ok(answer?)
    }
}

async fn soon<T>(call: impl Future<Output = zbus::Result<T>>) -> Result<T, CtlError> {
    Ok(timeout(LIMIT, call).await.map_err(|_| CtlError::Silent)??)
}
