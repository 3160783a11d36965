//! `<credential>`: user name, password, EAP settings, server trust and policy, read leniently.
//!
//! Limits in octets: user name and names 253 (RFC 7542 §2.3, RFC 1035 §2.3.4), password 256 (RFC 2759 §8.3), SSID 32
//! (IEEE 802.11 §9.4.2.2).

use super::{
    MAX_NETWORKS, XmlError,
    names::Named,
    read::{Node, parse},
    text::{boolean, line, lines, mac, number, rfc3339, station, time},
    write::{Document, Writer},
};
use crate::{
    message::{
        AfterMove, ApFilter, Credential, EapSettings, InnerMethod, MAX_RESERVE, MacMode, Network, Offload,
        OuterMethod, Policy, Sequence, SmsUse, Threshold, UseCredential,
    },
    passpoint::{MAX_CONSORTIUMS, MAX_DOMAINS, MAX_PASSPOINTS, Passpoint},
    secret::Password,
    wispr::{MAX_HOTSPOTS, MAX_LOCATION, MAX_LOGIN_NAMES, Wispr, is_login_name},
};

const ROOT: &str = "credential";
const MAX_NAME: usize = 253;
const MAX_PASSWORD: usize = 256;
const MAX_SSID: usize = 32;
const MAX_URL: usize = 2048;

/// Writes what the portal gives.
pub fn encode_credential(credential: &Credential) -> Result<Document, XmlError> {
    Writer::document(ROOT, |w| {
        w.leaf("username", line("username", &credential.username, MAX_NAME)?);
        // The one message whose purpose is to carry the password.
        w.leaf("password", line("password", credential.password.expose(), MAX_PASSWORD)?);
        w.parent("eap", |w| write_eap(w, &credential.eap))?;
        w.parent("mac", |w| write_mac_mode(w, credential.mac_mode))?;
        w.leaf("issued", &rfc3339("issued", credential.issued_at)?);
        if let Some(expires_at) = credential.expires_at {
            w.leaf("expires", &rfc3339("expires", expires_at)?);
        }
        w.leaf("one-time", if credential.one_time { "true" } else { "false" });
        w.parent("policy", |w| write_policy(w, &credential.policy))?;
        if let Some(signed) = &credential.signed_policy {
            w.leaf("signed-policy", signed.as_str());
        }
        Ok(())
    })
}

/// Whether a message could carry this policy; the error names the field that is in the way.
pub(crate) fn check_policy(policy: &Policy) -> Result<(), XmlError> {
    Writer::document("policy", |w| write_policy(w, policy)).map(drop)
}

/// Reads what the portal gives.
pub fn decode_credential(octets: &[u8]) -> Result<Credential, XmlError> {
    read_credential(parse(octets, ROOT)?)
}

/// The same, of an element that stands in something else.
pub(super) fn read_credential(root: Node) -> Result<Credential, XmlError> {
    let root = root.expect(ROOT)?;
    let expires_at = match root.optional("expires")? {
        Some(node) => Some(time("expires", node.leaf("expires")?)?),
        None => None,
    };
    Ok(Credential {
        username: line("username", child(&root, "username")?, MAX_NAME)?.to_owned(),
        password: Password::new(line("password", child(&root, "password")?, MAX_PASSWORD)?.to_owned()),
        eap: read_eap(root.required("eap")?)?,
        mac_mode: read_mac_mode(root.required("mac")?)?,
        issued_at: time("issued", child(&root, "issued")?)?,
        expires_at,
        one_time: boolean("one-time", child(&root, "one-time")?)?,
        policy: read_policy(root.required("policy")?)?,
        signed_policy: match root.optional("signed-policy")? {
            Some(node) => Some(
                node.leaf("signed-policy")?
                    .parse()
                    .map_err(|_| XmlError::Value { element: "signed-policy" })?,
            ),
            None => None,
        },
    })
}

fn child<'a>(parent: &'a Node, element: &'static str) -> Result<&'a str, XmlError> {
    parent.required(element)?.leaf(element)
}

fn write_eap(w: &mut Writer, eap: &EapSettings) -> Result<(), XmlError> {
    w.leaf("outer", eap.outer.name("outer")?);
    w.leaf("inner", eap.inner.name("inner")?);
    w.leaf("anonymous-identity", line("anonymous-identity", &eap.anonymous_identity, MAX_NAME)?);
    w.leaf("server-name", line("server-name", &eap.server_name, MAX_NAME)?);
    w.leaf("ca", lines("ca", &eap.ca_pem)?);
    Ok(())
}

fn read_eap(node: &Node) -> Result<EapSettings, XmlError> {
    let identity = "anonymous-identity";
    Ok(EapSettings {
        outer: OuterMethod::read("outer", child(node, "outer")?)?,
        inner: InnerMethod::read("inner", child(node, "inner")?)?,
        anonymous_identity: line(identity, child(node, identity)?, MAX_NAME)?.to_owned(),
        server_name: line("server-name", child(node, "server-name")?, MAX_NAME)?.to_owned(),
        ca_pem: lines("ca", child(node, "ca")?)?.to_owned(),
    })
}

fn write_mac_mode(w: &mut Writer, mode: MacMode) -> Result<(), XmlError> {
    match mode {
        MacMode::Permanent => w.empty("permanent"),
        MacMode::Issued(mac) => w.leaf("issued-address", &station("issued-address", mac)?),
        MacMode::Unbound => w.empty("unbound"),
    }
    Ok(())
}

/// Exactly one way must be understood: a guess could put the card's own address on the air against the
/// operator's will.
fn read_mac_mode(node: &Node) -> Result<MacMode, XmlError> {
    let permanent = node.optional("permanent")?;
    let issued = node.optional("issued-address")?;
    let unbound = node.optional("unbound")?;
    match (permanent, issued, unbound) {
        (Some(_), None, None) => Ok(MacMode::Permanent),
        (None, Some(node), None) => mac("issued-address", node.leaf("issued-address")?).map(MacMode::Issued),
        (None, None, Some(_)) => Ok(MacMode::Unbound),
        _ => Err(XmlError::Value { element: "mac" }),
    }
}

fn write_policy(w: &mut Writer, policy: &Policy) -> Result<(), XmlError> {
    let hotspots = policy.networks.iter().filter(|network| network.wispr.is_some()).count();
    if policy.networks.len() > MAX_NETWORKS || hotspots > MAX_HOTSPOTS {
        return Err(XmlError::TooMany);
    }
    w.leaf("version", &policy.version.to_string());
    for network in &policy.networks {
        w.parent("network", |w| {
            w.leaf("ssid", line("ssid", &network.ssid, MAX_SSID)?);
            w.leaf("priority", &network.priority.to_string());
            if network.operator_owned {
                w.leaf("operator-owned", "true");
            }
            match &network.wispr {
                Some(wispr) => w.parent("wispr", |w| write_wispr(w, wispr)),
                None => Ok(()),
            }
        })?;
    }
    w.leaf("enter-dbm", &policy.enter_dbm.to_string());
    w.leaf("leave-dbm", &policy.leave_dbm.to_string());
    w.leaf("dwell-secs", &policy.dwell_secs.to_string());
    w.leaf("penalty-secs", &policy.penalty_secs.to_string());
    w.leaf("probe-url", line("probe-url", &policy.probe_url, MAX_URL)?);
    w.leaf("cellular-after-move", policy.cellular_after_move.name("cellular-after-move")?);
    w.leaf("drain-secs", &policy.drain_secs.to_string());
    w.leaf("renew-after-return", if policy.renew_after_return { "true" } else { "false" });
    w.leaf("renew-every-secs", &policy.renew_every_secs.to_string());
    write_later(w, policy)
}

fn write_wispr(w: &mut Writer, wispr: &Wispr) -> Result<(), XmlError> {
    if !(1..=MAX_LOGIN_NAMES).contains(&wispr.login_names.len()) {
        return Err(XmlError::TooMany);
    }
    for name in &wispr.login_names {
        w.leaf("login-name", login_name(name)?);
    }
    if let Some(location) = &wispr.location {
        w.leaf("location", line("location", location, MAX_LOCATION)?);
    }
    if wispr.stay_logged_on {
        w.leaf("stay-logged-on", "true");
    }
    Ok(())
}

fn login_name(name: &str) -> Result<&str, XmlError> {
    if is_login_name(name) { Ok(name) } else { Err(XmlError::Value { element: "login-name" }) }
}

/// What came after version 0.1.0 is left out where it says what a peer without it does anyway.
fn write_later(w: &mut Writer, policy: &Policy) -> Result<(), XmlError> {
    if policy.sequence != Sequence::default() {
        w.leaf("sequence", policy.sequence.name("sequence")?);
    }
    if policy.renew_before_move {
        w.leaf("renew-before-move", "true");
    }
    if policy.one_time_reserve > MAX_RESERVE {
        return Err(XmlError::Value { element: "one-time-reserve" });
    }
    if policy.one_time_reserve > 0 {
        w.leaf("one-time-reserve", &policy.one_time_reserve.to_string());
    }
    if policy.offline_grace_secs > 0 {
        w.leaf("offline-grace-secs", &policy.offline_grace_secs.to_string());
    }
    named(w, "ap-filter", policy.ap_filter)?;
    if policy.passpoints.len() > MAX_PASSPOINTS {
        return Err(XmlError::TooMany);
    }
    for passpoint in &policy.passpoints {
        w.parent("passpoint", |w| write_passpoint(w, passpoint))?;
    }
    named(w, "offload", policy.offload)?;
    named(w, "threshold", policy.threshold)?;
    named(w, "use-credential", policy.use_credential)?;
    if policy.renew_on_attach {
        w.leaf("renew-on-attach", "true");
    }
    named(w, "sms", policy.sms)
}

fn named<T: Named + Default>(w: &mut Writer, element: &'static str, value: T) -> Result<(), XmlError> {
    if value != T::default() {
        w.leaf(element, value.name(element)?);
    }
    Ok(())
}

fn write_passpoint(w: &mut Writer, passpoint: &Passpoint) -> Result<(), XmlError> {
    if passpoint.roaming_consortiums.len() > MAX_CONSORTIUMS || passpoint.domains.len() > MAX_DOMAINS {
        return Err(XmlError::TooMany);
    }
    if !passpoint.is_recognisable() {
        return Err(XmlError::Value { element: "passpoint" });
    }
    w.leaf("priority", &passpoint.priority.to_string());
    for oi in &passpoint.roaming_consortiums {
        w.leaf("roaming-consortium", &oi.to_string());
    }
    for domain in &passpoint.domains {
        w.leaf("domain", line("domain", domain, MAX_NAME)?);
    }
    if let Some(realm) = &passpoint.realm {
        w.leaf("realm", line("realm", realm, MAX_NAME)?);
    }
    Ok(())
}

fn read_policy(node: &Node) -> Result<Policy, XmlError> {
    let mut networks = Vec::new();
    for network in node.all("network") {
        if networks.len() == MAX_NETWORKS {
            return Err(XmlError::TooMany);
        }
        networks.push(Network {
            ssid: line("ssid", child(network, "ssid")?, MAX_SSID)?.to_owned(),
            priority: number("priority", child(network, "priority")?)?,
            operator_owned: later(network, "operator-owned", boolean)?,
            wispr: network.optional("wispr")?.map(read_wispr).transpose()?,
        });
    }
    if networks.iter().filter(|network| network.wispr.is_some()).count() > MAX_HOTSPOTS {
        return Err(XmlError::TooMany);
    }
    let seconds = |element| child(node, element).and_then(|text| number::<u32>(element, text));
    let dbm = |element| child(node, element).and_then(|text| number::<i32>(element, text));
    Ok(Policy {
        version: number("version", child(node, "version")?)?,
        networks,
        enter_dbm: dbm("enter-dbm")?,
        leave_dbm: dbm("leave-dbm")?,
        dwell_secs: seconds("dwell-secs")?,
        penalty_secs: seconds("penalty-secs")?,
        probe_url: line("probe-url", child(node, "probe-url")?, MAX_URL)?.to_owned(),
        cellular_after_move: AfterMove::read("cellular-after-move", child(node, "cellular-after-move")?)?,
        drain_secs: seconds("drain-secs")?,
        renew_after_return: boolean("renew-after-return", child(node, "renew-after-return")?)?,
        renew_every_secs: number("renew-every-secs", child(node, "renew-every-secs")?)?,
        sequence: later(node, "sequence", Sequence::read)?,
        renew_before_move: later(node, "renew-before-move", boolean)?,
        one_time_reserve: later(node, "one-time-reserve", |element, text| {
            number(element, text).map(|reserve: u8| reserve.min(MAX_RESERVE))
        })?,
        offline_grace_secs: later(node, "offline-grace-secs", number)?,
        ap_filter: later(node, "ap-filter", ApFilter::read)?,
        passpoints: read_passpoints(node)?,
        offload: later(node, "offload", Offload::read)?,
        threshold: later(node, "threshold", Threshold::read)?,
        use_credential: later(node, "use-credential", UseCredential::read)?,
        renew_on_attach: later(node, "renew-on-attach", boolean)?,
        sms: later(node, "sms", SmsUse::read)?,
    })
}

fn read_wispr(node: &Node) -> Result<Wispr, XmlError> {
    let name = |node: &Node| node.leaf("login-name").and_then(login_name).map(str::to_owned);
    let location = |node: &Node| {
        node.leaf("location").and_then(|text| line("location", text, MAX_LOCATION)).map(str::to_owned)
    };
    let wispr = Wispr {
        login_names: node.all("login-name").map(name).collect::<Result<_, _>>()?,
        location: node.optional("location")?.map(location).transpose()?,
        stay_logged_on: later(node, "stay-logged-on", boolean)?,
    };
    if (1..=MAX_LOGIN_NAMES).contains(&wispr.login_names.len()) { Ok(wispr) } else { Err(XmlError::TooMany) }
}

fn read_passpoints(node: &Node) -> Result<Vec<Passpoint>, XmlError> {
    let mut passpoints = Vec::new();
    for entry in node.all("passpoint") {
        let text = |node: &Node, element| {
            node.leaf(element).and_then(|text| line(element, text, MAX_NAME)).map(str::to_owned)
        };
        let oi = |node: &Node| {
            let element = "roaming-consortium";
            node.leaf(element)?.parse().map_err(|_| XmlError::Value { element })
        };
        let passpoint = Passpoint {
            priority: number("priority", child(entry, "priority")?)?,
            roaming_consortiums: entry.all("roaming-consortium").map(oi).collect::<Result<_, _>>()?,
            domains: entry.all("domain").map(|node| text(node, "domain")).collect::<Result<_, _>>()?,
            realm: entry.optional("realm")?.map(|node| text(node, "realm")).transpose()?,
        };
        let many = passpoints.len() == MAX_PASSPOINTS
            || passpoint.roaming_consortiums.len() > MAX_CONSORTIUMS
            || passpoint.domains.len() > MAX_DOMAINS;
        if many {
            return Err(XmlError::TooMany);
        }
        if !passpoint.is_recognisable() {
            return Err(XmlError::Value { element: "passpoint" });
        }
        passpoints.push(passpoint);
    }
    Ok(passpoints)
}

/// An element that came after version 0.1.0: a portal that does not send it means its default.
fn later<T: Default>(
    node: &Node,
    element: &'static str,
    read: impl FnOnce(&'static str, &str) -> Result<T, XmlError>,
) -> Result<T, XmlError> {
    match node.optional(element)? {
        Some(node) => read(element, node.leaf(element)?),
        None => Ok(T::default()),
    }
}
