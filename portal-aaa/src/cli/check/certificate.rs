//! The certificates, looked at as a device will: does it lead to the CA, does it carry the name, is it in time.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    CertificateError, Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
};

use super::Findings;
use crate::{config::Settings, pem};

/// How long before its end a certificate is worth a word.
const SOON: Duration = Duration::from_secs(30 * 86_400);

/// One of the two servers.
struct Server<'a> {
    what: &'static str,
    certificate: &'a PathBuf,
    /// Sent after those of `certificate`.
    chain: Option<&'a PathBuf>,
    key: &'a PathBuf,
    name: &'a str,
    name_key: &'static str,
}

pub(super) fn check(settings: &Settings, now: Duration, findings: &mut Findings) {
    let ca = match chain(&settings.tls.ca) {
        Ok(ca) => ca,
        Err(message) => {
            findings.problem(
                message,
                "set [tls] ca to the PEM file of the authority that signed the AAA's certificate",
            );
            return;
        }
    };
    let servers = [
        Server {
            what: "AAA",
            certificate: &settings.tls.certificate,
            chain: settings.tls.chain.as_ref(),
            key: &settings.tls.key,
            name: &settings.tls.server_name,
            name_key: "[tls] server_name",
        },
        Server {
            what: "portal",
            certificate: &settings.portal.certificate,
            chain: None,
            key: &settings.portal.key,
            name: &settings.portal.name,
            name_key: "[portal] name",
        },
    ];
    for server in &servers {
        match look(server, &ca, now, findings) {
            Ok(()) => findings.good(format!("certificate of the {}, {}", server.what, server.name)),
            Err((what, remedy)) => {
                findings.problem(format!("{}: {what}", server.certificate.display()), remedy)
            }
        }
    }
}

fn look(
    server: &Server<'_>,
    ca: &[CertificateDer<'static>],
    now: Duration,
    findings: &mut Findings,
) -> Result<(), (String, String)> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let files =
        "restore certificate and key from a copy, or take those of a new `portal-aaa init`".to_owned();
    let mut leaf_first = chain(server.certificate).map_err(|message| (message, files.clone()))?;
    if let Some(more) = server.chain {
        leaf_first.append(&mut chain(more).map_err(|message| (message, files.clone()))?);
    }
    belongs(&provider, &leaf_first, server.key).map_err(|message| (message, files))?;
    if others_may_read(server.key) {
        let remedy = format!("run `chmod 600 {}`", server.key.display());
        return Err((format!("others may read its key {}", server.key.display()), remedy));
    }
    match verify(&provider, ca, &leaf_first, server.name, now) {
        Ok(()) => {}
        // The portal may have one of a public authority; who trusts that, the agents' configuration says.
        Err(error) if is_foreign(&error) && server.what == "portal" => {
            findings.note(
                "the portal's certificate is not signed by [tls] ca",
                "right if an authority that devices know signed it; set [portal] ca of their agent.toml to that",
            );
        }
        Err(error) => return Err(explain(&error, server)),
    }
    if verify(&provider, ca, &leaf_first, server.name, now + SOON).is_err_and(|error| is_expiry(&error)) {
        findings.note(
            format!("the certificate of the {} ends within 30 days", server.what),
            "replace it in time: no device logs on with one that has ended",
        );
    }
    Ok(())
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    pem::chain(path).map_err(|error| error.to_string())
}

fn belongs(provider: &CryptoProvider, chain: &[CertificateDer<'static>], key: &Path) -> Result<(), String> {
    let der = pem::key(key).map_err(|error| format!("its key {error}"))?;
    CertifiedKey::from_der(chain.to_vec(), der, provider)
        .map(|_| ())
        .map_err(|error| format!("its key {} does not belong to it: {error}", key.display()))
}

fn others_may_read(key: &Path) -> bool {
    fs::metadata(key).is_ok_and(|meta| meta.mode() & 0o007 != 0)
}

fn verify(
    provider: &Arc<CryptoProvider>,
    ca: &[CertificateDer<'static>],
    chain: &[CertificateDer<'static>],
    name: &str,
    now: Duration,
) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    for certificate in ca {
        roots.add(certificate.clone())?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let name = ServerName::try_from(name).map_err(|error| Error::General(error.to_string()))?;
    let (leaf, intermediates) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
    verifier.verify_server_cert(leaf, intermediates, &name, &[], UnixTime::since_unix_epoch(now)).map(|_| ())
}

fn is_expiry(error: &Error) -> bool {
    use CertificateError::{Expired, ExpiredContext};
    matches!(error, Error::InvalidCertificate(Expired | ExpiredContext { .. }))
}

/// Signed by somebody else; `BadSignature` where that one has the name of our CA, but another key.
fn is_foreign(error: &Error) -> bool {
    use CertificateError::{BadSignature, UnknownIssuer};
    matches!(error, Error::InvalidCertificate(BadSignature | UnknownIssuer))
}

fn explain(error: &Error, server: &Server<'_>) -> (String, String) {
    use CertificateError::{NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext};
    let Server { name, name_key, .. } = server;
    match error {
        Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => (
            format!("it does not carry the name {name}"),
            format!(
                "set {name_key} to the name in it, or make one for {name} with `portal-aaa init` in another folder"
            ),
        ),
        Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }) => {
            ("it is not valid yet".to_owned(), "set this machine's clock".to_owned())
        }
        error if is_foreign(error) => (
            "it is not signed by [tls] ca".to_owned(),
            "set [tls] ca to the authority that signed it: stations are told to trust that and no other"
                .to_owned(),
        ),
        error if is_expiry(error) => {
            ("it has ended".to_owned(), "replace it; no device logs on until then".to_owned())
        }
        error => (error.to_string(), "devices will refuse it; replace it".to_owned()),
    }
}
