//! From what stands in the file to what can be worked with; every problem is named, not only the first.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    CredentialSettings, EarlyIdentity, PortalSettings, RadiusSettings, Resumption, Settings, TlsSettings,
    diagnostic::Misfit,
    fragment::{self, Fragment},
    roaming, session, sms,
};
use crate::{
    credential::token,
    gateway::{HeaderProof, ProofMode, ProofSettings},
    policy::{self, Unfit},
    portal,
    store::Entitlement,
};

/// RFC 7542 §2.3: a NAI has at most 253 octets to get through RADIUS; username and `@` take theirs.
const MAX_REALM: usize = 253 - token::OPAQUE - 1;
/// A subscriber's session should not be believed for longer without a word of its gateway.
const MAX_SILENCE_SECS: u64 = 86_400;
/// More from one address are a crowd whatever the operator says.
const MAX_IDENTITIES: u32 = 64;
/// Of bursts, seconds and requests a second; beyond it there is no limit any more.
const MAX_RATE: u32 = 1_000_000;
/// RFC 8446 §4.6.1: no ticket is good for longer than a week.
const MAX_RESUMPTION_SECS: u32 = 604_800;
/// Half a kilobyte each.
const MAX_RESUMPTION_SESSIONS: u32 = 1_048_576;

pub(super) fn settings(fragment: Fragment, base: &Path) -> Result<Settings, Vec<Misfit>> {
    let mut misfits = Vec::new();
    let mut unfit = |key: &str, message: String| misfits.push(Misfit { key: key.to_owned(), message });

    let realm = fragment.realm.to_ascii_lowercase();
    if name(&realm).is_err() || realm.len() > MAX_REALM {
        unfit(
            "realm",
            format!("a realm is a domain name of at most {MAX_REALM} characters, such as operator.example"),
        );
    }
    let portal_name = fragment.portal.name.clone().unwrap_or_else(|| format!("portal.{realm}"));
    let server_name = fragment.tls.server_name.unwrap_or_else(|| format!("aaa.{realm}"));
    for (key, value) in [("portal.name", &portal_name), ("tls.server_name", &server_name)] {
        if let Err(message) = name(value) {
            unfit(key, message.to_owned());
        }
    }
    let (listen, accounting_listen) = (fragment.radius.listen, fragment.radius.accounting_listen);
    if listen == accounting_listen && listen.port() != 0 {
        unfit("radius.accounting_listen", "must differ from `listen`: both are UDP".to_owned());
    }
    if fragment.proof.mode == fragment::Mode::TrustedPrefix && fragment.proof.prefixes.is_empty() {
        unfit(
            "proof.prefixes",
            "mode trusted-prefix needs at least one network, else no device is served".to_owned(),
        );
    }
    let proof = &fragment.proof;
    if proof.mode == fragment::Mode::Header && proof.proxies.is_empty() {
        unfit("proof.proxies", "mode header needs at least one proxy, else no device is served".to_owned());
    }
    if proof.mode == fragment::Mode::Header && proof.imsi_header.is_empty() && proof.msisdn_header.is_empty()
    {
        unfit("proof.imsi_header", "mode header needs the name of a header of the proxy's".to_owned());
    }
    for (key, name) in
        [("proof.imsi_header", &proof.imsi_header), ("proof.msisdn_header", &proof.msisdn_header)]
    {
        if !name.is_empty() && axum::http::HeaderName::try_from(name.as_str()).is_err() {
            unfit(key, "must be the name of an HTTP header, such as x-imsi".to_owned());
        }
    }
    if !(1..=MAX_IDENTITIES).contains(&proof.max_identities) {
        unfit("proof.max_identities", format!("must be 1 to {MAX_IDENTITIES}"));
    }
    let portal = &fragment.portal;
    for (key, value) in [
        ("portal.address_burst", portal.address_burst),
        ("portal.address_refill_secs", portal.address_refill_secs),
        ("portal.subscriber_burst", portal.subscriber_burst),
        ("portal.subscriber_refill_secs", portal.subscriber_refill_secs),
        ("portal.max_rate", portal.max_rate),
    ] {
        if !(1..=MAX_RATE).contains(&value) {
            unfit(key, format!("must be 1 to {MAX_RATE}"));
        }
    }
    if fragment.tls.resumption_secs > MAX_RESUMPTION_SECS {
        unfit("tls.resumption_secs", format!("must be 0 to {MAX_RESUMPTION_SECS} seconds"));
    }
    if fragment.tls.resumption_sessions > MAX_RESUMPTION_SESSIONS {
        unfit("tls.resumption_sessions", format!("must be 0 to {MAX_RESUMPTION_SESSIONS}"));
    }
    if !(1..=MAX_SILENCE_SECS).contains(&fragment.proof.max_silence_secs) {
        unfit("proof.max_silence_secs", format!("must be 1 to {MAX_SILENCE_SECS} seconds"));
    }
    let credential = &fragment.credential;
    if let Err(message) = policy::methods(credential.outer, credential.inner) {
        unfit("credential.inner", message.to_owned());
    }
    let session = session::session(&fragment.session, &mut unfit);
    let access = session::access(fragment.access, &mut unfit);
    for Unfit { field, reason } in policy::unfit(&fragment.policy) {
        unfit(&format!("policy.{field}"), reason);
    }
    // Components: `.` is for the file, not for messages.
    let data_dir: PathBuf = base.join(&fragment.data_dir).components().collect();
    let radsec = fragment.radsec.map(|radsec| roaming::radsec(radsec, &data_dir));
    if radsec.as_ref().and_then(|radsec| radsec.listen) == Some(fragment.portal.listen) {
        unfit("radsec.listen", "must differ from [portal] listen: both are TCP".to_owned());
    }
    let proxy = roaming::settings(fragment.proxy, &realm, radsec.is_some(), &data_dir, &mut unfit);
    let sms = fragment.sms.map(|fragment| sms::settings(fragment, &data_dir, &mut unfit));
    if !misfits.is_empty() {
        return Err(misfits);
    }

    Ok(Settings {
        realm,
        portal: PortalSettings {
            listen: fragment.portal.listen,
            certificate: data_dir.join(fragment.portal.certificate),
            key: data_dir.join(fragment.portal.key),
            name: portal_name,
            entitlement: match fragment.portal.subscribers {
                fragment::Subscribers::Any => Entitlement::Any,
                fragment::Subscribers::Listed => Entitlement::Listed,
            },
            limits: portal::Limits {
                burst: fragment.portal.address_burst,
                refill: Duration::from_secs(u64::from(fragment.portal.address_refill_secs)),
                subscriber_burst: fragment.portal.subscriber_burst,
                subscriber_refill: Duration::from_secs(u64::from(fragment.portal.subscriber_refill_secs)),
                total_per_second: fragment.portal.max_rate,
                ..portal::Limits::default()
            },
        },
        radius: RadiusSettings {
            listen,
            accounting_listen,
            early_identity: match fragment.radius.early_identity {
                fragment::EarlyIdentity::Never => EarlyIdentity::Never,
                fragment::EarlyIdentity::Issued => EarlyIdentity::Issued,
                fragment::EarlyIdentity::Always => EarlyIdentity::Always,
            },
        },
        tls: TlsSettings {
            certificate: data_dir.join(fragment.tls.certificate),
            key: data_dir.join(fragment.tls.key),
            chain: fragment.tls.chain.map(|chain| data_dir.join(chain)),
            server_name,
            ca: data_dir.join(fragment.tls.ca),
            resumption: Resumption {
                lifetime: Duration::from_secs(u64::from(fragment.tls.resumption_secs)),
                sessions: usize::try_from(fragment.tls.resumption_sessions).unwrap_or(usize::MAX),
            },
        },
        radsec,
        proxy,
        proof: ProofSettings {
            mode: match fragment.proof.mode {
                fragment::Mode::GatewayAccounting => ProofMode::GatewayAccounting,
                fragment::Mode::TrustedPrefix => ProofMode::TrustedPrefix(fragment.proof.prefixes),
                fragment::Mode::Header => ProofMode::Header(HeaderProof {
                    proxies: fragment.proof.proxies,
                    imsi: Some(fragment.proof.imsi_header).filter(|name| !name.is_empty()),
                    msisdn: Some(fragment.proof.msisdn_header).filter(|name| !name.is_empty()),
                }),
            },
            max_identities: usize::try_from(fragment.proof.max_identities).unwrap_or(usize::MAX),
            max_silence_secs: fragment.proof.max_silence_secs,
        },
        credential: CredentialSettings {
            lifetime: credential.lifetime,
            mac: credential.mac,
            outer: credential.outer,
            inner: credential.inner,
            keep_expired_days: credential.keep_expired_days,
        },
        sms,
        access,
        session,
        accounting: fragment.accounting,
        policy: fragment.policy,
        data_dir,
    })
}

/// Whether `text` is a host name as certificates carry them (RFC 5890 §2.3.1: letters, digits and hyphens).
pub fn name(text: &str) -> Result<(), &'static str> {
    const WRONG: &str = "must be a domain name of letters, digits and hyphens, such as aaa.operator.example";
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() <= 253 && text.split('.').all(label) { Ok(()) } else { Err(WRONG) }
}
