//! The two calls that change something, `Modem.Simple.Connect` and `Disconnect`.

use std::{collections::HashMap, time::Duration};

use tokio::time::timeout;
use zbus::{Connection, ObjectPath, Variant, proxy::CacheProperties};

use super::{
    Command, ConnectFailure,
    failure::{TIMEOUT, failure, of},
    proxies::SimpleProxy,
    read::Chosen,
};

/// ModemManager itself gives up after 180 s; this is longer, so that its reason is the one that is told.
const LIMIT: Duration = Duration::from_secs(190);
/// `MM_BEARER_IP_FAMILY_IPV4`. Not IPv4v6: Huawei's plugin accepts only this one, and the others all do.
const IPV4: u32 = 1;

/// Does it, and waits for the answer.
pub(super) async fn call(bus: &Connection, modem: &Chosen, command: &Command) -> Result<(), ConnectFailure> {
    match timeout(LIMIT, call_simple(bus, modem, command)).await {
        Ok(result) => result.map_err(|error| failure(&error)),
        Err(_) => Err(of(TIMEOUT, "ModemManager did not answer")),
    }
}

async fn call_simple(bus: &Connection, modem: &Chosen, command: &Command) -> zbus::Result<()> {
    let simple = SimpleProxy::builder(bus)
        .destination(modem.owner.as_str())
        .path(modem.path.as_str())
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    match command {
        Command::Connect { apn, allow_roaming } => {
            let (apn, family, roaming) =
                (Variant::from(apn.as_str()), Variant::from(IPV4), Variant::from(*allow_roaming));
            let properties =
                HashMap::from([("apn", &apn), ("ip-type", &family), ("allow-roaming", &roaming)]);
            // Enables the modem by itself and waits for registration, at most 60 s.
            simple.connect(properties).await.map(drop)
        }
        Command::Unlock => Ok(()),
        Command::Disconnect => simple.disconnect(&ObjectPath::from_static_str_unchecked("/")).await,
    }
}
