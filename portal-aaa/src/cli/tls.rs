//! The private CA of an installation and what it signs: the portal's and the AAA's certificate, P-256 all.
//!
//! One authority that signs nothing else is what makes server trust exact: stations get it with their credential
//! and refuse every other (feature-spec K7). Called by [`super::init`].

use std::{fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use zeroize::Zeroizing;

const DAY: Duration = Duration::from_secs(86_400);
/// Ten years with their leap days.
const CA_DAYS: u32 = 3652;
/// Two years: clients exist that take no server certificate of more than 825 days.
const LEAF_DAYS: u32 = 730;
/// Readable by who may enter the folder.
const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

/// Writes `ca`, `portal` and `aaa`, each as `.pem` and `.key`, into `folder`.
pub(super) fn create(folder: &Path, now: u64, realm: &str, portal_name: &str, aaa_name: &str) -> Result<()> {
    ensure!(now < u64::from(u32::MAX), "the clock is wrong: {now} seconds since 1970");
    let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    write(folder, "ca.key", PRIVATE, &Zeroizing::new(ca_key.serialize_pem()))?;
    let ca = CertifiedIssuer::self_signed(authority(now, realm)?, ca_key)?;
    write(folder, "ca.pem", PUBLIC, &ca.pem())?;
    for (file, name) in [("portal", portal_name), ("aaa", aaa_name)] {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = server(now, name)?.signed_by(&key, &ca)?;
        write(folder, &format!("{file}.key"), PRIVATE, &Zeroizing::new(key.serialize_pem()))?;
        write(folder, &format!("{file}.pem"), PUBLIC, &certificate.pem())?;
    }
    Ok(())
}

fn authority(now: u64, realm: &str) -> Result<CertificateParams> {
    let mut params = valid(now, CA_DAYS, &format!("wifi-offload CA of {realm}"), Vec::new())?;
    // RFC 5280 §4.2.1.9: no authority under this one.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn server(now: u64, name: &str) -> Result<CertificateParams> {
    // RFC 9525 §6.3: the name counts in subjectAltName; the common name is for people.
    let mut params = valid(now, LEAF_DAYS, name, vec![name.to_owned()])?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // RFC 5216 §5.3: EAP peers ask for serverAuth.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn valid(now: u64, days: u32, common_name: &str, names: Vec<String>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = date_time_ymd(1970, 1, 1) + Duration::from_secs(now);
    // A device whose clock is some hours behind shall not wait for them.
    params.not_before = now - DAY;
    params.not_after = now + DAY * days;
    Ok(params)
}

fn write(folder: &Path, file: &str, mode: u32, text: &str) -> Result<()> {
    let path = folder.join(file);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&path)
        .with_context(|| path.display().to_string())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}
