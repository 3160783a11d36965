//! Logins that must fail, and for the right reason on both sides.

use rustls::pki_types::ServerName;

use super::world::{
    OTHER_NAME, PASSWORD, VERSIONS, every_login, log_in, peer_config, rogue_server_configs, server_config,
};
use crate::{Reason, peer, server};

/// What the peer makes of a refusal that says nothing inside the tunnel.
fn refused(method: peer::Method) -> peer::Reason {
    match method {
        peer::Method::PeapGtc => peer::Reason::Refused,
        _ => peer::Reason::WrongPassword,
    }
}

#[test]
fn a_wrong_password() {
    for peer in every_login() {
        for wrong in ["", "Correct hörse €", "correct hörse € battery"] {
            let peer = peer::Config { password: wrong.to_owned().into(), ..peer.clone() };
            let expected = refused(peer.method);
            let end = log_in(server_config(), peer);
            // Steps of both sides: a request that were left unanswered would be sent again and again.
            assert!(end.rounds < 25, "{} rounds", end.rounds);
            end.assert_failure(Reason::WrongPassword, expected);
        }
    }
}

#[test]
fn an_unknown_user_looks_like_a_wrong_password() {
    for peer in every_login() {
        let wrong = peer::Config { password: "wrong".to_owned().into(), ..peer.clone() };
        let unknown = peer::Config { identity: "nobody@operator.example".to_owned(), ..peer };
        let expected = refused(unknown.method);
        let (wrong, unknown) = (log_in(server_config(), wrong), log_in(server_config(), unknown));
        assert_eq!(wrong.rounds, unknown.rounds);
        unknown.assert_failure(Reason::RejectedByDirectory, expected);
    }
}

#[test]
fn a_failure_names_the_identity_for_the_log() {
    let peer = peer::Config {
        password: "wrong".to_owned().into(),
        ..peer_config(peer::Method::PeapMschapv2, VERSIONS[1])
    };
    let server::Step::Failure { identity, packet, .. } = log_in(server_config(), peer).server else {
        panic!()
    };
    assert_eq!(identity.as_deref(), Some(super::world::USER));
    assert_eq!((packet[0], packet.len()), (4, 4));
}

#[test]
fn a_server_of_another_authority() {
    for peer in every_login() {
        for server in rogue_server_configs() {
            let end = log_in(server, peer.clone());
            end.assert_failure(Reason::PeerRefusedServerCertificate, peer::Reason::UntrustedServer);
        }
    }
}

#[test]
fn a_server_of_another_name() {
    for peer in every_login() {
        let peer = peer::Config { server_name: ServerName::try_from(OTHER_NAME).unwrap(), ..peer };
        let end = log_in(server_config(), peer);
        end.assert_failure(Reason::PeerRefusedServerCertificate, peer::Reason::UntrustedServer);
    }
}

#[test]
fn no_method_in_common() {
    for (only, method) in
        [(server::Method::Peap, peer::Method::TtlsPap), (server::Method::Ttls, peer::Method::PeapMschapv2)]
    {
        let server = server::Config { default_method: only, methods: vec![only], ..server_config() };
        let end = log_in(server, peer_config(method, VERSIONS[1]));
        end.assert_failure(Reason::NoCommonMethod, peer::Reason::Refused);
    }
}

#[test]
fn names_that_no_user_can_have() {
    for peer in every_login() {
        for identity in ["", "a\nb", &"a".repeat(254)] {
            let peer = peer::Config { identity: identity.to_owned(), ..peer.clone() };
            let server::Step::Failure { reason, identity, .. } = log_in(server_config(), peer).server else {
                panic!()
            };
            assert_eq!((reason, identity), (Reason::ProtocolError, None));
        }
    }
}

#[test]
fn a_password_is_not_a_prefix() {
    // PAP pads with NUL, and the padding goes; what is before it counts in full.
    let peer = peer_config(peer::Method::TtlsPap, VERSIONS[0]);
    let longer = peer::Config { password: format!("{PASSWORD}\0x").into(), ..peer };
    log_in(server_config(), longer).assert_failure(Reason::WrongPassword, peer::Reason::WrongPassword);
}
