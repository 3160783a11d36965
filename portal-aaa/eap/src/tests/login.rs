//! Logins that succeed.

use super::{
    air::Air,
    world::{
        Conversation, USERS, VERSIONS, every_login, log_in, peer_config, random, remembering,
        resuming_server_config, server_config,
    },
};
use crate::{
    Methods, Reason,
    packet::{self, Identifier, Type},
    peer, server,
};

#[test]
fn every_method_logs_in_on_every_version() {
    for peer in every_login() {
        let method = peer.method;
        let success = log_in(server_config(), peer).assert_success();
        assert_eq!((success.method, success.resumed), (method, false));
    }
}

#[test]
fn every_account_logs_in_by_every_method() {
    for identity in USERS {
        for peer in every_login() {
            let peer = peer::Config { identity: identity.to_owned(), ..peer };
            log_in(server_config(), peer).assert_success();
        }
    }
}

#[test]
fn each_account_has_its_methods() {
    for only in peer::Method::ALL {
        for peer in every_login() {
            let method = peer.method;
            let mut talk = Conversation::new(server_config(), peer, 1020);
            talk.methods = Some(Methods::from_iter([only]));
            let end = talk.run(&mut Air::fair());
            if method == only {
                assert_eq!(end.assert_success().method, only);
            } else {
                let server::Step::Failure { reason, .. } = end.server else { panic!("{only}: {method}") };
                assert_eq!(reason, Reason::MethodNotAllowed, "{only}: {method}");
            }
        }
    }
}

/// README.md's table: rounds of a full login on TLS 1.2 and 1.3, early on 1.2, and resumed on both.
#[test]
fn rounds_are_as_written() {
    use peer::Method as M;
    for (method, full, early, resumed) in [
        (M::PeapMschapv2, [7, 6], 6, [3, 3]),
        (M::PeapGtc, [6, 5], 5, [3, 3]),
        (M::TtlsPap, [3, 3], 3, [2, 3]),
        (M::TtlsChap, [3, 3], 3, [2, 3]),
        (M::TtlsMschap, [3, 3], 3, [2, 3]),
        (M::TtlsMschapv2, [4, 4], 4, [2, 3]),
        (M::TtlsEapMschapv2, [5, 5], 5, [2, 3]),
        (M::TtlsEapGtc, [4, 4], 4, [2, 3]),
    ] {
        let default_method = match method {
            M::PeapMschapv2 | M::PeapGtc => server::Method::Peap,
            _ => server::Method::Ttls,
        };
        let config = |early| server::Config { default_method, early, ..resuming_server_config() };
        let rounds = |server: &server::Config, peer: &peer::Config| {
            let mut talk = Conversation::new(server.clone(), peer.clone(), 1400);
            talk.methods = Some(Methods::from_iter([method]));
            let end = talk.run(&mut Air::fair());
            // Requests and responses, without those of the identity.
            let rounds = end.rounds / 2 - 1;
            end.assert_success();
            rounds
        };
        for (place, version) in VERSIONS.into_iter().enumerate() {
            let (server, peer) = (config(server::Early::Never), remembering(peer_config(method, version)));
            assert_eq!(rounds(&server, &peer), full[place], "{method}");
            assert_eq!(rounds(&server, &peer), resumed[place], "{method}, resumed");
        }
        let peer = peer_config(method, VERSIONS[0]);
        assert_eq!(rounds(&config(server::Early::Always), &peer), early, "{method}, early");
    }
}

#[test]
fn first_words_of_peap_may_come_early() {
    let rounds = |early, peer: peer::Config| {
        let end = log_in(server::Config { early, ..server_config() }, peer);
        let rounds = end.rounds;
        end.assert_success();
        rounds
    };
    for peer in every_login() {
        let late = rounds(server::Early::Never, peer.clone());
        let is_peap = [peer::Method::PeapMschapv2, peer::Method::PeapGtc].contains(&peer.method);
        let ours = server::Early::Outer("Anonymous@operator.example".to_owned());
        let others = server::Early::Outer("somebody@operator.example".to_owned());
        let [always, ours] = [server::Early::Always, ours].map(|early| rounds(early, peer.clone()));
        assert_eq!(always, ours);
        assert_eq!(rounds(others, peer.clone()), late);
        // A pair of packets less, where the server has the last word of the handshake and the first one inside.
        assert!(always == late || (is_peap && always + 2 == late));
    }
    let peap = peer_config(peer::Method::PeapMschapv2, VERSIONS[0]);
    assert_eq!(rounds(server::Early::Always, peap.clone()) + 2, rounds(server::Early::Never, peap));
}

#[test]
fn a_peer_need_not_require_the_binding() {
    for version in VERSIONS {
        let peer =
            peer::Config { require_binding: false, ..peer_config(peer::Method::PeapMschapv2, version) };
        log_in(server_config(), peer).assert_success();
    }
}

#[test]
fn first_words_may_come_with_the_handshakes_last() {
    for method in [peer::Method::TtlsPap, peer::Method::TtlsMschapv2] {
        let patient = peer_config(method, VERSIONS[1]);
        let hasty = peer::Config { hasty: true, ..patient.clone() };
        let (patient, hasty) = (log_in(server_config(), patient), log_in(server_config(), hasty));
        assert_eq!(hasty.rounds + 2, patient.rounds, "one request and its response less");
        hasty.assert_success();
        patient.assert_success();
    }
}

#[test]
fn the_peer_may_choose_another_method() {
    for default_method in [server::Method::Peap, server::Method::Ttls] {
        for peer in every_login() {
            log_in(server::Config { default_method, ..server_config() }, peer).assert_success();
        }
    }
}

#[test]
fn the_access_point_may_have_asked_for_the_name() {
    let mut talk =
        Conversation::new(server_config(), peer_config(peer::Method::PeapMschapv2, VERSIONS[0]), 1020);
    let asked = packet::request(Identifier(77), Type::IDENTITY, &[]);
    let peer::Step::Send(named) = talk.peer.handle(&asked, &mut random()) else { panic!() };
    let server::Step::Send(start) = talk.hand_over(&named) else { panic!() };
    assert_eq!(start, [1, 78, 0, 6, 25, 0x20]);
}

#[test]
fn a_notification_is_answered_and_changes_nothing() {
    let mut talk = Conversation::new(server_config(), peer_config(peer::Method::TtlsPap, VERSIONS[0]), 1020);
    let notice = packet::request(Identifier(3), Type::NOTIFICATION, b"hello");
    let peer::Step::Send(answer) = talk.peer.handle(&notice, &mut random()) else { panic!() };
    assert_eq!(answer, [2, 3, 0, 5, 2]);
    // Not by chance the same identifier: that would be the same request once more.
    talk.random = Box::new(|octets: &mut [u8]| octets.fill(7));
    talk.run(&mut Air::fair()).assert_success();
}
