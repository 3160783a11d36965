//! An open network's WISPr 1.0 gateway, real in every part that the agent meets: nftables holds stations and redirects
//! their HTTP, an HTTPS login page carries the GIS XML, PAP and accounting go to portal-aaa (`protocols`: RFC 2865, 2866),
//! Session-Timeout and Disconnect-Requests (RFC 5176) end sessions.
//!
//! | file | what |
//! |---|---|
//! | `gateway` | who is on, since when, until when; what is told to whom |
//! | `fence` | nftables: the pairs of address and MAC that may pass |
//! | `nas` | RADIUS client, and the port that takes Disconnect-Requests |
//! | `web` | HTTP and HTTPS, one thread a connection |
//! | `pages` | the pages and their XML |
//! | `certificate` | an authority and the login page's certificate |
//!
//! Its threads live in the namespace of the gateway and end with [`Hotspot`]. Its log is JSON lines, as the programs'.

mod certificate;
mod fence;
mod gateway;
mod nas;
mod pages;
mod web;

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;

pub(crate) use certificate::Authority;
use fence::Fence;
use gateway::Gateway;
pub(crate) use gateway::Manner;
use nas::Nas;

use crate::world::{core::strict_router, netns::Netns, plan};

/// Where people's browsers are sent to by nftables.
const HTTP_PORT: u16 = 8080;
/// The login page.
const HTTPS_PORT: u16 = 443;

/// A running gateway between `lan` and the core.
pub(crate) struct Hotspot {
    /// Its namespace.
    pub(crate) place: Netns,
    gateway: Arc<Gateway>,
    log: PathBuf,
    /// Authorities of the login page, PEM.
    pub(crate) ca: PathBuf,
}

impl Hotspot {
    /// Namespace, uplink to the core, name and client at the AAA; `lan` comes later, by [`Hotspot::open`].
    pub(crate) fn build(core: &Netns, authority: &Authority, work: &Path, logs: &Path) -> Result<Self> {
        let place = Netns::create("hotspot")?;
        strict_router(&place)?;
        let core_name = core.name().unwrap_or_default();
        place.ip(&format!("link add uplink type veth peer name to-hotspot netns {core_name}"))?;
        place.ip(&format!("addr add {}/24 dev uplink", plan::HOTSPOT_UPLINK))?;
        core.ip(&format!("addr add {}/24 dev to-hotspot", plan::HOTSPOT_AAA))?;
        place.ip("link set uplink up")?;
        core.ip("link set to-hotspot up")?;
        place.ip(&format!("route add default via {}", plan::HOTSPOT_AAA))?;
        core.ip(&format!("route add 10.19.0.0/24 via {}", plan::HOTSPOT_UPLINK))?;
        let ca = work.join("hotspot-ca.pem");
        std::fs::write(&ca, authority.pem())?;
        let log = logs.join("hotspot.log");
        let fence = Fence::new(&place);
        let nas = Nas::open(&place)?;
        let gateway = Arc::new(Gateway::new(fence, nas, &log)?);
        Ok(Self { place, gateway, log, ca })
    }

    /// Begins to serve the stations of the interface `lan` of its namespace. `names` are those of the certificate.
    pub(crate) fn open(&self, lan: &str, authority: &Authority, names: &[&str]) -> Result<()> {
        self.place.ip(&format!("addr add {}/24 dev {lan}", plan::HOTSPOT_ADDRESS))?;
        self.place.ip(&format!("link set {lan} up"))?;
        self.gateway.fence.set_up(lan)?;
        let address: Ipv4Addr = plan::HOTSPOT_ADDRESS.parse()?;
        web::serve(&self.place, (address, HTTP_PORT), None, &self.gateway)?;
        web::serve(&self.place, (address, HTTPS_PORT), Some(authority.server(names)?), &self.gateway)?;
        gateway::keep_time(&self.place, &self.gateway)
    }

    /// How it behaves from now on, but for sessions that are open.
    pub(crate) fn behave(&self, manner: Manner) {
        self.gateway.behave(manner);
    }

    /// Puts everybody off, with accounting, and forgets what it was told to do.
    pub(crate) fn calm(&self) -> Result<()> {
        self.gateway.behave(Manner::default());
        self.gateway.close_all()
    }

    /// Takes the open stations out of the fence though they are logged on: a gateway whose rules are behind.
    pub(crate) fn lose_rules(&self) -> Result<()> {
        self.gateway.lose_rules()
    }

    /// How many forms have arrived, right or wrong.
    pub(crate) fn forms(&self) -> u64 {
        self.gateway.forms()
    }

    /// User names of those who are on.
    pub(crate) fn sessions(&self) -> Vec<String> {
        self.gateway.users()
    }

    /// What it wrote.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }
}

impl Drop for Hotspot {
    fn drop(&mut self) {
        self.gateway.stop();
    }
}
