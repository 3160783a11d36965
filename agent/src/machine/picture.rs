//! The machine's picture for `offloadctl status`; reads facts, decides nothing.

use provisioning::message::Policy;

use super::{Carrier, CellularStatus, CredentialStatus, Machine, Status, WlanStatus};
use crate::{
    modem::{Presence, Registration},
    wlan::links::Link,
};

impl Machine {
    /// What people may see of the machine now.
    pub fn status(&self) -> Status {
        let modem = self.cellular.modem.as_ref();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: self.state,
            since: self.entered_unix,
            carrier: match self.carrier {
                None => Carrier::None,
                Some(Link::Cellular) => Carrier::Cellular,
                Some(Link::Wlan) => Carrier::Wifi,
            },
            cellular: CellularStatus {
                modem: self.modem_word().to_owned(),
                imsi_masked: modem.and_then(|m| m.imsi.as_ref()).map(|imsi| imsi.masked()),
                operator: modem.and_then(|m| m.operator_code.clone()),
                signal_percent: modem.and_then(|m| m.signal_percent),
                interface: self.cellular.bearer().map(|bearer| bearer.interface.clone()),
                bearer: self.cellular.bearer_word().to_owned(),
            },
            wlan: WlanStatus {
                interface: self.wlan.as_ref().map(|wlan| wlan.name.clone()),
                mac: self.wlan.as_ref().map(|wlan| wlan.current_mac.to_string()),
                supplicant: self.credential.supplicant_up(),
                owner: self.credential.owner(),
                ssid: self.join.ssid().map(str::to_owned),
                signal_dbm: self.signal_dbm,
                address: self.lease.as_ref().map(|lease| lease.address.to_string()),
                heard: self.scanner.last().cloned(),
            },
            credential: self.credential.current(self.now.unix).map(|credential| CredentialStatus {
                username: credential.username.clone(),
                expires_at: credential.expires_at,
                one_time: credential.one_time,
                installed: self.credential.installed(self.now.unix),
                next: self.credential.has_next(),
                reserve: self.credential.reserve(),
                renewal_due: self.credential.renewal_due(),
                policy_version: credential.policy.version,
            }),
            last_failure: self.last_failure.as_ref().map(|(_, status)| status.clone()),
            held: self.held,
        }
    }

    /// The policy that is obeyed.
    pub fn policy(&self) -> Option<&Policy> {
        self.credential.policy()
    }

    fn modem_word(&self) -> &'static str {
        let registration = self.cellular.modem.as_ref().map(|m| m.registration);
        match (self.cellular.presence(), registration) {
            (Presence::NoModem, _) => "no-modem",
            (Presence::SimMissing, _) => "sim-missing",
            (Presence::Locked, _) => "locked",
            (Presence::Failed, _) => "failed",
            (Presence::Ready, Some(Registration::Home)) => "registered",
            (Presence::Ready, Some(Registration::Roaming)) => "roaming",
            (Presence::Ready, Some(Registration::Denied)) => "denied",
            (Presence::Ready, _) => "searching",
        }
    }
}
