//! The names that a certificate carries (RFC 5280 §4.2.1.6): DNS names of subjectAltName, else the common name. The
//! chain has been verified before; here only octets are read, and anything odd means that there is no name.

/// ASN.1 tags (X.690 §8.1.2).
mod tag {
    pub(super) const OID: u8 = 0x06;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    /// `[0]`: version.
    pub(super) const VERSION: u8 = 0xa0;
    /// `[3]`: extensions.
    pub(super) const EXTENSIONS: u8 = 0xa3;
    /// dNSName of a GeneralName.
    pub(super) const DNS_NAME: u8 = 0x82;
}

/// 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Whether the certificate carries this name. Case does not count (RFC 4343).
pub(super) fn carries(certificate: &[u8], name: &str) -> bool {
    names(certificate).is_some_and(|names| names.iter().any(|own| own.eq_ignore_ascii_case(name.as_bytes())))
}

fn names(certificate: &[u8]) -> Option<Vec<&[u8]>> {
    let (certificate, _) = expect(certificate, tag::SEQUENCE)?;
    let (mut rest, _) = expect(certificate, tag::SEQUENCE)?;
    if let Some((_, after)) = expect(rest, tag::VERSION) {
        rest = after;
    }
    // Serial number, signature algorithm, issuer, validity.
    for _ in 0..4 {
        (_, _, rest) = next(rest)?;
    }
    let (subject, after) = expect(rest, tag::SEQUENCE)?;
    let extensions = all(after).find(|(tag, _)| *tag == tag::EXTENSIONS).map(|(_, value)| value);
    let names: Vec<_> = extensions.and_then(alternative).into_iter().flatten().collect();
    // RFC 6125 §6.4.4: the common name counts only where there is no other.
    if names.is_empty() { Some(common(subject).into_iter().collect()) } else { Some(names) }
}

/// DNS names of the extension.
fn alternative(extensions: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let (extensions, _) = expect(extensions, tag::SEQUENCE)?;
    let value = all(extensions).find_map(|(_, extension)| {
        let (oid, rest) = expect(extension, tag::OID)?;
        // `critical` may stand between.
        let value = all(rest).find(|(tag, _)| *tag == tag::OCTET_STRING)?.1;
        (oid == SUBJECT_ALT_NAME).then_some(value)
    })?;
    let (names, _) = expect(value, tag::SEQUENCE)?;
    Some(all(names).filter(|(tag, _)| *tag == tag::DNS_NAME).map(|(_, name)| name))
}

/// The last common name: the most specific one.
fn common(subject: &[u8]) -> Option<&[u8]> {
    let of = |(tag, set): (u8, _)| {
        let (attribute, _) = expect(set, tag::SEQUENCE).filter(|_| tag == tag::SET)?;
        let (oid, value) = expect(attribute, tag::OID)?;
        let (_, value, _) = next(value)?;
        (oid == COMMON_NAME).then_some(value)
    };
    all(subject).filter_map(of).last()
}

fn expect(input: &[u8], expected: u8) -> Option<(&[u8], &[u8])> {
    next(input).filter(|(tag, _, _)| *tag == expected).map(|(_, value, rest)| (value, rest))
}

fn all(mut input: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, value, rest) = next(input)?;
        input = rest;
        Some((tag, value))
    })
}

/// One element: tag, value, what follows. Lengths of up to two octets; no certificate that TLS takes needs more.
fn next(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = input.split_first_chunk::<2>()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => rest
            .split_first_chunk::<2>()
            .map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((tag, value, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(common: &str, alternative: &[&str]) -> Vec<u8> {
        let names: Vec<_> = alternative.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "operator");
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names.push(SanType::IpAddress([192, 0, 2, 1].into()));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn alternative_names_count_and_else_the_common_one() {
        let with = certificate("common.example", &["ap-1.example", "other.example"]);
        for (name, carried) in [
            ("AP-1.example", true),
            ("other.example", true),
            ("common.example", false),
            ("ap-1", false),
            ("", false),
        ] {
            assert_eq!(carries(&with, name), carried, "{name}");
        }
        let without = certificate("ap-2", &[]);
        assert!(carries(&without, "ap-2") && !carries(&without, "operator"));
    }

    proptest! {
        #[test]
        fn damaged_certificates_never_panic(at in 0usize..600, octet: u8, cut in 0usize..600) {
            let mut octets = certificate("ap-2", &["ap-1"]);
            let at = at % octets.len();
            octets[at] = octet;
            let _ = names(&octets);
            octets.truncate(cut);
            let _ = names(&octets);
        }

        #[test]
        fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = names(&octets);
        }
    }
}
