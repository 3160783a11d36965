//! One file: every key may be missing, none may be unknown.

use provisioning::{format::Format, signed::PolicyKey};
use serde::Deserialize;

use super::values::{
    Absolute, Apn, CellularOwner, Domain, Filter, Interface, Ip, ModemName, Number, PortalKey, Seconds,
    SmsWhen, Url, WlanOwner,
};

/// A table whose keys are optional, and how a later one is laid over it.
macro_rules! table {
    ($($name:ident { $($key:ident: $type:ty),+ $(,)? })+) => {$(
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
        pub(super) struct $name {
            $(pub(super) $key: Option<$type>,)+
        }

        impl $name {
            fn lay_over(&mut self, later: Self) {
                $(self.$key = later.$key.or_else(|| self.$key.take());)+
            }

            /// Names of the keys that are not set.
            #[cfg(test)]
            pub(super) fn unset(&self) -> Vec<&'static str> {
                [$((stringify!($key), self.$key.is_none())),+]
                    .into_iter()
                    .filter_map(|(key, none)| none.then_some(key))
                    .collect()
            }
        }
    )+};
}

table! {
    Portal {
        url: Url,
        domain: Domain,
        ca: Absolute,
        format: Format,
        policy_key: PolicyKey,
        connect_limit_secs: Seconds<1, 120>,
        total_limit_secs: Seconds<1, 300>,
    }
    Cellular {
        apn: Apn,
        allow_roaming: bool,
        provision_while_roaming: bool,
        modem: ModemName,
        ip: Ip,
        pin_file: Absolute,
        owner: CellularOwner,
    }
    Sms { number: Number, portal_key: PortalKey, when: SmsWhen, after_secs: Seconds<0, 3600> }
    Wlan { interface: Interface, owner: WlanOwner, login_ca: Absolute }
    Supplicant { control_dir: Absolute }
    State { dir: Absolute, run_dir: Absolute }
    Offload {
        join_limit_secs: Seconds<5, 70>,
        verify_limit_secs: Seconds<2, 120>,
        probe_every_secs: Seconds<5, 3600>,
        return_drain_secs: Seconds<0, 600>,
    }
    Log { filter: Filter }
    Metrics { file: Absolute, every_secs: Seconds<5, 3600> }
}

/// A whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Fragment {
    pub(super) portal: Portal,
    pub(super) cellular: Cellular,
    pub(super) sms: Sms,
    pub(super) wlan: Wlan,
    pub(super) supplicant: Supplicant,
    pub(super) state: State,
    pub(super) offload: Offload,
    pub(super) log: Log,
    pub(super) metrics: Metrics,
}

impl Fragment {
    /// Keys of `later` replace ours.
    pub(super) fn lay_over(&mut self, later: Self) {
        self.portal.lay_over(later.portal);
        self.cellular.lay_over(later.cellular);
        self.sms.lay_over(later.sms);
        self.wlan.lay_over(later.wlan);
        self.supplicant.lay_over(later.supplicant);
        self.state.lay_over(later.state);
        self.offload.lay_over(later.offload);
        self.log.lay_over(later.log);
        self.metrics.lay_over(later.metrics);
    }

    /// Names of the keys that are not set.
    #[cfg(test)]
    pub(super) fn unset(&self) -> Vec<&'static str> {
        [
            self.portal.unset(),
            self.cellular.unset(),
            self.sms.unset(),
            self.wlan.unset(),
            self.supplicant.unset(),
            self.state.unset(),
            self.offload.unset(),
            self.log.unset(),
            self.metrics.unset(),
        ]
        .concat()
    }
}
