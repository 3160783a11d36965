//! `net.wifioffload.Agent1`: the agent's state for `offloadctl` and whoever else shows it.
//!
//! ```text
//! service    net.wifioffload.Agent1            on the system bus
//! object     /net/wifioffload/Agent1
//! interface  net.wifioffload.Agent1
//! methods    GetStatus() -> s                  the machine's Status as JSON
//! properties Status s, read only               the same; PropertiesChanged carries each change
//! ```
//!
//! No errors of its own. No secret and no identifier in clear is in it (`machine::Status`), so the bus policy lets
//! everybody read. The daemon spawns it; a bus that is absent, late or restarted is waited for and never fatal.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use zbus::{Connection, connection};

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

/// What `offloadctl` calls.
#[zbus::proxy(
    interface = "net.wifioffload.Agent1",
    default_service = "net.wifioffload.Agent1",
    default_path = "/net/wifioffload/Agent1"
)]
pub trait Agent1 {
    /// The machine's picture, JSON.
    fn get_status(&self) -> zbus::Result<String>;
}

/// Opens a bus: the one of `address`, or the system's (`DBUS_SYSTEM_BUS_ADDRESS` where that is set).
pub async fn connect(address: Option<&str>) -> zbus::Result<Connection> {
    builder(address).build().await
}

/// Offers `status` on the bus until its sender is dropped. Must be called inside a tokio runtime.
pub fn spawn(address: Option<String>, status: watch::Receiver<String>) {
    tokio::spawn(run(address, status));
}

/// The object.
struct Agent {
    status: watch::Receiver<String>,
}

#[zbus::interface(name = "net.wifioffload.Agent1")]
impl Agent {
    /// The machine's picture, JSON.
    fn get_status(&self) -> String {
        self.status.borrow().clone()
    }

    /// The same.
    #[zbus(property)]
    fn status(&self) -> String {
        self.status.borrow().clone()
    }
}

async fn run(address: Option<String>, mut status: watch::Receiver<String>) {
    let mut wait = RETRY_FIRST;
    loop {
        match serve(address.as_deref(), &mut status).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(%error, retry_secs = wait.as_secs(), "not on D-Bus; offloadctl gets no answer")
            }
        }
        sleep(wait).await;
        wait = (wait * 2).min(RETRY_MAX);
    }
}

/// Until there is no more status, or an error of the bus.
async fn serve(address: Option<&str>, status: &mut watch::Receiver<String>) -> zbus::Result<()> {
    let agent = Agent { status: status.clone() };
    let offered = builder(address).serve_at(PATH, agent).name(NAME).build();
    let bus = timeout(START_LIMIT, offered).await.map_err(|_| failure("no answer of the bus"))??;
    let agent = bus.object_server().interface::<_, Agent>(PATH).await?;
    loop {
        tokio::select! {
            changed = status.changed() => match changed {
                Ok(()) => {
                    status.mark_unchanged();
                    agent.get().await.status_changed(agent.signal_emitter()).await?;
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
