//! This folder against the real wpa_supplicant, and hostapd as authenticator and EAP server, over a virtual wire.
//!
//! 802.1X over Ethernet is the same EAP conversation as over Wi-Fi, without radio and 4-way handshake; those are
//! the virtual machine's suite. Needs root, wpa_supplicant, hostapd, iproute2 and util-linux; says so and passes
//! where they are missing (`cargo lab test` installs them).

pub(crate) mod bench;
mod certificates;
mod faults;
mod life;

use std::time::Duration;

use provisioning::{
    message::{
        AfterMove, Credential, EapSettings, InnerMethod, MacMode, Network, OuterMethod, Policy, Sequence,
    },
    secret::Password,
};

/// A credential that fits; its CA is only a shape.
pub(crate) fn credential() -> Credential {
    Credential {
        username: "token@operator.example".into(),
        password: Password::new("s3cret \"with quotes\"".into()),
        eap: EapSettings {
            outer: OuterMethod::Peap,
            inner: InnerMethod::Mschapv2,
            anonymous_identity: "anonymous@operator.example".into(),
            server_name: "aaa.operator.example".into(),
            ca_pem: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".into(),
        },
        mac_mode: MacMode::Permanent,
        issued_at: 0,
        expires_at: None,
        one_time: false,
        policy: Policy {
            version: 1,
            networks: vec![Network::new("OperatorWiFi", 5)],
            enter_dbm: -65,
            leave_dbm: -75,
            dwell_secs: 1,
            penalty_secs: 10,
            probe_url: "http://10.99.0.1/generate_204".into(),
            cellular_after_move: AfterMove::Down,
            drain_secs: 5,
            renew_after_return: false,
            renew_every_secs: 0,
            sequence: Sequence::MakeBeforeBreak,
            renew_before_move: false,
            one_time_reserve: 0,
            offline_grace_secs: 0,
            ..Policy::default()
        },
        signed_policy: None,
    }
}

/// Longest wait for anything in these tests; generous, because it is only reached by a failure.
const PATIENCE: Duration = Duration::from_secs(30);
