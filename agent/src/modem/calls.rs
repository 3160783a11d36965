//! The calls that change something: `Modem.Simple.Connect` and `Disconnect`, `Sim.SendPin`.

use std::{collections::HashMap, time::Duration};

use provisioning::secret::Password;
use tokio::time::timeout;
use zbus::{Connection, ObjectPath, Variant, proxy::CacheProperties};

use super::{
    ConnectFailure,
    failure::{NO_MODEM, TIMEOUT, failure, of},
    family::Family,
    proxies::{SimProxy, SimpleProxy},
    read::Chosen,
};
use crate::manager::wwan;

/// ModemManager itself gives up after 180 s; this is longer, so that its reason is the one that is told.
const LIMIT: Duration = Duration::from_secs(190);
/// Connects the default bearer with the first family that is not refused for being one, and gives that.
pub(super) async fn connect(
    bus: &Connection,
    modem: &Chosen,
    apn: &str,
    allow_roaming: bool,
    mut family: Family,
) -> Result<Family, ConnectFailure> {
    if let Some(device) = &modem.managed {
        // What the bearer carries is the profile's to say.
        let connected = timeout(LIMIT, wwan::connect(bus, device, apn, allow_roaming)).await;
        return connected
            .unwrap_or_else(|_| Err(of(TIMEOUT, "NetworkManager did not answer")))
            .map(|()| family);
    }
    loop {
        let failed = match limited(simple_connect(bus, modem, apn, allow_roaming, family)).await {
            Ok(()) => return Ok(family),
            Err(failed) => failed,
        };
        let Some(next) = family.after(&failed.error) else { return Err(failed) };
        tracing::info!(error = failed.error, refused = ?family, next = ?next, "the network takes another address family");
        family = next;
    }
}

/// Disconnects every bearer.
pub(super) async fn disconnect(bus: &Connection, modem: &Chosen) -> Result<(), ConnectFailure> {
    if let Some(device) = &modem.managed {
        let disconnected = timeout(LIMIT, wwan::disconnect(bus, device)).await;
        return disconnected.unwrap_or_else(|_| Err(of(TIMEOUT, "NetworkManager did not answer")));
    }
    limited(async { simple(bus, modem).await?.disconnect(&ObjectPath::from_static_str_unchecked("/")).await })
        .await
}

/// Sends the PIN to the modem's SIM.
pub(super) async fn unlock(bus: &Connection, modem: &Chosen, pin: &Password) -> Result<(), ConnectFailure> {
    let sim = modem.sim.as_deref().ok_or_else(|| of(NO_MODEM, "the modem shows no SIM"))?;
    limited(async {
        let sim = SimProxy::builder(bus)
            .destination(modem.owner.as_str())
            .path(sim)
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        sim.send_pin(pin.expose()).await
    })
    .await
}

async fn limited(work: impl Future<Output = zbus::Result<()>>) -> Result<(), ConnectFailure> {
    match timeout(LIMIT, work).await {
        Ok(result) => result.map_err(|error| failure(&error)),
        Err(_) => Err(of(TIMEOUT, "ModemManager did not answer")),
    }
}

async fn simple_connect(
    bus: &Connection,
    modem: &Chosen,
    apn: &str,
    allow_roaming: bool,
    family: Family,
) -> zbus::Result<()> {
    let (apn, family, roaming) =
        (Variant::from(apn), Variant::from(family.number()), Variant::from(allow_roaming));
    let properties = HashMap::from([("apn", &apn), ("ip-type", &family), ("allow-roaming", &roaming)]);
    // Enables the modem by itself and waits for registration, at most 60 s.
    simple(bus, modem).await?.connect(properties).await.map(drop)
}

async fn simple<'a>(bus: &'a Connection, modem: &'a Chosen) -> zbus::Result<SimpleProxy<'a>> {
    SimpleProxy::builder(bus)
        .destination(modem.owner.as_str())
        .path(modem.path.as_str())
        .cache_properties(CacheProperties::No)
        .build()
        .await
}
