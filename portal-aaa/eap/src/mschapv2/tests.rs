//! RFC 2759 §9.2, step by step.

use super::*;
use crate::tests::Vectors;

#[test]
fn rfc_2759_9_2() {
    let vectors = Vectors::read(include_str!("../../vectors/rfc2759.txt"));
    let authenticator_challenge = vectors.get("AuthenticatorChallenge").try_into().unwrap();
    let peer_challenge = vectors.get("PeerChallenge").try_into().unwrap();
    let user = vectors.get("UserName");
    let exchange = Exchange {
        authenticator_challenge: &authenticator_challenge,
        peer_challenge: &peer_challenge,
        user: &user,
    };
    assert_eq!(exchange.challenge_hash().to_vec(), vectors.get("Challenge"));

    let password = PasswordHash::of(&vectors.get("Password")).unwrap();
    assert_eq!(password.0.to_vec(), vectors.get("PasswordHash"));
    assert_eq!(password.hash().to_vec(), vectors.get("PasswordHashHash"));

    let nt_response = exchange.nt_response(&password);
    assert_eq!(nt_response.to_vec(), vectors.get("NT-Response"));
    assert!(exchange.proves(&password, &nt_response));
    let mut wrong = nt_response;
    wrong[23] ^= 1;
    assert!(!exchange.proves(&password, &wrong));
    let text = exchange.authenticator_response(&password, &nt_response);
    assert_eq!(text.to_vec(), vectors.get("AuthenticatorResponse"));

    let with_domain = Exchange { user: b"BIGCO\\User", ..exchange };
    assert!(with_domain.proves(&password, &nt_response));
}

#[test]
fn passwords_that_cannot_be_typed_have_no_hash() {
    assert!(PasswordHash::of(&[0xFF]).is_none());
    assert!(PasswordHash::of(&[b'a'; 257]).is_none());
    assert!(PasswordHash::of(&[b'a'; 256]).is_some());
    assert!(PasswordHash::of("pässwörd €".as_bytes()).is_some());
}

#[test]
fn des_keys_leave_the_parity_bit_out() {
    assert_eq!(des_key(&[0xFF; 7]), [0xFE; 8]);
    assert_eq!(des_key(&[0x80, 0, 0, 0, 0, 0, 1]), [0x80, 0, 0, 0, 0, 0, 0, 2]);
}
