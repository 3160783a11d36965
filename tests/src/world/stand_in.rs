//! Cellular's stand-in for those that the agent is compared with: a link to the same core behind the same kind of
//! gateway, but without modem and bearer, so that what is compared is the move and not who drives a modem.

use anyhow::Result;

use super::{
    netns::{self, Netns},
    plan::{STAND_IN, STAND_IN_ADDRESS, STAND_IN_END, STAND_IN_GATEWAY},
};

/// The link; it is gone with this.
pub(super) struct StandIn;

impl StandIn {
    /// Both ends are up; the laptop's has no address.
    pub(super) fn build(core: &Netns) -> Result<Self> {
        let name = core.name().unwrap_or_default();
        netns::ip(&format!("link add {STAND_IN} type veth peer name {STAND_IN_END} netns {name}"))?;
        let made = Self;
        core.ip(&format!("addr add {STAND_IN_GATEWAY}/30 dev {STAND_IN_END}"))?;
        core.ip(&format!("link set {STAND_IN_END} up"))?;
        netns::ip(&format!("link set {STAND_IN} up"))?;
        // Endpoints are of use only within the kernel's limits.
        netns::ip("mptcp limits set subflow 4 add_addr_accepted 4")?;
        Ok(made)
    }

    /// Gives the laptop's end its address and a default route of this metric.
    pub(super) fn configure(&self, metric: u32) -> Result<()> {
        netns::ip(&format!("addr add {STAND_IN_ADDRESS}/30 dev {STAND_IN}"))?;
        netns::ip(&format!("route add default via {STAND_IN_GATEWAY} dev {STAND_IN} metric {metric}"))?;
        netns::ip(&format!("mptcp endpoint add {STAND_IN_ADDRESS} dev {STAND_IN} subflow"))
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // Whoever had the laptop is gone, and the agent is not there yet: all endpoints are its own. The limit is the
        // kernel's.
        let _ = netns::ip("mptcp endpoint flush");
        let _ = netns::ip("mptcp limits set subflow 2 add_addr_accepted 0");
        let _ = netns::ip(&format!("link del {STAND_IN}"));
    }
}
