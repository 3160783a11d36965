//! A credential for tests of this folder and of `provision`.

use provisioning::{
    message::{
        AfterMove, Credential, EapSettings, InnerMethod, MacMode, Network, OuterMethod, Policy, Sequence,
        Trigger,
    },
    secret::Password,
};

use super::Stored;

pub(crate) fn stored(password: &str) -> Stored {
    let policy = Policy {
        version: 3,
        networks: vec![Network::new("operator", 1)],
        enter_dbm: -67,
        leave_dbm: -75,
        dwell_secs: 5,
        penalty_secs: 30,
        probe_url: "http://10.99.0.1/generate_204".to_owned(),
        cellular_after_move: AfterMove::Down,
        drain_secs: 60,
        renew_after_return: false,
        renew_every_secs: 0,
        sequence: Sequence::MakeBeforeBreak,
        renew_before_move: false,
        one_time_reserve: 0,
        offline_grace_secs: 0,
        ..Policy::default()
    };
    let credential = Credential {
        username: "abc@operator.example".to_owned(),
        password: Password::new(password.to_owned()),
        eap: EapSettings {
            outer: OuterMethod::Peap,
            inner: InnerMethod::Mschapv2,
            anonymous_identity: "anonymous@operator.example".to_owned(),
            server_name: "aaa.operator.example".to_owned(),
            ca_pem: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".to_owned(),
        },
        mac_mode: MacMode::Permanent,
        issued_at: 1_700_000_000,
        expires_at: Some(1_800_000_000),
        one_time: false,
        policy,
        signed_policy: None,
    };
    Stored {
        current: Some(credential),
        subscriber: Some([0xa5; 32]),
        renewal_due: Some(Trigger::Used),
        ..Stored::default()
    }
}
