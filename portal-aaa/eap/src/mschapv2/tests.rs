//! The examples of RFC 2759 §9.2 and RFC 3079 §3.5.3, step by step; RFC 1994 and RFC 2433 by their own words.

use super::*;
use crate::tests::Vectors;

#[test]
fn rfc_2759_9_2() {
    let vectors = Vectors::read(include_str!("../../vectors/rfc2759.txt"));
    let authenticator_challenge = vectors.array("AuthenticatorChallenge");
    let peer_challenge = vectors.array("PeerChallenge");
    let (user, password) = (vectors.get("UserName"), vectors.get("Password"));
    let exchange =
        Exchange { authenticator_challenge: &authenticator_challenge, peer_challenge: &peer_challenge };
    assert_eq!(exchange.challenge_hash(&user).to_vec(), vectors.get("Challenge"));

    let hash = PasswordHash::of(&password).unwrap();
    assert_eq!(hash.octets(), vectors.get("PasswordHash"));
    assert_eq!(hash.hash().to_vec(), vectors.get("PasswordHashHash"));

    let (nt_response, expected) =
        respond_mschapv2(&password, &user, &authenticator_challenge, &peer_challenge).unwrap();
    assert_eq!(nt_response.to_vec(), vectors.get("NT-Response"));
    assert_eq!(expected.to_vec(), vectors.get("AuthenticatorResponse"));
    let verify = |user: &[u8], password: &[u8], nt_response: &[u8; 24]| {
        verify_mschapv2(password, user, &authenticator_challenge, &peer_challenge, nt_response)
    };
    for user in [&user[..], b"BIGCO\\User"] {
        assert_eq!(verify(user, &password, &nt_response).unwrap().authenticator_response, expected);
    }
    let mut wrong = nt_response;
    wrong[23] ^= 1;
    assert!(verify(&user, &password, &wrong).is_none());
    assert!(verify(b"user", &password, &nt_response).is_none());
    assert!(verify(&user, b"clientpass", &nt_response).is_none());
    assert!(verify(&user, b"\xFF", &nt_response).is_none());
}

#[test]
fn rfc_3079_3_5_3() {
    let vectors = Vectors::read(include_str!("../../vectors/rfc3079.txt"));
    let hash = PasswordHash::of(&vectors.get("Password")).unwrap();
    assert_eq!(hash.octets(), vectors.get("PasswordHash"));
    assert_eq!(hash.hash().to_vec(), vectors.get("PasswordHashHash"));
    let nt_response = vectors.array("NT-Response");
    assert_eq!(keys::master_key(&hash.hash(), &nt_response).to_vec(), vectors.get("MasterKey"));
    let [_, server_sends] = keys::session_keys(&hash.hash(), &nt_response);
    assert_eq!(server_sends.to_vec(), vectors.get("SendStartKey128"));
    assert_eq!(server_sends[..8], vectors.get("SendStartKey40"));
    // The server's sense of the same keys.
    let vectors = Vectors::read(include_str!("../../vectors/rfc2759.txt"));
    let success = verify_mschapv2(
        b"clientPass",
        b"User",
        &vectors.array("AuthenticatorChallenge"),
        &vectors.array("PeerChallenge"),
        &nt_response,
    );
    let success = success.unwrap();
    assert_eq!(success.send_key, server_sends);
    assert_ne!(success.recv_key, server_sends);
}

#[test]
fn rfc_2433_a_5_and_b_2() {
    let vectors = Vectors::read(include_str!("../../vectors/rfc2433.txt"));
    let (password, challenge) = (vectors.get("Password"), vectors.array("Challenge"));
    assert_eq!(PasswordHash::of(&password).unwrap().octets(), vectors.get("NtPasswordHash"));
    let nt_response = respond_mschap(&password, &challenge).unwrap();
    assert_eq!(nt_response.to_vec(), vectors.get("NtChallengeResponse"));
    assert!(verify_mschap(&password, &challenge, &nt_response));
    assert!(!verify_mschap(b"mypw", &challenge, &nt_response));
    assert!(!verify_mschap(&password, &[0; 8], &nt_response));
    assert!(!verify_mschap(b"\xFF", &challenge, &nt_response));
}

#[test]
fn chap_is_md5_of_three_things() {
    let response = respond_chap(1, b"secret", b"challenge");
    assert_eq!(response, <[u8; 16]>::from(Md5::digest(b"\x01secretchallenge")));
    assert!(verify_chap(1, b"secret", b"challenge", &response));
    assert!(!verify_chap(2, b"secret", b"challenge", &response));
    assert!(!verify_chap(1, b"Secret", b"challenge", &response));
    assert!(!verify_chap(1, b"secret", b"challenges", &response));
}
