//! Is this request from a holder of the shared secret? Everything before it is forgeable.
//!
//! RFC 3579 §3.2, RFC 5997 §3, CVE-2024-3596 (BlastRADIUS). Called by [`crate::server`] before duplicate
//! detection, so that a forged packet cannot take a genuine one's place.

use radius::{AttributeType, Code, Packet, check_message_authenticator};

use crate::store::MessageAuthenticator as Policy;

/// What a request deserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Proved by its Message-Authenticator, or by nothing where the client's policy asks for nothing.
    Genuine,
    /// Unproved, and the client's policy says to serve it all the same and to note it.
    Unproved,
    /// Forged, damaged or made with another secret: dropped.
    Forged,
    /// Unproved where proof is needed: dropped.
    Missing,
}

/// Judges an Access-Request or Status-Server.
pub fn judge(request: &Packet<'_>, secret: &[u8], policy: Policy) -> Verdict {
    match check_message_authenticator(request, secret) {
        radius::MessageAuthenticator::Valid => Verdict::Genuine,
        radius::MessageAuthenticator::Invalid => Verdict::Forged,
        // RFC 3579 §3.1: a request with EAP-Message and without Message-Authenticator MUST be dropped; RFC 5997 §3
        // says the same of Status-Server. No policy can soften these.
        radius::MessageAuthenticator::Missing
            if request.code() == Code::STATUS_SERVER || request.get(AttributeType::EAP_MESSAGE).is_some() =>
        {
            Verdict::Missing
        }
        radius::MessageAuthenticator::Missing => match policy {
            Policy::Require => Verdict::Missing,
            Policy::Audit => Verdict::Unproved,
            Policy::Off => Verdict::Genuine,
        },
    }
}

#[cfg(test)]
mod tests {
    use radius::Builder;

    use super::*;

    /// Takes the Message-Authenticator, which stands first, out of a packet.
    fn without_proof(octets: &[u8]) -> Vec<u8> {
        let mut bare = [&octets[..20], &octets[38..]].concat();
        bare[3] = u8::try_from(bare.len()).unwrap();
        bare
    }

    fn verdicts(octets: &[u8], secret: &[u8]) -> [Verdict; 3] {
        let packet = Packet::parse(octets).unwrap();
        [Policy::Require, Policy::Audit, Policy::Off].map(|policy| judge(&packet, secret, policy))
    }

    #[test]
    fn proof_is_needed_unless_the_client_is_audited_and_there_is_no_eap() {
        let pap =
            Builder::access_request(1, [1; 16]).text(AttributeType::USER_NAME, "x").finish(b"s").unwrap();
        assert_eq!(verdicts(&pap, b"s"), [Verdict::Genuine; 3]);
        assert_eq!(verdicts(&pap, b"other"), [Verdict::Forged; 3]);
        assert_eq!(
            verdicts(&without_proof(&pap), b"s"),
            [Verdict::Missing, Verdict::Unproved, Verdict::Genuine]
        );

        let eap = Builder::access_request(1, [1; 16]).eap(&[2, 1, 0, 5, 1]).finish(b"s").unwrap();
        assert_eq!(verdicts(&eap, b"s"), [Verdict::Genuine; 3]);
        assert_eq!(verdicts(&without_proof(&eap), b"s"), [Verdict::Missing; 3]);

        let status = Builder::status_server(1, [1; 16]).finish(b"s").unwrap();
        assert_eq!(verdicts(&status, b"s"), [Verdict::Genuine; 3]);
        assert_eq!(verdicts(&without_proof(&status), b"s"), [Verdict::Missing; 3]);
    }
}
