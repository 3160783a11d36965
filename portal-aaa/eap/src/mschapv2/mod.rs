//! CHAP, MS-CHAP and MS-CHAP-V2: proofs of a password (RFC 1994 §4.1, RFC 2433 §8, RFC 2759 §8), and the keys that
//! follow from the last one (RFC 3079 §3).
//!
//! MD4, MD5, SHA-1 and DES are the protocols'; they are safe only inside a TLS tunnel, where EAP uses them. RADIUS
//! without EAP uses the functions of this file for what hotspot gateways send in the open. Each proof has the
//! verifier's function and the peer's beside it. Comparisons take the same time wherever the difference is.

mod exchange;
mod keys;
mod message;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use exchange::challenge_response;

pub(crate) use exchange::{Exchange, PasswordHash, without_domain};
pub(crate) use message::{Message, Response, failure_text, read_failure};

/// Octets of an MS-CHAP-V2 challenge, the authenticator's and the peer's.
pub const CHALLENGE: usize = 16;
/// Octets of the peer's proof.
pub const NT_RESPONSE: usize = 24;
/// Octets of the server's proof: `S=` and 40 digits (RFC 2759 §5).
pub const AUTHENTICATOR_RESPONSE: usize = 42;
/// Octets of an MPPE key.
pub const KEY: usize = 16;

/// What the server does with a proof that is right.
pub struct Mschapv2Success {
    /// The server's own proof, `S=` and upper-case digits, for MS-CHAP2-Success (RFC 2548 §2.3.3).
    pub authenticator_response: [u8; AUTHENTICATOR_RESPONSE],
    /// For MS-MPPE-Send-Key: what the server, or the gateway in its place, sends with (RFC 3079 §3.3).
    pub send_key: Zeroizing<[u8; KEY]>,
    /// For MS-MPPE-Recv-Key: what it receives with.
    pub recv_key: Zeroizing<[u8; KEY]>,
}

/// Is it the MS-CHAP-V2 proof of somebody who knows the password? `user` as in User-Name: the proof may have been
/// made without its domain, as RFC 2759 §4 says, or with it, as some peers do.
pub fn verify_mschapv2(
    password: &[u8],
    user: &[u8],
    authenticator_challenge: &[u8; CHALLENGE],
    peer_challenge: &[u8; CHALLENGE],
    nt_response: &[u8; NT_RESPONSE],
) -> Option<Mschapv2Success> {
    let exchange = Exchange { authenticator_challenge, peer_challenge };
    let proof = exchange.verify(&PasswordHash::of(password)?, user, user, nt_response)?;
    let [recv_key, send_key] = proof.session_keys();
    Some(Mschapv2Success { authenticator_response: proof.authenticator_response(), send_key, recv_key })
}

/// The peer's proof, and the one that it may expect of the server. `None` where no such password can be typed.
pub fn respond_mschapv2(
    password: &[u8],
    user: &[u8],
    authenticator_challenge: &[u8; CHALLENGE],
    peer_challenge: &[u8; CHALLENGE],
) -> Option<([u8; NT_RESPONSE], [u8; AUTHENTICATOR_RESPONSE])> {
    let exchange = Exchange { authenticator_challenge, peer_challenge };
    let proof = exchange.prove(&PasswordHash::of(password)?, without_domain(user));
    Some((proof.nt_response, proof.authenticator_response()))
}

/// Is it the MS-CHAP proof (RFC 2433 §A.5) of somebody who knows the password?
pub fn verify_mschap(password: &[u8], challenge: &[u8; 8], nt_response: &[u8; NT_RESPONSE]) -> bool {
    respond_mschap(password, challenge).is_some_and(|proof| proof.ct_eq(nt_response).into())
}

/// The peer's MS-CHAP proof. `None` where no such password can be typed.
pub fn respond_mschap(password: &[u8], challenge: &[u8; 8]) -> Option<[u8; NT_RESPONSE]> {
    PasswordHash::of(password).map(|hash| challenge_response(challenge, &hash))
}

/// Is it the CHAP proof (RFC 1994 §4.1) of somebody who knows the password?
pub fn verify_chap(ident: u8, password: &[u8], challenge: &[u8], response: &[u8; 16]) -> bool {
    respond_chap(ident, password, challenge).ct_eq(response).into()
}

/// The peer's CHAP proof.
pub fn respond_chap(ident: u8, password: &[u8], challenge: &[u8]) -> [u8; 16] {
    Md5::new().chain_update([ident]).chain_update(password).chain_update(challenge).finalize().into()
}

#[cfg(test)]
mod tests;
