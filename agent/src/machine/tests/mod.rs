//! The machine on a virtual clock, with simulated worlds.

mod device;
mod hotspot;
mod invariants;
mod keep;
mod life;
mod moves;
mod policy;
mod sms;
mod world;

use provisioning::{
    message::{
        AfterMove, Credential, EapSettings, InnerMethod, MacMode, Network, OuterMethod, Policy, Sequence,
    },
    secret::Password,
};

/// A policy for tests: join at -65, leave at -75, dwell 2 s, penalty 10 s.
pub(super) fn policy() -> Policy {
    Policy {
        version: 1,
        networks: vec![Network::new("corp", 10), Network::new("guest", 1)],
        enter_dbm: -65,
        leave_dbm: -75,
        dwell_secs: 2,
        penalty_secs: 10,
        probe_url: "http://10.99.0.1/generate_204".into(),
        cellular_after_move: AfterMove::Down,
        drain_secs: 30,
        renew_after_return: false,
        renew_every_secs: 0,
        sequence: Sequence::MakeBeforeBreak,
        renew_before_move: false,
        one_time_reserve: 0,
        offline_grace_secs: 0,
        ..Policy::default()
    }
}

/// The `n`th credential of a device.
pub(super) fn credential(n: u64, issued_at: u64, life: Option<u64>) -> Credential {
    Credential {
        username: format!("user{n}@operator.example"),
        password: Password::new(format!("secret{n}")),
        eap: EapSettings {
            outer: OuterMethod::Peap,
            inner: InnerMethod::Mschapv2,
            anonymous_identity: "anonymous@operator.example".into(),
            server_name: "aaa.operator.example".into(),
            ca_pem: "-----BEGIN CERTIFICATE-----\n".into(),
        },
        mac_mode: MacMode::Permanent,
        issued_at,
        expires_at: life.map(|secs| issued_at + secs),
        one_time: false,
        policy: policy(),
        signed_policy: None,
    }
}
