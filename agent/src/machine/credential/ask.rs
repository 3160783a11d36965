//! The request to the portal: whether it may go out now, what it says, which way it takes.

use std::net::IpAddr;

use provisioning::message::{CredentialRequest, Trigger};

use crate::{
    machine::{Action, Machine, Note, State},
    modem::{Bearer, Ipv4Config, Ipv6Config, Registration},
    provision,
};

impl Machine {
    pub(super) fn trigger(&self) -> Option<Trigger> {
        let keeper = &self.credential;
        let busy = matches!(self.state, State::Joining | State::Verifying | State::Returning);
        let may_ask = !busy && !keeper.asking() && self.now.since_boot >= keeper.renew.retry_at;
        if !may_ask || !self.cellular.ready() || self.wlan.is_none() || self.roaming_is_too_dear() {
            return None;
        }
        keeper.wish(self.now.unix)
    }

    fn roaming_is_too_dear(&self) -> bool {
        let roaming =
            self.cellular.modem.as_ref().is_some_and(|modem| modem.registration == Registration::Roaming);
        roaming && !self.settings.provision_while_roaming
    }

    pub(super) fn ask(&mut self, trigger: Trigger) {
        let (Some(route), Some(modem), Some(wlan)) =
            (self.cellular_route(), self.cellular.modem.as_ref(), self.wlan.as_ref())
        else {
            return;
        };
        if modem.imsi.is_none() && modem.imei.is_none() {
            return;
        }
        let request = CredentialRequest {
            imsi: modem.imsi.clone(),
            imei: modem.imei.clone(),
            mac: wlan.permanent_mac,
            trigger,
            agent: self.settings.agent.clone(),
            policy_version: self.credential.policy_version(),
        };
        self.note(Note::CredentialRequested {
            trigger,
            imsi: request.imsi.clone(),
            imei: request.imei.clone(),
            mac: request.mac,
        });
        self.credential.renew.asking_since = Some(self.now.since_boot);
        self.act(Action::Portal(provision::Command::Fetch { request, route }));
        let usable = self.credential.usable(self.now.since_boot, self.now.unix);
        if !usable && !matches!(self.state, State::Provisioning | State::Offloaded) {
            self.enter(State::Provisioning);
        }
    }
}

impl Machine {
    /// The way by cellular, where that is up.
    pub(super) fn cellular_route(&self) -> Option<provision::Route> {
        let bearer = self.cellular.bearer().filter(|_| self.cellular.ready())?;
        // What DHCP or the router told is known only where the address was set.
        let told = self.cellular.dns();
        let dns = if told.is_empty() { name_servers(bearer) } else { told.to_vec() };
        let home = self.cellular.modem.as_ref().and_then(|modem| modem.home_operator.as_deref());
        let configured = self.settings.portal_domain.clone();
        let domain = configured.or_else(|| home.and_then(provision::discovery::domain));
        Some(provision::Route { interface: bearer.interface.clone(), dns, domain })
    }
}

fn name_servers(bearer: &Bearer) -> Vec<IpAddr> {
    let mut servers = Vec::new();
    if let Some(Ipv4Config::Static { dns, .. }) = &bearer.ipv4 {
        servers.extend(dns.iter().copied().map(IpAddr::V4));
    }
    if let Some(Ipv6Config::Static { dns, .. }) = &bearer.ipv6 {
        servers.extend(dns.iter().copied().map(IpAddr::V6));
    }
    servers
}
