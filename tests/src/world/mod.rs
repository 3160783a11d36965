//! The world around the agent: packet gateway, operator's core, access point, laptop.
//!
//! `netns`, `daemon` and `radio` are the tools; each other file is one place of the picture in tests/README.md. The
//! laptop is where we are: the virtual laptop's first namespace, or a private one on the host (there without radio).

pub(crate) mod ap;
pub(crate) mod bare;
pub(crate) mod capture;
mod cellular;
mod control;
pub(crate) mod core;
pub(crate) mod daemon;
mod laptop;
pub(crate) mod netns;
pub(crate) mod network_manager;
pub(crate) mod owner;
pub(crate) mod picture;
pub(crate) mod plan;
mod radio;
pub(crate) mod smsc;
mod stand_in;
mod supplicant;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Result, anyhow, bail};

use crate::{
    clock,
    demo::steps::Story,
    hotspot::{Authority, Hotspot},
    report::Reporter,
    traffic::Server,
    workshop,
};
use ap::AccessPoint;
use capture::Capture;
use cellular::Cellular;
use core::Core;
use laptop::Agent;
use netns::Netns;
use owner::Manager;
use plan::LAPTOP_WLAN;
use smsc::MessageCentre;
use supplicant::Supplicant;

/// What the packet gateway tells the portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feed {
    /// The truth.
    Honest,
    /// Nothing.
    Silent,
    /// That the device's address belongs to another SIM.
    OtherImsi,
}

/// How the world is to be.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// What the packet gateway tells.
    pub(crate) feed: Feed,
    /// With Wi-Fi; needs a kernel that has mac80211_hwsim.
    pub(crate) radio: bool,
    /// Folder of our programs.
    pub(crate) programs: PathBuf,
    /// Folder for everything that is not a result: databases, keys, saved configurations.
    pub(crate) work: PathBuf,
    /// Folder for results.
    pub(crate) out: PathBuf,
}

/// All of it. Fields are dropped in this order: who uses others goes before them.
pub(crate) struct World {
    /// wifi-offloadd.
    pub(crate) agent: Agent,
    supplicant: Option<Supplicant>,
    /// NetworkManager, where it owns something.
    manager: Option<Manager>,
    rogue: Option<AccessPoint>,
    open: Option<OpenNetwork>,
    captures: Vec<Capture>,
    ap: Option<AccessPoint>,
    smsc: Option<MessageCentre>,
    /// Modem and packet gateway.
    pub(crate) cellular: Cellular,
    /// Server in the Internet.
    pub(crate) internet: Server,
    /// The operator's core.
    pub(crate) core: Core,
    options: Options,
    wlan_mac: Option<String>,
}

/// An open network: its access point, and the gateway behind that.
pub(crate) struct OpenNetwork {
    /// On the air.
    pub(crate) ap: AccessPoint,
    /// Who lets stations through.
    pub(crate) hotspot: Hotspot,
}

impl World {
    /// Builds everything but the agent's process; the access point is out of range.
    pub(crate) fn build(options: &Options, reporter: &Reporter) -> Result<Self> {
        let Options { programs, work, .. } = options;
        let logs = options.out.join("log");
        for folder in [work, &logs, &work.join("portal"), &work.join("secrets"), &work.join("captures")] {
            fs::create_dir_all(folder)?;
        }
        netns::ip("link set lo up")?;
        reporter.progress("the operator's core: DNS, portal, AAA, a piece of the Internet");
        let core = Core::build(&programs.join("portal-aaa"), &work.join("portal"), &logs)?;
        reporter.progress("the laptop: system bus, polkit, modem, ModemManager");
        let cellular = Cellular::build(&core, options.feed, work, &logs)?;
        let agent = Agent::new(programs, &core, cellular.bus(), work, &logs)?;
        let internet = Server::start(&core.place, plan::INTERNET.parse()?)?;
        let mut world = Self {
            agent,
            supplicant: None,
            manager: None,
            rogue: None,
            open: None,
            captures: Vec::new(),
            ap: None,
            smsc: None,
            cellular,
            internet,
            core,
            options: options.clone(),
            wlan_mac: None,
        };
        if options.radio {
            reporter.progress("Wi-Fi: radios, access point, supplicant");
            world.build_radio(&logs)?;
        } else {
            // A credential is made for a WLAN card's address; without a radio this stands for the card.
            netns::ip(&format!("link add {LAPTOP_WLAN} type veth peer name unused"))?;
        }
        Ok(world)
    }

    fn build_radio(&mut self, logs: &Path) -> Result<()> {
        let work = &self.options.work;
        radio::load(ap::RADIOS)?;
        let ap = AccessPoint::build(&self.core.place, work, logs)?;
        let mut supplicant = Supplicant::new(&work.join("secrets"), logs)?;
        supplicant.start()?;
        let folder = work.join("captures");
        // What hwsim0 shows is what is on the air: encrypted frames are encrypted there.
        netns::ip("link set hwsim0 up")?;
        let here = Netns::here();
        self.captures = vec![
            Capture::start("air", &here, &["hwsim0"], &folder, logs)?,
            Capture::start("ap-to-aaa", &self.core.place, &["to-ap"], &folder, logs)?,
            // The bearer's own interface comes and goes with the session, and tcpdump would go with it.
            Capture::start(
                "device-to-portal",
                &self.core.place,
                &["any", "host", plan::WWAN_ADDRESS],
                &folder,
                logs,
            )?,
        ];
        self.wlan_mac = Some(mac_of(LAPTOP_WLAN)?);
        self.ap = Some(ap);
        self.supplicant = Some(supplicant);
        Ok(())
    }

    /// An open network with a WISPr gateway, out of range; a policy that names it; an agent that trusts who signed the
    /// login page's certificate. Once: the agent must not run, and starts with nothing learnt.
    pub(crate) fn set_up_hotspot(&mut self) -> Result<()> {
        if self.open.is_some() {
            return Ok(());
        }
        let Options { work, out, .. } = &self.options;
        let logs = out.join("log");
        // nft's first question is not one for which the kernel loads them by itself.
        workshop::run(Command::new("modprobe").args([
            "-a",
            "nf_tables",
            "nft_chain_nat",
            "nft_redir",
            "nft_reject_ipv4",
        ]))?;
        let authority = Authority::new()?;
        let hotspot = Hotspot::build(&self.core.place, &authority, work, &logs)?;
        let mut ap = AccessPoint::build_open(&hotspot.place, work, &logs)?;
        hotspot.open(ap::OPEN, &authority, &[plan::HOTSPOT_NAME])?;
        ap.give_addresses(&logs)?;
        self.agent.lay_over(Some(&format!("[wlan]\nlogin-ca = \"{}\"\n", hotspot.ca.display())))?;
        self.agent.forget()?;
        let networks = format!(
            "[{{ ssid = \"{}\", priority = 10 }}, {{ ssid = \"{}\", priority = 5, wispr = \
             {{ login-names = [\"{}\"], location = \"OPERATOR,\" }} }}]",
            plan::SSID,
            plan::HOTSPOT_SSID,
            plan::HOTSPOT_NAME
        );
        self.core.set_policy(&[("networks", &networks)])?;
        self.open = Some(OpenNetwork { ap, hotspot });
        Ok(())
    }

    /// The open network; [`World::set_up_hotspot`] makes it.
    pub(crate) fn open(&self) -> Result<&OpenNetwork> {
        self.open.as_ref().ok_or_else(|| anyhow!("a world without open network"))
    }

    /// Everybody out of range, and what a failed case may have left behind put right.
    pub(crate) fn calm(&mut self) -> Result<()> {
        self.rogue = None;
        self.take_back()?;
        if let Some(open) = &self.open {
            open.ap.radio.in_range(false)?;
            open.hotspot.calm()?;
        }
        self.cellular.set_feed(Feed::Honest);
        self.cellular.start_manager()?;
        if let Some(ap) = &self.ap {
            ap.radio.in_range(false)?;
            if Some(mac_of(LAPTOP_WLAN)?) != self.wlan_mac {
                self.restore_wlan_mac()?;
            }
        }
        match &mut self.supplicant {
            Some(supplicant) if supplicant.daemon.pid().is_none() => supplicant.start(),
            _ => Ok(()),
        }
    }

    /// Takes agent and supplicant off the laptop, so that somebody else can have it until [`World::calm`].
    fn vacate(&mut self) -> Result<()> {
        self.ap()?.radio.in_range(false)?;
        self.agent.daemon.stop()?;
        self.supplicant()?.daemon.stop()
    }

    /// The operator's access point.
    pub(crate) fn ap(&self) -> Result<&AccessPoint> {
        self.ap.as_ref().ok_or_else(|| anyhow!("a world without radio"))
    }

    /// The same, to be changed.
    pub(crate) fn ap_mut(&mut self) -> Result<&mut AccessPoint> {
        self.ap.as_mut().ok_or_else(|| anyhow!("a world without radio"))
    }

    /// The operator's message centre; [`World::set_up_sms`] starts it.
    pub(crate) fn smsc(&mut self) -> Result<&mut MessageCentre> {
        self.smsc.as_mut().ok_or_else(|| anyhow!("a world without message centre"))
    }

    /// A message centre, a portal that is connected to it, and an agent that may use it after two seconds.
    pub(crate) fn set_up_sms(&mut self) -> Result<()> {
        if self.smsc.is_some() {
            return Ok(());
        }
        self.agent.daemon.stop()?;
        let Options { work, out, .. } = &self.options;
        let packages = smsc::place()?;
        let simulator = &self.cellular.modem.simulator;
        let smsc = MessageCentre::start(&self.core, simulator, &packages, work, &out.join("log"))?;
        let table = self.core.set_up_sms(&crate::atsim::settings::identity().msisdn)?;
        self.agent.lay_over(Some(&format!("{table}after-secs = 2\n")))?;
        smsc.bound()?;
        self.smsc = Some(smsc);
        Ok(())
    }

    /// The laptop's supplicant.
    pub(crate) fn supplicant(&mut self) -> Result<&mut Supplicant> {
        self.supplicant.as_mut().ok_or_else(|| anyhow!("a world without radio"))
    }

    /// The WLAN card's own address.
    pub(crate) fn wlan_mac(&self) -> Result<&str> {
        self.wlan_mac.as_deref().ok_or_else(|| anyhow!("a world without radio"))
    }

    /// The story that agent and operator write from now on.
    pub(crate) fn story(&self) -> Story {
        let (agent, operator) = (self.agent.daemon.log(), self.core.portal_aaa.log());
        match &self.open {
            None => Story::fig_2(agent, operator),
            Some(open) => Story::fig_6(agent, operator, open.hotspot.log()),
        }
    }

    /// Starts the agent where it does not run.
    pub(crate) fn agent_runs(&mut self) -> Result<()> {
        if self.agent.daemon.pid().is_none() {
            self.agent.start()?;
        }
        self.agent.daemon.must_run()
    }

    /// An error that names who died.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        self.agent.daemon.must_run()?;
        self.core.portal_aaa.must_run()?;
        self.cellular.must_run()?;
        if let Some(manager) = &mut self.manager {
            manager.must_run()?;
        }
        let has_wifi = self.manager.as_ref().is_some_and(Manager::has_wifi);
        if let Some(supplicant) = self.supplicant.as_mut().filter(|_| !has_wifi) {
            supplicant.daemon.must_run()?;
        }
        if let Some(open) = &mut self.open {
            open.ap.hostapd.must_run()?;
        }
        self.ap.as_mut().map_or(Ok(()), |ap| ap.hostapd.must_run())
    }

    /// The first default route of the laptop's main table, as iproute2 shows it.
    pub(crate) fn default_route(&self) -> Result<String> {
        let routes = workshop::run(Command::new("ip").args(["-4", "route", "show", "default"]))?;
        Ok(routes.lines().next().unwrap_or("none").to_owned())
    }

    /// A connection from the laptop to the Internet comes about.
    pub(crate) fn internet_answers(&self) -> Result<()> {
        clock::until("the Internet answers", Duration::from_secs(20), || {
            Ok(self.internet_connects().then_some(()))
        })
    }

    /// One try at such a connection.
    pub(crate) fn internet_connects(&self) -> bool {
        let server = SocketAddr::from((plan::INTERNET.parse().unwrap_or(Ipv4Addr::UNSPECIFIED), 80));
        TcpStream::connect_timeout(&server, Duration::from_secs(1)).is_ok()
    }

    /// Puts a credential into the supplicant that was made for another card: carried off from another device of the same
    /// subscriber. (Another address on the air would not do: the agent puts the right one back before it joins.)
    pub(crate) fn use_other_cards_credential(&self) -> Result<()> {
        let supplicant = self.supplicant.as_ref().ok_or_else(|| anyhow!("a world without radio"))?;
        // Locally administered, so it is nobody's permanent one.
        let other = "02:0f:f0:ad:00:01";
        let words =
            ["credential", "issue", "--imsi", plan::IMSI, "--mac", other, "--lifetime", "device", "--json"];
        let issued: serde_json::Value = serde_json::from_str(&self.core.admin(&words)?)?;
        let text = |key: &str| issued.get(key).and_then(serde_json::Value::as_str);
        let (Some(username), Some(password)) = (text("username"), text("password")) else {
            bail!("credential issue --json gives no username and password");
        };
        supplicant.use_credential(username, password)
    }

    /// Gives the WLAN card its own address again.
    pub(crate) fn restore_wlan_mac(&self) -> Result<()> {
        let Some(mac) = &self.wlan_mac else { bail!("a world without radio") };
        set_mac(mac)
    }

    /// Puts a foreign access point on the air under the operator's network name.
    pub(crate) fn raise_rogue(&mut self) -> Result<()> {
        let folder = self.options.work.join("rogue");
        let text = folder.to_string_lossy().into_owned();
        // The same tool makes the same kind of certificates, signed by another authority.
        workshop::run(Command::new(self.options.programs.join("portal-aaa")).args([
            "init",
            "--dir",
            &text,
            "--realm",
            plan::REALM,
        ]))?;
        let logs = self.options.out.join("log");
        self.rogue = Some(AccessPoint::build_rogue(&folder.join("tls"), &self.options.work, &logs)?);
        Ok(())
    }

    /// Takes it off the air; its log stays.
    pub(crate) fn drop_rogue(&mut self) -> Result<PathBuf> {
        let Some(rogue) = self.rogue.take() else { bail!("there is no rogue access point") };
        Ok(rogue.hostapd.log().to_owned())
    }

    /// Everything that somebody could read: logs, the portal's and the agent's files, captures so far.
    pub(crate) fn readable_traces(&mut self) -> Result<Vec<PathBuf>> {
        let captures = self.options.out.join("captures");
        fs::create_dir_all(&captures)?;
        for capture in self.captures.drain(..) {
            capture.finish(&captures)?;
        }
        let work = &self.options.work;
        Ok(vec![self.options.out.join("log"), captures, work.join("portal"), work.join("agent-state")])
    }

    /// Ends it; what a person may want to look at goes to the results.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.agent.daemon.stop()?;
        self.readable_traces()?;
        let database = self.options.work.join("portal/portal-aaa.db");
        if database.exists() {
            fs::copy(database, self.options.out.join("portal-aaa.db"))?;
        }
        Ok(())
    }
}

fn mac_of(interface: &str) -> Result<String> {
    Ok(fs::read_to_string(format!("/sys/class/net/{interface}/address"))?.trim().to_owned())
}

fn set_mac(mac: &str) -> Result<()> {
    netns::ip(&format!("link set {LAPTOP_WLAN} down"))?;
    netns::ip(&format!("link set {LAPTOP_WLAN} address {mac}"))?;
    netns::ip(&format!("link set {LAPTOP_WLAN} up"))
}
