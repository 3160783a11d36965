//! Reads everything that ModemManager shows, at once. The shell below `snapshot`.

use std::collections::HashMap;

use zbus::{
    Connection,
    fdo::{DBusProxy, ObjectManagerProxy, PropertiesProxy},
    names::OwnedInterfaceName,
    proxy::CacheProperties,
};

use super::{
    Owner, Snapshot,
    properties::{Properties, path, paths},
    proxies::TimeProxy,
    snapshot::{Raw, absent, choose, snapshot},
    which::Which,
};
use crate::manager::wwan;

/// ModemManager's name on the bus.
pub(super) const NAME: &str = "org.freedesktop.ModemManager1";
/// Its object manager, and the root of all its objects.
pub(super) const ROOT: &str = "/org/freedesktop/ModemManager1";

const MODEM: &str = "org.freedesktop.ModemManager1.Modem";
const MODEM3GPP: &str = "org.freedesktop.ModemManager1.Modem.Modem3gpp";
const SIM: &str = "org.freedesktop.ModemManager1.Sim";
const BEARER: &str = "org.freedesktop.ModemManager1.Bearer";

/// Bearers that are looked at; unused ones stay listed.
const MAX_BEARERS: usize = 16;

/// Interfaces of one object, each with its properties.
type Interfaces = HashMap<OwnedInterfaceName, Properties>;

/// The modem that we use, for as long as this ModemManager runs: `owner` is its unique name, so that a path of a dead
/// one can never be used at its successor, where it may be another modem's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub(super) owner: String,
    pub(super) path: String,
    /// Object of its SIM, where it has one.
    pub(super) sim: Option<String>,
    /// NetworkManager's device for it, where NetworkManager manages it.
    pub(super) managed: Option<String>,
}

/// Everything, anew. `before` is the modem that was used until now.
pub(super) async fn read(
    bus: &Connection,
    before: Option<&Chosen>,
    which: &Which,
    may_own: Owner,
) -> zbus::Result<(Option<Chosen>, Snapshot)> {
    // Asked first because a call to the name itself would make the bus start a ModemManager that is stopped.
    let Ok(owner) = DBusProxy::new(bus).await?.get_name_owner(NAME.try_into()?).await else {
        return Ok((None, absent()));
    };
    let owner = owner.as_str();
    let manager = ObjectManagerProxy::builder(bus).destination(owner).path(ROOT).build().await?;
    let objects = manager.get_managed_objects().await?;
    // For a moment an object is there without its Modem interface; then it is no modem yet.
    let modems =
        || objects.iter().filter_map(|(path, found)| Some((path.as_str(), found, of(found, MODEM)?)));
    let before = before.filter(|chosen| chosen.owner == owner).map(|chosen| chosen.path.as_str());
    let path = choose(
        modems().map(|(path, _, modem)| (path, modem)).filter(|(_, modem)| which.means(modem)),
        before,
    );
    let Some((path, found, modem)) = modems().find(|(candidate, ..)| Some(*candidate) == path) else {
        return Ok((None, absent()));
    };
    let raw = raw(bus, owner, modem, found).await;
    let sim = super::properties::path(modem, "Sim");
    let managed = match may_own {
        Owner::ModemManager => None,
        Owner::Auto | Owner::NetworkManager => wwan::device(bus, path).await,
    };
    let mut snapshot = snapshot(&raw);
    if let Some(bearer) = &mut snapshot.bearer {
        bearer.managed = managed.is_some();
    }
    Ok((Some(Chosen { owner: owner.to_owned(), path: path.to_owned(), sim, managed }), snapshot))
}

/// The network's time, where the modem has heard it. An error is no news: most networks tell it once, some never.
pub(super) async fn network_time(bus: &Connection, modem: &Chosen) -> Option<String> {
    let time = TimeProxy::builder(bus)
        .destination(modem.owner.as_str())
        .path(modem.path.as_str())
        .cache_properties(CacheProperties::No)
        .build()
        .await
        .ok()?;
    time.get_network_time().await.ok()
}

async fn raw(bus: &Connection, owner: &str, modem: &Properties, found: &Interfaces) -> Raw {
    let sim = match path(modem, "Sim") {
        Some(sim) => all(bus, owner, &sim, SIM).await,
        None => Properties::new(),
    };
    // The object manager lists modems only; these paths come from the modem's properties.
    let mut bearers = Vec::new();
    for bearer in paths(modem, "Bearers").iter().take(MAX_BEARERS) {
        bearers.push(all(bus, owner, bearer, BEARER).await);
    }
    Raw { modem: clone(modem), modem3gpp: of(found, MODEM3GPP).map(clone).unwrap_or_default(), sim, bearers }
}

fn of<'a>(found: &'a Interfaces, interface: &str) -> Option<&'a Properties> {
    found.iter().find(|(name, _)| name.as_str() == interface).map(|(_, properties)| properties)
}

/// Properties of an object that may have gone a moment ago: then there are none.
pub(super) async fn all(bus: &Connection, owner: &str, path: &str, interface: &str) -> Properties {
    let read = async {
        let properties = PropertiesProxy::builder(bus).destination(owner).path(path).build().await?;
        properties.get_all(interface.try_into()?).await.map_err(zbus::Error::from)
    };
    read.await.unwrap_or_default()
}

fn clone(properties: &Properties) -> Properties {
    properties.iter().filter_map(|(name, value)| Some((name.clone(), value.try_clone().ok()?))).collect()
}
