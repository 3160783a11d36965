//! `net.wifioffload.Agent1`: the agent's state for `offloadctl` and whoever else shows it, and what people ask of it.
//!
//! `dbus/net.wifioffload.Agent1.xml` says what it offers, `dbus/README.md` with units and errors. `object` is that object,
//! `authority` asks polkit whether a caller may, `orders` carries out what he asks for, `view` is what there is to see. No
//! secret and no identifier in clear is in it, so the bus policy lets everybody read. The daemon spawns it; a bus that is
//! absent, late or restarted is waited for and never fatal.

mod authority;
mod object;
mod orders;
mod view;

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use zbus::{Connection, connection};

use object::Agent;
pub use orders::Orders;
pub use view::View;

/// Name on the bus, and of the interface.
pub const NAME: &str = "net.wifioffload.Agent1";
/// The one object.
pub const PATH: &str = "/net/wifioffload/Agent1";

/// Wait before the bus is tried again; doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest wait between tries.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// For connecting and getting the name.
const START_LIMIT: Duration = Duration::from_secs(20);

/// What `offloadctl` calls. Whoever calls what changes something is ready to be asked for a password.
#[zbus::proxy(
    interface = "net.wifioffload.Agent1",
    default_service = "net.wifioffload.Agent1",
    default_path = "/net/wifioffload/Agent1"
)]
pub trait Agent1 {
    /// The machine's picture, JSON.
    fn get_status(&self) -> zbus::Result<String>;
    /// The policy that is obeyed, JSON.
    fn get_policy(&self) -> zbus::Result<String>;
    /// The last moves with reasons, oldest first, JSON.
    fn get_log(&self, most: u32) -> zbus::Result<String>;
    /// Get a new credential.
    #[zbus(allow_interactive_auth)]
    fn renew(&self) -> zbus::Result<()>;
    /// Look for Wi-Fi now.
    #[zbus(allow_interactive_auth)]
    fn join(&self) -> zbus::Result<()>;
    /// Back to cellular, and stay there.
    #[zbus(allow_interactive_auth)]
    fn leave(&self) -> zbus::Result<()>;
    /// Where the portal is; PEM of its authorities, or nothing to leave them as they are.
    #[zbus(allow_interactive_auth)]
    fn setup(&self, url: &str, ca_pem: &str) -> zbus::Result<()>;
}

/// Opens a bus: the one of `address`, or the system's (`DBUS_SYSTEM_BUS_ADDRESS` where that is set).
pub async fn connect(address: Option<&str>) -> zbus::Result<Connection> {
    builder(address).build().await
}

/// Offers `view` on the bus until its sender is dropped. Must be called inside a tokio runtime.
pub fn spawn(address: Option<String>, view: watch::Receiver<View>, orders: Orders) {
    tokio::spawn(run(address, view, orders));
}

async fn run(address: Option<String>, mut view: watch::Receiver<View>, orders: Orders) {
    let mut wait = RETRY_FIRST;
    loop {
        match serve(address.as_deref(), &mut view, &orders).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(%error, retry_secs = wait.as_secs(), "not on D-Bus; offloadctl gets no answer")
            }
        }
        sleep(wait).await;
        wait = (wait * 2).min(RETRY_MAX);
    }
}

/// Until there is no more to see, or an error of the bus.
async fn serve(address: Option<&str>, view: &mut watch::Receiver<View>, orders: &Orders) -> zbus::Result<()> {
    let agent = Agent::new(view.clone(), orders.clone());
    let mut told = view.borrow_and_update().clone();
    let offered = builder(address).serve_at(PATH, agent).name(NAME).build();
    let bus = timeout(START_LIMIT, offered).await.map_err(|_| failure("no answer of the bus"))??;
    let agent = bus.object_server().interface::<_, Agent>(PATH).await?;
    loop {
        tokio::select! {
            changed = view.changed() => match changed {
                Ok(()) => {
                    let new = view.borrow_and_update().clone();
                    object::tell_changes(agent.signal_emitter(), &told, &new).await?;
                    told = new;
                }
                Err(_) => return Ok(()),
            },
            () = bus.closed() => return Err(failure("the connection is lost")),
        }
    }
}

fn builder(address: Option<&str>) -> connection::Builder<'_> {
    address.map_or_else(connection::Builder::system, connection::Builder::address)
}

fn failure(text: &str) -> zbus::Error {
    zbus::Error::Failure(text.to_owned())
}

#[cfg(test)]
pub(crate) mod tests;
