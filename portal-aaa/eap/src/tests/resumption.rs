//! Sessions that are resumed, and many that are not.

use std::sync::Arc;

use super::{
    air::Air,
    world::{
        Conversation, End, NOW, USER, VERSIONS, acquainted, every_login, log_in, peer_config, remembering,
        resuming_server_config, server_config,
    },
};
use crate::{
    LoginMethod, Methods, Reason,
    packet::{self, Identifier, Packet, Type},
    peer, server,
    tls::SessionStore,
};

fn store(server: &server::Config) -> Arc<SessionStore> {
    Arc::clone(server.resumption.as_ref().unwrap())
}

fn log_in_with(methods: Option<Methods>, server: &server::Config, peer: &peer::Config) -> End {
    let mut talk = Conversation::new(server.clone(), peer.clone(), 1020);
    talk.methods = methods;
    talk.run(&mut Air::fair())
}

#[test]
fn every_login_is_resumed_again_and_again() {
    for peer in every_login() {
        let (server, peer) = acquainted(peer);
        let mut keys = Vec::new();
        for _ in 0..3 {
            let mut talk = Conversation::new(server.clone(), peer.clone(), 1020);
            let success = talk.run(&mut Air::fair()).assert_success();
            assert_eq!((success.resumed, success.method), (true, peer.method));
            assert_eq!(talk.asked, [(USER.to_owned(), Some(peer.method))]);
            assert!(!keys.contains(&success.msk), "the same key once more");
            keys.push(success.msk);
            assert_eq!(store(&server).len(), 1);
        }
    }
}

#[test]
fn a_resumed_login_takes_fewer_rounds() {
    for peer in every_login() {
        let (server, peer) = acquainted(peer);
        let full = log_in(server_config(), peer.clone()).rounds;
        // On TLS 1.3 a resumed TTLS has a word inside, as a full one with one attribute has.
        assert!(log_in(server, peer).rounds <= full);
    }
    let peap = |version| acquainted(peer_config(peer::Method::PeapMschapv2, version));
    for version in VERSIONS {
        let (server, peer) = peap(version);
        // Identity, start, flight, result: four requests, four responses, and the end.
        assert_eq!(log_in(server, peer).rounds, 8);
    }
}

#[test]
fn nothing_is_resumed_without_a_store() {
    for peer in every_login() {
        let peer = remembering(peer);
        for _ in 0..2 {
            assert!(!log_in(server_config(), peer.clone()).assert_success().resumed);
        }
    }
}

#[test]
fn who_was_refused_has_no_session() {
    for peer in every_login() {
        let (server, peer) = (resuming_server_config(), remembering(peer));
        let wrong = peer::Config { password: "wrong".to_owned().into(), ..peer.clone() };
        let unknown = peer::Config { identity: "nobody".to_owned(), ..peer.clone() };
        for refused in [wrong, unknown] {
            assert!(matches!(log_in(server.clone(), refused).server, server::Step::Failure { .. }));
        }
        let end = log_in_with(Some(Methods::NONE), &server, &peer);
        let server::Step::Failure { reason: Reason::MethodNotAllowed, .. } = end.server else { panic!() };
        assert!(store(&server).is_empty());
        assert!(!log_in(server, peer).assert_success().resumed);
    }
}

#[test]
fn a_login_that_was_given_up_has_no_session() {
    for peer in every_login() {
        let (server, peer) = (resuming_server_config(), remembering(peer));
        // As far as the look-up: the tunnel stands, and the peer has its ticket.
        let mut talk = Conversation::new(server.clone(), peer.clone(), 1020);
        let mut request = packet::request(Identifier(1), Type::IDENTITY, &[]);
        loop {
            let peer::Step::Send(response) = talk.peer.handle(&request, &mut talk.random) else { panic!() };
            match talk.server.handle(&response, &mut talk.random) {
                server::Step::Send(next) => request = next,
                server::Step::Lookup { resumed: None, .. } => break,
                step => panic!("{step:?}"),
            }
        }
        assert!(store(&server).is_empty());
        assert!(!log_in(server, peer).assert_success().resumed);
    }
}

#[test]
fn a_session_whose_look_up_is_refused_is_forgotten() {
    for peer in every_login() {
        let (server, peer) = acquainted(peer);
        let end = log_in_with(None, &server, &peer);
        assert!(store(&server).is_empty());
        end.assert_failure(Reason::RejectedByDirectory, peer::Reason::Refused);
        assert!(!log_in(server.clone(), peer.clone()).assert_success().resumed);

        let others = Methods::from_iter(LoginMethod::ALL.into_iter().filter(|method| *method != peer.method));
        let end = log_in_with(Some(others), &server, &peer);
        assert!(store(&server).is_empty());
        end.assert_failure(Reason::MethodNotAllowed, peer::Reason::Refused);
    }
}

#[test]
fn another_password_ends_what_the_one_before_has_proved() {
    for peer in every_login() {
        let (server, peer) = acquainted(peer);
        let mut talk = Conversation::new(server.clone(), peer.clone(), 1020);
        talk.password = Some("another");
        let end = talk.run(&mut Air::fair());
        assert!(store(&server).is_empty());
        end.assert_failure(Reason::RejectedByDirectory, peer::Reason::Refused);
    }
}

#[test]
fn a_refused_session_is_forgotten_before_the_peer_knows() {
    let (server, peer) = acquainted(peer_config(peer::Method::PeapMschapv2, VERSIONS[0]));
    let mut talk = Conversation::new(server.clone(), peer, 1020);
    talk.methods = None;
    let mut request = packet::request(Identifier(1), Type::IDENTITY, &[]);
    while talk.asked.is_empty() {
        let peer::Step::Send(response) = talk.peer.handle(&request, &mut talk.random) else { panic!() };
        let server::Step::Send(next) = talk.hand_over(&response) else { panic!() };
        request = next;
    }
    assert!(store(&server).is_empty());
    assert!(Packet::parse(&request).unwrap().method().is_some(), "the result is still to be heard");
}

#[test]
fn a_session_of_another_outer_method_is_none() {
    for version in VERSIONS {
        for (first, second) in [
            (peer::Method::PeapMschapv2, peer::Method::TtlsPap),
            (peer::Method::TtlsEapGtc, peer::Method::PeapGtc),
        ] {
            let (server, peer) = acquainted(peer_config(first, version));
            let other = peer::Config { method: second, ..peer };
            let success = log_in(server, other).assert_success();
            assert_eq!((success.method, success.resumed), (second, false));
        }
    }
}

#[test]
fn a_session_keeps_the_method_of_its_full_login() {
    for version in VERSIONS {
        let (server, peer) = acquainted(peer_config(peer::Method::TtlsPap, version));
        let other = peer::Config { method: peer::Method::TtlsMschapv2, ..peer };
        let success = log_in(server, other).assert_success();
        assert_eq!((success.method, success.resumed), (peer::Method::TtlsPap, true));
    }
}

#[test]
fn a_session_is_over_after_its_time_however_often_it_was_resumed() {
    for peer in every_login() {
        let (server, peer) = acquainted(peer);
        for part in 1..4 {
            let now = NOW + SessionStore::DEFAULT_LIFETIME / 4 * part;
            let mut talk = Conversation::at(now, server.clone(), peer.clone(), 1020);
            assert!(talk.run(&mut Air::fair()).assert_success().resumed);
        }
        let now = NOW + SessionStore::DEFAULT_LIFETIME;
        let mut talk = Conversation::at(now, server.clone(), peer.clone(), 1020);
        assert!(!talk.run(&mut Air::fair()).assert_success().resumed);
    }
}

#[test]
fn an_identity_can_be_forgotten() {
    for peer in every_login() {
        let (server, peer) = acquainted(peer);
        assert_eq!(store(&server).forget(USER), 1);
        assert!(!log_in(server, peer).assert_success().resumed);
    }
}

#[test]
fn a_ticket_without_its_key_is_none() {
    // Another server, or the same one started anew.
    for peer in every_login() {
        let (_, peer) = acquainted(peer);
        assert!(!log_in(resuming_server_config(), peer).assert_success().resumed);
    }
}

#[test]
fn hasty_peers_have_nothing_to_say_in_a_resumed_tunnel() {
    for method in [peer::Method::TtlsPap, peer::Method::TtlsMschapv2] {
        let (server, peer) = acquainted(peer_config(method, VERSIONS[1]));
        let hasty = peer::Config { hasty: true, ..peer };
        assert!(log_in(server, hasty).assert_success().resumed);
    }
}
