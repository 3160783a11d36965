//! The request to the portal: whether it may go out now, what it says, which way it takes.

use std::{net::IpAddr, time::Duration};

use provisioning::message::{self as policy, CredentialRequest, Trigger};

use crate::{
    machine::{Action, Machine, Note, SmsUse, State},
    modem::{Bearer, Ipv4Config, Ipv6Config, Registration},
    provision,
};

/// Without data before a message, where the policy says fallback and the device itself always.
const FALLBACK: Duration = Duration::from_secs(60);

/// How the portal is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::machine) enum Way {
    Data,
    Sms,
}

impl Machine {
    pub(super) fn trigger(&self) -> Option<(Trigger, Way)> {
        let keeper = &self.credential;
        let busy = self.state.is_arriving() || self.state == State::Returning;
        let may_ask = !busy && !keeper.asking() && self.now.since_boot >= keeper.renew.retry_at;
        if !may_ask || self.wlan.is_none() || self.roaming_is_too_dear() {
            return None;
        }
        Some((keeper.wish(self.now.unix)?, self.way()?))
    }

    fn way(&self) -> Option<Way> {
        match self.sms_use() {
            SmsUse::Always if self.messaging() => Some(Way::Sms),
            _ if self.cellular.ready() => Some(Way::Data),
            SmsUse::Fallback(after) => {
                let since = self.credential.renew.no_data_since?;
                (self.now.since_boot >= since + after).then_some(Way::Sms)
            }
            SmsUse::Never | SmsUse::Always => None,
        }
    }

    /// The device's own setting, until a policy has come; then what that says, on a device that is set up for it.
    fn sms_use(&self) -> SmsUse {
        let own = self.settings.sms;
        let after = match own {
            SmsUse::Never => return SmsUse::Never,
            SmsUse::Fallback(after) => after,
            SmsUse::Always => FALLBACK,
        };
        match self.credential.policy().map(|policy| policy.sms) {
            None => own,
            Some(policy::SmsUse::Never) => SmsUse::Never,
            Some(policy::SmsUse::Fallback) => SmsUse::Fallback(after),
            Some(policy::SmsUse::Always) => SmsUse::Always,
        }
    }

    fn messaging(&self) -> bool {
        self.cellular.modem.as_ref().is_some_and(|modem| modem.messaging)
    }

    /// Since when data is missing that a wish waits for, though the network would take messages.
    pub(super) fn watch_data(&mut self) {
        let waits = !self.cellular.ready()
            && self.cellular_wanted()
            && self.messaging()
            && self.credential.wish(self.now.unix).is_some();
        let since = &mut self.credential.renew.no_data_since;
        *since = if waits { since.or(Some(self.now.since_boot)) } else { None };
    }

    /// When the wait for data is over.
    pub(super) fn fallback_at(&self) -> Option<Duration> {
        match (self.sms_use(), self.credential.renew.no_data_since) {
            (SmsUse::Fallback(after), Some(since)) => Some(since + after),
            _ => None,
        }
    }

    fn roaming_is_too_dear(&self) -> bool {
        let roaming =
            self.cellular.modem.as_ref().is_some_and(|modem| modem.registration == Registration::Roaming);
        roaming && !self.settings.provision_while_roaming
    }

    pub(super) fn ask(&mut self, trigger: Trigger, way: Way) {
        let (Some(modem), Some(wlan)) = (self.cellular.modem.as_ref(), self.wlan.as_ref()) else {
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
        let command = match way {
            Way::Sms => provision::Command::FetchBySms {
                request: request.clone(),
                made_at: self.now.unix,
                held: self.credential.newest().map(|newest| newest.eap.ca_pem.clone()),
            },
            Way::Data => {
                let Some(route) = self.cellular_route() else { return };
                provision::Command::Fetch { request: request.clone(), route }
            }
        };
        self.note(Note::CredentialRequested {
            trigger,
            by_sms: way == Way::Sms,
            imsi: request.imsi.clone(),
            imei: request.imei.clone(),
            mac: request.mac,
        });
        self.credential.renew.asking = Some((self.now.since_boot, way));
        self.act(Action::Portal(command));
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
