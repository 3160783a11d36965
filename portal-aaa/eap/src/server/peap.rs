//! PEAPv0 phase 2: inner identity, EAP-MSCHAPv2, result and crypto-binding (MS-PEAP §3.1.5).

use subtle::ConstantTimeEq;

use super::tunnel::{Inner, Phase2};
use crate::{
    Msk, Random, Reason,
    compound::Compound,
    mschapv2::{Challenge, Message, NtHash, failure_text, nt_response, session_keys, success_text, without_domain},
    packet::{self, Packet, Type},
    tls::Tls,
    tlv::{CryptoBinding, Tlvs},
};

enum State {
    Begin,
    Identity,
    Lookup,
    /// The challenge is out.
    Challenge { challenge: [u8; 16], id: u8, password: String },
    /// `S=` is out.
    Proved { inner_key: [u8; 32] },
    /// `E=691` is out.
    Refused(Reason),
    /// The result is out.
    Result { nonce: [u8; 32], inner_key: [u8; 32] },
}

pub(super) struct Peap {
    server_name: String,
    identity: Option<String>,
    state: State,
}

impl Peap {
    pub(super) fn new(server_name: String) -> Self {
        Self { server_name, identity: None, state: State::Begin }
    }

    fn message(&mut self, tls: &Tls, data: &[u8], identifier: u8, random: &mut Random<'_>) -> Inner {
        let Ok(message) = Message::parse(data) else { return Inner::Failure(Reason::ProtocolError) };
        match (std::mem::replace(&mut self.state, State::Begin), message) {
            (State::Challenge { challenge, id, password }, Message::Response(response)) => {
                let name = without_domain(response.name);
                let known = self.identity.as_deref().map(without_domain);
                let hash = NtHash::of(&password);
                let expected = nt_response(&challenge, response.peer_challenge, name, &hash);
                let good = bool::from(expected.ct_eq(response.nt_response)) && known == Some(name) && response.id == id;
                let answer = if good {
                    self.state = State::Proved { inner_key: session_keys(&hash, response.nt_response) };
                    Message::Success(success_text(&hash, &response, &challenge, name).as_bytes()).write(id)
                } else {
                    self.state = State::Refused(Reason::WrongPassword);
                    Message::Failure(failure_text(&challenge).as_bytes()).write(id)
                };
                Inner::Send([&[Type::MSCHAPV2.0], &answer[..]].concat())
            }
            (State::Proved { inner_key }, Message::Success(_)) => {
                self.result(tls, inner_key, identifier, random)
            }
            (State::Proved { .. }, Message::Failure(_)) => Inner::Failure(Reason::PeerRefused),
            // No protected failure result: a peer that requires crypto-binding (`crypto_binding=2`) drops a result
            // without one, a failed method has no key to make one with, and the peer would wait instead of failing.
            (State::Refused(reason), Message::Failure(_) | Message::Success(_)) => Inner::Failure(reason),
            _ => Inner::Failure(Reason::ProtocolError),
        }
    }

    /// Sends the result with the crypto-binding. The TLV packet keeps its EAP header.
    fn result(&mut self, tls: &Tls, inner_key: [u8; 32], identifier: u8, random: &mut Random<'_>) -> Inner {
        let mut nonce = [0; 32];
        random(&mut nonce);
        let Ok(compound) = compound(tls, &inner_key) else { return Inner::Failure(Reason::TlsError) };
        let mut binding = CryptoBinding { received_version: 0, response: false, nonce, mac: [0; 20] };
        binding.mac = compound.mac(&binding);
        let tlvs = Tlvs { result: Some(true), binding: Some(binding) };
        self.state = State::Result { nonce, inner_key };
        Inner::Send(packet::request(identifier.wrapping_add(1), Type::TLV, &tlvs.write()))
    }

    fn finish(&mut self, tls: &Tls, data: &[u8]) -> Inner {
        let State::Result { nonce, inner_key } = std::mem::replace(&mut self.state, State::Begin) else {
            return Inner::Failure(Reason::ProtocolError);
        };
        let Some(tlvs) = Tlvs::parse(data) else { return Inner::Failure(Reason::ProtocolError) };
        if tlvs.result != Some(true) {
            return Inner::Failure(Reason::PeerRefused);
        }
        let Some(binding) = tlvs.binding else {
            // A peer that knows no crypto-binding leaves it out; the MSK is then the tunnel's own.
            return match tls.key_material(b"client EAP encryption", Type::PEAP) {
                Ok(octets) => octets.first_chunk::<64>().map_or(Inner::Failure(Reason::TlsError), |m| Inner::Success(Msk::new(*m))),
                Err(reason) => Inner::Failure(reason),
            };
        };
        match compound(tls, &inner_key) {
            Ok(keys) if binding.response && binding.nonce == nonce && keys.verifies(&binding) => Inner::Success(keys.msk()),
            Ok(_) => Inner::Failure(Reason::CryptoBindingMismatch),
            Err(reason) => Inner::Failure(reason),
        }
    }
}

fn compound(tls: &Tls, inner_key: &[u8; 32]) -> Result<Compound, Reason> {
    Ok(Compound::new(&*tls.key_material(b"client EAP encryption", Type::PEAP)?, inner_key))
}

impl Phase2 for Peap {
    fn begin(&mut self, _tls: &Tls, _random: &mut Random<'_>) -> Inner {
        self.state = State::Identity;
        Inner::Send(vec![Type::IDENTITY.0])
    }

    fn receive(&mut self, tls: &Tls, plain: &[u8], identifier: u8, random: &mut Random<'_>) -> Inner {
        if let State::Result { .. } = self.state {
            return match Packet::parse(plain) {
                Ok(Packet::Response(body)) if body.kind == Type::TLV => self.finish(tls, body.data),
                _ => Inner::Failure(Reason::ProtocolError),
            };
        }
        // The inner EAP header is left out in PEAPv0.
        let Some((kind, data)) = plain.split_first() else { return Inner::Failure(Reason::ProtocolError) };
        match (Type(*kind), &self.state) {
            (Type::IDENTITY, State::Identity) => match std::str::from_utf8(data) {
                Ok(identity) if identity.len() <= 253 => {
                    self.identity = Some(identity.to_owned());
                    self.state = State::Lookup;
                    Inner::Lookup(identity.to_owned())
                }
                _ => Inner::Failure(Reason::ProtocolError),
            },
            (Type::MSCHAPV2, _) => self.message(tls, data, identifier, random),
            (Type::NAK, State::Challenge { .. }) => Inner::Failure(Reason::NoCommonMethod),
            _ => Inner::Failure(Reason::ProtocolError),
        }
    }

    fn acknowledged(&mut self, _tls: &Tls) -> Inner {
        Inner::Failure(Reason::ProtocolError)
    }

    fn provide(&mut self, _tls: &Tls, password: Option<&[u8]>, random: &mut Random<'_>) -> Inner {
        let Some(password) = password.and_then(|p| std::str::from_utf8(p).ok()) else {
            return Inner::Failure(Reason::RejectedByDirectory);
        };
        let mut challenge = [0; 16];
        random(&mut challenge);
        let mut id = [0];
        random(&mut id);
        let [id] = id;
        let message = Message::Challenge(Challenge { id, challenge: &challenge, name: self.server_name.as_bytes() }).write(id);
        self.state = State::Challenge { challenge, id, password: password.to_owned() };
        Inner::Send([&[Type::MSCHAPV2.0], &message[..]].concat())
    }

    fn identity(&self) -> Option<String> {
        self.identity.clone()
    }
}
