//! A credential as NetworkManager connection profiles, one a policy network (`nm-settings-dbus(5)`). Pure; called by
//! `station`.

use std::path::Path;

use provisioning::{
    message::{Credential, InnerMethod, MacMode, OuterMethod},
    secret::Password,
};
use sha2::{Digest, Sha256};
use zbus::Variant;

use super::proxies::Sections;
use crate::supplicant::network::{Unfit, check};

/// First part of every `connection.uuid` of ours (RFC 9562 §5.8): how an agent that was restarted finds what it left.
const UUID_PREFIX: &str = "0ff10ad0-77f1-8000-8000-";
/// `NM_SETTING_SECRET_FLAG_AGENT_OWNED`: NetworkManager keeps no such secret, it asks for it.
const AGENT_OWNED: u32 = 1;
/// `NM_SETTING_802_1X_AUTH_FLAGS_TLS_1_0_DISABLE` and `…_1_1_DISABLE` (RFC 8996 ended both).
const NO_OLD_TLS: u32 = 1 | 2;
/// `NM_MPTCP_FLAGS_DISABLED`: endpoints are the links' business.
const NO_MPTCP: u32 = 1;

/// What carries 802.1X. Operators use Wi-Fi; over a wire it is the same conversation, and tests have no radio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    Wifi,
    Wire,
}

/// A profile, and the network it is for.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) ssid: Vec<u8>,
    pub(super) sections: Sections,
}

/// Where the profiles apply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) interface: &'a str,
    pub(super) medium: Medium,
    /// Where the credential's CA certificates stand.
    pub(super) ca_file: &'a Path,
    /// Whether this NetworkManager knows `connection.mptcp-flags` (1.40).
    pub(super) mptcp: bool,
}

/// The profiles of a credential. The password is in none of them: [`reply`] gives it when NetworkManager asks.
pub(super) fn profiles(credential: &Credential, place: Place<'_>) -> Result<Vec<Profile>, Unfit> {
    check(credential)?;
    let eap = eap(credential, place.ca_file)?;
    let profile = |network: &provisioning::message::Network| {
        let ssid = network.ssid.clone().into_bytes();
        let uuid = uuid(place.interface, &ssid);
        let open = network.wispr.is_some();
        let mut sections = Sections::from([
            ("connection", connection(&network.ssid, &uuid, place)),
            ("ipv4", addresses(false)),
            ("ipv6", addresses(true)),
        ]);
        if !open {
            sections.insert("802-1x", copy(&eap));
        }
        match place.medium {
            Medium::Wifi => {
                sections.insert("802-11-wireless", radio(&ssid, credential.mac_mode));
                if !open {
                    sections
                        .insert("802-11-wireless-security", [("key-mgmt", Variant::from("wpa-eap"))].into());
                }
            }
            Medium::Wire => {
                sections.insert("802-3-ethernet", mac(credential.mac_mode));
            }
        }
        Profile { ssid, sections }
    };
    Ok(credential.policy.networks.iter().map(profile).collect())
}

/// Whether a profile with this UUID is ours, of whichever run of the agent.
pub(super) fn is_ours(uuid: &str) -> bool {
    uuid.starts_with(UUID_PREFIX)
}

/// What NetworkManager gets when it asks for the secrets of a profile of ours.
pub(super) fn reply(password: &Password) -> Sections {
    Sections::from([("802-1x", [("password", Variant::from(password.expose().to_owned()))].into())])
}

type Section = std::collections::HashMap<&'static str, Variant<'static>>;

fn connection(name: &str, uuid: &str, place: Place<'_>) -> Section {
    let kind = match place.medium {
        Medium::Wifi => "802-11-wireless",
        Medium::Wire => "802-3-ethernet",
    };
    let mut section = Section::from([
        ("id", Variant::from(format!("wifi-offload {name}"))),
        ("uuid", Variant::from(uuid.to_owned())),
        ("type", Variant::from(kind)),
        ("interface-name", Variant::from(place.interface.to_owned())),
        ("autoconnect", Variant::from(false)),
        // Nobody else sees it or brings it up.
        ("permissions", Variant::from(vec!["user:root:"])),
        // A second try with the same password would be the same refusal.
        ("auth-retries", Variant::from(1i32)),
    ]);
    if place.mptcp {
        section.insert("mptcp-flags", Variant::from(NO_MPTCP));
    }
    section
}

fn eap(credential: &Credential, ca_file: &Path) -> Result<Section, Unfit> {
    let eap = &credential.eap;
    let outer = match eap.outer {
        OuterMethod::Peap => "peap",
        OuterMethod::Ttls => "ttls",
    };
    let inner = match (eap.outer, eap.inner) {
        (OuterMethod::Peap | OuterMethod::Ttls, InnerMethod::Mschapv2) => "mschapv2",
        (OuterMethod::Peap, InnerMethod::Gtc) => "gtc",
        (OuterMethod::Ttls, InnerMethod::Pap) => "pap",
        (OuterMethod::Peap, InnerMethod::Pap) | (OuterMethod::Ttls, InnerMethod::Gtc) => {
            return Err(Unfit::Method);
        }
    };
    // nm-settings-dbus(5): a path is given as octets with the scheme in front and a NUL at the end.
    let mut ca = b"file://".to_vec();
    ca.extend_from_slice(ca_file.as_os_str().as_encoded_bytes());
    ca.push(0);
    let mut section = Section::from([
        ("eap", Variant::from(vec![outer])),
        ("identity", Variant::from(credential.username.clone())),
        ("anonymous-identity", Variant::from(eap.anonymous_identity.clone())),
        ("ca-cert", Variant::from(ca)),
        ("domain-match", Variant::from(eap.server_name.clone())),
        ("phase1-auth-flags", Variant::from(NO_OLD_TLS)),
        ("phase2-auth", Variant::from(inner)),
        ("password-flags", Variant::from(AGENT_OWNED)),
    ]);
    if eap.outer == OuterMethod::Peap {
        section.insert("phase1-peapver", Variant::from("0"));
    }
    Ok(section)
}

/// Routes and name servers are moved by the links, when the probe has succeeded. IPv4 must come, since that is what
/// tells whether the network is of use; IPv6 may.
fn addresses(may_fail: bool) -> Section {
    Section::from([
        ("method", Variant::from("auto")),
        ("never-default", Variant::from(true)),
        ("ignore-auto-dns", Variant::from(true)),
        ("may-fail", Variant::from(may_fail)),
    ])
}

fn radio(ssid: &[u8], mode: MacMode) -> Section {
    let mut section = mac(mode);
    section.insert("ssid", Variant::from(ssid.to_vec()));
    section.insert("mode", Variant::from("infrastructure"));
    // Found also where it hides its name, and before NetworkManager's own scan has seen it.
    section.insert("hidden", Variant::from(true));
    section
}

/// `assigned-mac-address` is `cloned-mac-address` as text.
fn mac(mode: MacMode) -> Section {
    match mode {
        MacMode::Permanent => [("assigned-mac-address", Variant::from("permanent"))].into(),
        MacMode::Issued(mac) => [("assigned-mac-address", Variant::from(mac.to_string()))].into(),
        MacMode::Unbound => Section::new(),
    }
}

/// The same for the same network, so that a profile that was left behind is in nobody's way.
fn uuid(interface: &str, ssid: &[u8]) -> String {
    let digest = Sha256::new().chain_update(interface).chain_update([0]).chain_update(ssid).finalize();
    let tail: String = digest.iter().take(6).map(|octet| format!("{octet:02x}")).collect();
    format!("{UUID_PREFIX}{tail}")
}

fn copy(section: &Section) -> Section {
    // Only descriptors cannot be cloned, and there is none in a profile.
    section.iter().filter_map(|(key, value)| Some((*key, value.try_clone().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supplicant::tests::credential;

    fn place(medium: Medium) -> Place<'static> {
        Place { interface: "wlan0", medium, ca_file: Path::new("/run/aaa-ca.pem"), mptcp: true }
    }

    fn text<'a>(profile: &'a Profile, section: &str, key: &str) -> &'a str {
        <&str>::try_from(&profile.sections[section][key]).unwrap()
    }

    #[test]
    fn a_profile_trusts_one_server_and_moves_no_traffic() {
        let made = profiles(&credential(), place(Medium::Wifi)).unwrap();
        let profile = &made[0];
        assert_eq!(text(profile, "802-1x", "domain-match"), "aaa.operator.example");
        assert_eq!(
            profile.sections["802-1x"]["ca-cert"],
            Variant::from(b"file:///run/aaa-ca.pem\0".to_vec())
        );
        assert_eq!(profile.sections["802-1x"]["eap"], Variant::from(vec!["peap"]));
        assert_eq!(text(profile, "802-1x", "phase2-auth"), "mschapv2");
        assert_eq!(profile.sections["connection"]["autoconnect"], Variant::from(false));
        for family in ["ipv4", "ipv6"] {
            assert_eq!(profile.sections[family]["never-default"], Variant::from(true));
            assert_eq!(profile.sections[family]["ignore-auto-dns"], Variant::from(true));
        }
        assert_eq!(profile.sections["802-11-wireless"]["ssid"], Variant::from(b"OperatorWiFi".to_vec()));
        let uuid = text(profile, "connection", "uuid");
        assert!(is_ours(uuid), "{uuid}");
        assert_eq!(uuid.len(), 36);
        assert!(!is_ours("9d1a4c6e-0000-4000-8000-000000000000"));
    }

    #[test]
    fn the_password_is_not_in_a_profile() {
        let credential = credential();
        for medium in [Medium::Wifi, Medium::Wire] {
            let profiles = format!("{:?}", profiles(&credential, place(medium)).unwrap());
            assert!(!profiles.contains("s3cret"), "{profiles}");
        }
        assert!(format!("{:?}", reply(&credential.password)).contains("s3cret"), "it is in the reply");
    }

    #[test]
    fn an_open_network_has_nothing_to_log_on_with() {
        let mut credential = credential();
        credential.policy.networks[0].wispr = Some(provisioning::wispr::Wispr::default());
        let made = profiles(&credential, place(Medium::Wifi)).unwrap();
        let [profile] = made.as_slice() else { panic!("{made:?}") };
        for section in ["802-1x", "802-11-wireless-security"] {
            assert!(!profile.sections.contains_key(section), "{section}");
        }
        assert_eq!(profile.sections["connection"]["autoconnect"], Variant::from(false));
    }

    #[test]
    fn the_address_on_the_air() {
        let assigned = |mode| mac(mode).remove("assigned-mac-address");
        assert_eq!(assigned(MacMode::Permanent), Some(Variant::from("permanent")));
        let issued = MacMode::Issued("02:00:00:00:00:07".parse().unwrap());
        assert_eq!(assigned(issued), Some(Variant::from("02:00:00:00:00:07")));
        assert_eq!(assigned(MacMode::Unbound), None);
    }

    #[test]
    fn what_must_not_be_trusted_is_refused() {
        let mut wild = credential();
        wild.eap.server_name = "*.operator.example".into();
        assert_eq!(profiles(&wild, place(Medium::Wifi)).err(), Some(Unfit::ServerName));
        let mut method = credential();
        method.eap.inner = InnerMethod::Pap;
        assert_eq!(profiles(&method, place(Medium::Wifi)).err(), Some(Unfit::Method));
    }
}
