//! Whether a caller may do what he asks for: polkit's word, by `org.freedesktop.PolicyKit1.Authority`
//! (polkit's D-Bus API, `CheckAuthorization`).
//!
//! Root may do everything and is not asked about. Where there is no polkit, or it does not answer, only root may.

use std::{collections::HashMap, time::Duration};

use tokio::{sync::Semaphore, time::timeout};
use zbus::{
    Connection, Variant, fdo,
    message::{Flags, Header},
    names::UniqueName,
};

/// Checks under way at most; each may stand for as long as somebody thinks about his password.
const MOST: usize = 16;
/// For an answer without anybody being asked.
const LIMIT: Duration = Duration::from_secs(10);
/// For somebody to type a password.
const ASKED_LIMIT: Duration = Duration::from_secs(120);
/// `CheckAuthorizationFlags`: polkit may ask the person for a password.
const ALLOW_USER_INTERACTION: u32 = 1;

/// What needs a right; the names are those of `dbus/net.wifioffload.agent.policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Join,
    Leave,
    Renew,
    Setup,
}

impl Right {
    /// polkit's name of it.
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::Join => "net.wifioffload.agent.join",
            Self::Leave => "net.wifioffload.agent.leave",
            Self::Renew => "net.wifioffload.agent.renew",
            Self::Setup => "net.wifioffload.agent.setup",
        }
    }
}

#[zbus::proxy(
    interface = "org.freedesktop.PolicyKit1.Authority",
    default_service = "org.freedesktop.PolicyKit1",
    default_path = "/org/freedesktop/PolicyKit1/Authority"
)]
trait Authority {
    /// Gives (is_authorized, is_challenge, details).
    fn check_authorization(
        &self,
        subject: &(&str, HashMap<&str, Variant<'_>>),
        action_id: &str,
        details: HashMap<&str, &str>,
        flags: u32,
        cancellation_id: &str,
    ) -> zbus::Result<(bool, bool, HashMap<String, String>)>;
}

/// Asks for callers of one service.
#[derive(Debug)]
pub(super) struct Gate {
    places: Semaphore,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self { places: Semaphore::new(MOST) }
    }

    /// An error where the caller may not do it:
    ///
    /// - `org.freedesktop.DBus.Error.InteractiveAuthorizationRequired`: with a password he may, and none was asked for,
    /// - `org.freedesktop.DBus.Error.AccessDenied`: he may not, or only root may because polkit does not answer,
    /// - `org.freedesktop.DBus.Error.LimitsExceeded`: too many callers are being asked about.
    pub(super) async fn pass(&self, bus: &Connection, header: &Header<'_>, right: Right) -> fdo::Result<()> {
        let caller = header.sender().ok_or_else(|| denied("the caller has no name on the bus"))?;
        if is_root(bus, caller).await? {
            return Ok(());
        }
        let _place = self.places.try_acquire().map_err(|_| {
            fdo::Error::LimitsExceeded("too many callers wait for polkit; try again later".to_owned())
        })?;
        let may_ask = header.primary().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH);
        let verdict = ask_polkit(bus, caller, right, may_ask).await;
        let allowed = matches!(&verdict, Ok((true, _)));
        tracing::info!(event = "asked-polkit", action = right.action(), allowed, "polkit was asked");
        match verdict {
            Ok((true, _)) => Ok(()),
            Ok((false, true)) if !may_ask => Err(fdo::Error::InteractiveAuthorizationRequired(format!(
                "polkit wants a password for {}",
                right.action()
            ))),
            Ok((false, _)) => Err(denied(&format!("polkit does not allow {}", right.action()))),
            Err(why) => Err(denied(&format!("only root may: {why}"))),
        }
    }
}

async fn is_root(bus: &Connection, caller: &UniqueName<'_>) -> fdo::Result<bool> {
    let asked = async {
        let driver = fdo::DBusProxy::new(bus).await?;
        driver.get_connection_unix_user(caller.clone().into()).await
    };
    // A caller who has left the bus is nobody.
    let user = timeout(LIMIT, asked).await.map_err(|_| denied("the bus does not say who the caller is"))?;
    user.map(|user| user == 0).map_err(|_| denied("the bus does not know the caller"))
}

/// polkit's answer: allowed, and whether a password would help.
async fn ask_polkit(
    bus: &Connection,
    caller: &UniqueName<'_>,
    right: Right,
    may_ask: bool,
) -> Result<(bool, bool), &'static str> {
    let subject = ("system-bus-name", HashMap::from([("name", Variant::from(caller.as_str()))]));
    let flags = if may_ask { ALLOW_USER_INTERACTION } else { 0 };
    let asked = async {
        let authority = AuthorityProxy::new(bus).await?;
        authority.check_authorization(&subject, right.action(), HashMap::new(), flags, "").await
    };
    match timeout(if may_ask { ASKED_LIMIT } else { LIMIT }, asked).await {
        Ok(Ok((allowed, challenge, _))) => Ok((allowed, challenge)),
        Ok(Err(error)) => {
            tracing::warn!(%error, "polkit could not be asked");
            Err("polkit does not run, or does not know the action")
        }
        Err(_) => Err("polkit did not answer in time"),
    }
}

fn denied(text: &str) -> fdo::Error {
    fdo::Error::AccessDenied(text.to_owned())
}
