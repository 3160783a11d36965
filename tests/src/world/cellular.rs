//! The bearer's two ends: the laptop's modem with ModemManager on it, and the operator's packet gateway.

use std::{fs, path::Path, sync::mpsc, time::Duration};

use anyhow::Result;

use super::{Feed, core::Core, netns, netns::Netns, plan};
use crate::atsim::{
    gateway::{Gateway, Settings},
    manager::{Bus, CellularModem},
    settings,
    simulator::Simulator,
};

/// How often the gateway says that a session is still there; a portal that was restarted learns of it then.
const INTERIM: Duration = Duration::from_secs(5);

/// Modem and gateway.
pub(crate) struct Cellular {
    /// The modem, and ModemManager around it.
    pub(crate) modem: CellularModem,
    gateway: Gateway,
    bus: Bus,
    manager_runs: bool,
}

impl Cellular {
    /// Plugs the modem in and starts ModemManager; no session yet.
    pub(crate) fn build(core: &Core, feed: Feed, work: &Path, logs: &Path) -> Result<Self> {
        let core_name = core.place.name().unwrap_or_default();
        netns::ip(&format!(
            "link add {} type veth peer name {} netns {core_name}",
            plan::WWAN,
            plan::GATEWAY_END
        ))?;
        core.place.ip(&format!("addr add {}/30 dev {}", plan::GATEWAY_ADDRESS, plan::GATEWAY_END))?;
        let here = Netns::here();
        let folder = work.join("modem");
        fs::create_dir_all(&folder)?;
        let bus = Bus::start(&here, &folder, logs, &[plan::dbus_policies()])?;
        let simulator = Simulator::start(settings::identity(), settings::address()?, &folder.join("at.log"))?;
        let (teller, sessions) = mpsc::channel();
        simulator.tell_sessions_to(teller);
        let gateway = Gateway::start(gateway_settings(core, feed)?, sessions)?;
        let modem = CellularModem::start(&here, &bus, simulator, &folder, logs)?;
        Ok(Self { modem, gateway, bus, manager_runs: true })
    }

    /// Address of the system bus.
    pub(crate) fn bus(&self) -> &str {
        self.bus.address()
    }

    /// SIGKILL to ModemManager.
    pub(crate) fn kill_manager(&mut self) -> Result<()> {
        self.manager_runs = false;
        self.modem.kill_manager()
    }

    /// Holds ModemManager still, or lets it go on.
    pub(crate) fn hold_manager(&self, still: bool) -> Result<()> {
        self.modem.hold_manager(still)
    }

    /// Starts ModemManager where it does not run.
    pub(crate) fn start_manager(&mut self) -> Result<()> {
        if !self.manager_runs {
            self.modem.start_manager()?;
            self.manager_runs = true;
        }
        Ok(())
    }

    /// What the gateway tells from now on.
    pub(crate) fn set_feed(&self, feed: Feed) {
        self.gateway.set_silent(feed == Feed::Silent);
        self.gateway.set_imsi(if feed == Feed::OtherImsi { plan::OTHER_IMSI } else { plan::IMSI });
    }

    /// An error that names who died.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        self.bus.daemon.must_run()
    }
}

fn gateway_settings(core: &Core, feed: Feed) -> Result<Settings> {
    // A feed that goes to a port where nobody listens: the gateway works, the portal hears nothing.
    let port = if feed == Feed::Silent { 9 } else { 1813 };
    let imsi = if feed == Feed::OtherImsi { plan::OTHER_IMSI } else { plan::IMSI };
    Ok(Settings {
        place: core.place.clone(),
        server: ([127, 0, 0, 1], port).into(),
        secret: plan::GATEWAY_SECRET.to_owned(),
        imsi: imsi.to_owned(),
        imei: plan::IMEI.to_owned(),
        address: plan::WWAN_ADDRESS.parse()?,
        interim: INTERIM,
        link: Some(plan::GATEWAY_END.to_owned()),
    })
}
