//! A credential as network blocks for wpa_supplicant (`wpa_supplicant.conf(5)`), one a policy network. Pure;
//! called by `operations`.
//!
//! A block that would trust any server, or less than the exact name, is refused: without `ca_cert` and
//! `domain_match` wpa_supplicant would hand the password to whoever answers.

use std::{os::unix::ffi::OsStrExt, path::Path};

use provisioning::message::{Credential, EapSettings, InnerMethod, OuterMethod};

use super::request::Value;

/// Marks the blocks that are ours, in `id_str`; how an agent that was restarted finds what it left behind.
pub(super) const MARK: &str = "wifi-offload";
/// More networks than this are no policy.
const MAX_NETWORKS: usize = 16;
/// RFC 2865 §5.1: what fits into a User-Name.
const MAX_IDENTITY: usize = 253;
const MAX_PASSWORD: usize = 128;
/// RFC 1035 §2.3.4.
const MAX_NAME: usize = 253;
/// What a portal may send as certificates, octets.
const MAX_CA: usize = 64 * 1024;

/// Why a credential is not installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("credential-no-ca: no CA certificate, or too large")]
    Ca,
    #[error("credential-server-name: the AAA's name is missing or no host name")]
    ServerName,
    #[error("credential-identity: username, outer identity or password is empty or too long")]
    Identity,
    #[error("credential-method: this inner method does not exist inside this tunnel")]
    Method,
    #[error("credential-networks: the policy names no network, too many, or one longer than 32 octets")]
    Networks,
}

/// One network block: name, and every field in the order of setting.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) ssid: Vec<u8>,
    pub(super) fields: Vec<(&'static str, Value)>,
}

/// The blocks of a credential whose CA certificates stand in `ca_file`.
pub(super) fn blocks(credential: &Credential, ca_file: &Path) -> Result<Vec<Block>, Unfit> {
    check(credential)?;
    let eap = &credential.eap;
    let phase2 = phase2(eap)?;
    let open = |network: &provisioning::message::Network| Block {
        ssid: network.ssid.clone().into_bytes(),
        fields: vec![
            ("id_str", Value::Quoted(MARK)),
            ("ssid", Value::octets(&network.ssid)),
            ("scan_ssid", Value::Number(1)),
            // Open: nothing that is encrypted, or asks for a password on the air, is joined under this name.
            ("key_mgmt", Value::Words("NONE")),
            ("priority", Value::Number(i64::from(network.priority))),
            ("mac_addr", Value::Number(0)),
        ],
    };
    let enterprise = |network: &provisioning::message::Network| Block {
        ssid: network.ssid.clone().into_bytes(),
        fields: vec![
            // The mark first: a block that is only half set is found and removed by it.
            ("id_str", Value::Quoted(MARK)),
            ("ssid", Value::octets(&network.ssid)),
            ("scan_ssid", Value::Number(1)),
            ("key_mgmt", Value::Words("WPA-EAP WPA-EAP-SHA256")),
            ("ieee80211w", Value::Number(1)),
            ("eap", Value::Words(outer(eap))),
            ("identity", Value::octets(&credential.username)),
            ("anonymous_identity", Value::octets(&eap.anonymous_identity)),
            ("password", Value::octets(credential.password.expose())),
            ("ca_cert", Value::octets(ca_file.as_os_str().as_bytes())),
            ("domain_match", Value::octets(&eap.server_name)),
            ("phase1", Value::Quoted(phase1(eap))),
            ("phase2", Value::Quoted(phase2)),
            ("priority", Value::Number(i64::from(network.priority))),
            // Overrides a global mac_addr=1: the AAA checks the address, and an issued one has been set on the
            // interface before the network is enabled. 0 leaves the interface's address alone.
            ("mac_addr", Value::Number(0)),
        ],
    };
    let block = |network: &provisioning::message::Network| match network.wispr {
        Some(_) => open(network),
        None => enterprise(network),
    };
    Ok(credential.policy.networks.iter().map(block).collect())
}

/// What must hold whoever owns the interface; NetworkManager's profiles are checked by it, too.
pub(crate) fn check(credential: &Credential) -> Result<(), Unfit> {
    let eap = &credential.eap;
    let ca = &eap.ca_pem;
    if ca.len() > MAX_CA
        || !ca.contains("-----BEGIN CERTIFICATE-----")
        || !ca.contains("-----END CERTIFICATE-----")
    {
        return Err(Unfit::Ca);
    }
    // domain_match takes a list separated by semicolons: only one host name is let through.
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if eap.server_name.len() > MAX_NAME || !eap.server_name.split('.').all(label) {
        return Err(Unfit::ServerName);
    }
    let fits = |text: &str, max| (1..=max).contains(&text.len());
    if !fits(&credential.username, MAX_IDENTITY)
        || !fits(&eap.anonymous_identity, MAX_IDENTITY)
        || !fits(credential.password.expose(), MAX_PASSWORD)
    {
        return Err(Unfit::Identity);
    }
    let networks = &credential.policy.networks;
    // IEEE 802.11 §9.4.2.2: an SSID has up to 32 octets.
    if !(1..=MAX_NETWORKS).contains(&networks.len())
        || !networks.iter().all(|network| fits(&network.ssid, 32))
    {
        return Err(Unfit::Networks);
    }
    Ok(())
}

fn outer(eap: &EapSettings) -> &'static str {
    match eap.outer {
        OuterMethod::Peap => "PEAP",
        OuterMethod::Ttls => "TTLS",
    }
}

/// TLS 1.2 and 1.3 only (RFC 8996 ended the others; 2.10 leaves 1.3 off unless told). Crypto binding is required
/// in PEAP: without it a tunnel to somebody else may carry our inner method. It is defined for version 0
/// ([MS-PEAP] §3.1.5.5).
fn phase1(eap: &EapSettings) -> &'static str {
    match eap.outer {
        OuterMethod::Peap => {
            "peapver=0 crypto_binding=2 tls_disable_tlsv1_0=1 tls_disable_tlsv1_1=1 tls_disable_tlsv1_3=0"
        }
        OuterMethod::Ttls => "tls_disable_tlsv1_0=1 tls_disable_tlsv1_1=1 tls_disable_tlsv1_3=0",
    }
}

fn phase2(eap: &EapSettings) -> Result<&'static str, Unfit> {
    match (eap.outer, eap.inner) {
        (OuterMethod::Peap | OuterMethod::Ttls, InnerMethod::Mschapv2) => Ok("auth=MSCHAPV2"),
        (OuterMethod::Peap, InnerMethod::Gtc) => Ok("auth=GTC"),
        (OuterMethod::Ttls, InnerMethod::Pap) => Ok("auth=PAP"),
        (OuterMethod::Peap, InnerMethod::Pap) | (OuterMethod::Ttls, InnerMethod::Gtc) => Err(Unfit::Method),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::credential, *};

    fn refused(change: impl FnOnce(&mut Credential)) -> Option<Unfit> {
        let mut credential = credential();
        change(&mut credential);
        blocks(&credential, Path::new("/run/ca.pem")).err()
    }

    #[test]
    fn nothing_is_installed_that_would_trust_anybody() {
        assert_eq!(refused(|_| {}), None);
        assert_eq!(refused(|c| c.eap.ca_pem.clear()), Some(Unfit::Ca));
        assert_eq!(refused(|c| c.eap.ca_pem = "hello".into()), Some(Unfit::Ca));
        assert_eq!(refused(|c| c.eap.server_name.clear()), Some(Unfit::ServerName));
        for name in
            ["aaa.operator.example;evil.example", "*.operator.example", "a..b", "a b", "a\nb", "\"a\""]
        {
            assert_eq!(refused(|c| c.eap.server_name = name.into()), Some(Unfit::ServerName), "{name:?}");
        }
    }

    #[test]
    fn what_wpa_supplicant_cannot_do_is_refused() {
        assert_eq!(refused(|c| c.eap.inner = InnerMethod::Pap), Some(Unfit::Method));
        assert_eq!(refused(|c| c.policy.networks.clear()), Some(Unfit::Networks));
        assert_eq!(refused(|c| c.policy.networks[0].ssid = "x".repeat(33)), Some(Unfit::Networks));
        assert_eq!(refused(|c| c.username.clear()), Some(Unfit::Identity));
        assert_eq!(refused(|c| c.eap.anonymous_identity.clear()), Some(Unfit::Identity));
    }

    #[test]
    fn an_open_network_is_told_no_password() {
        let mut credential = credential();
        credential.policy.networks[0].wispr = Some(provisioning::wispr::Wispr::default());
        let blocks = blocks(&credential, Path::new("/run/ca.pem")).unwrap();
        let names: Vec<_> = blocks[0].fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["id_str", "ssid", "scan_ssid", "key_mgmt", "priority", "mac_addr"]);
        assert!(matches!(blocks[0].fields[3].1, Value::Words("NONE")));
    }

    #[test]
    fn every_network_of_the_policy_gets_a_block() {
        let mut credential = credential();
        let mut second = credential.policy.networks[0].clone();
        second.ssid = "Second".into();
        credential.policy.networks.push(second);
        let blocks = blocks(&credential, Path::new("/run/ca.pem")).unwrap();
        let names: Vec<_> = blocks.iter().map(|block| block.ssid.as_slice()).collect();
        assert_eq!(names, [b"OperatorWiFi".as_slice(), b"Second"]);
        for block in blocks {
            for needed in ["ca_cert", "domain_match", "phase1", "phase2", "anonymous_identity", "mac_addr"] {
                assert!(block.fields.iter().any(|(field, _)| *field == needed), "{needed}");
            }
        }
    }
}
