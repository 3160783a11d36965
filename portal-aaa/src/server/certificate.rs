//! The certificate that stations see inside EAP, from its PEM files, and again when they have changed.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf, sync::Arc};

use eap::{
    server::{Config, Early, Method},
    tls::SessionStore,
};

use crate::{
    config::TlsSettings,
    pem::{self, PemError},
};

/// Why the AAA has no certificate to show.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file is of no use.
    #[error(transparent)]
    File(#[from] PemError),
    /// Key and certificate do not belong together, or are of a kind that TLS does not take.
    #[error("certificate and key cannot be used: {0}")]
    Pair(#[from] rustls::Error),
}

/// What conversations are made with, besides the files.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Files, and which sessions may be resumed.
    pub tls: TlsSettings,
    /// Method that is proposed first; a station that wants the other says so, a round later (RFC 3748 §5.3.1).
    pub default_method: Method,
    /// Whose PEAP login is a round shorter.
    pub early: Early,
}

/// Knows which files conversations are made of, and notices other ones.
pub(super) struct Watch {
    terms: Terms,
    seen: Seen,
    /// The last change could not be used; said once, not every second.
    refused: bool,
}

/// What tells one state of the files from another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen(Vec<Option<Stamp>>);

/// Inode, size and time of the last change of one file.
type Stamp = (u64, u64, i64, i64);

impl Watch {
    /// Reads the files for the first time.
    pub(super) fn start(terms: Terms) -> Result<(Self, Arc<Config>), CertificateError> {
        // Before they are read: a change meanwhile is read again instead of never.
        let seen = Seen::of(&terms.tls);
        let config = load(&terms)?;
        Ok((Self { terms, seen, refused: false }, config))
    }

    /// The conversations to come, if the files have changed and can be used. Sessions of the old certificate are not
    /// resumed: a station that comes back looks at the new one.
    pub(super) fn poll(&mut self) -> Option<Arc<Config>> {
        let seen = Seen::of(&self.terms.tls);
        if seen == self.seen {
            return None;
        }
        match load(&self.terms) {
            Ok(config) => {
                (self.seen, self.refused) = (seen, false);
                tracing::info!(event = "certificate-changed", path = %self.terms.tls.certificate.display());
                Some(config)
            }
            // Certificate and key are two files: one may be there before the other. So it is tried again, and said
            // once.
            Err(error) => {
                if !std::mem::replace(&mut self.refused, true) {
                    tracing::error!(event = "certificate-refused", %error, "the one before goes on to be used");
                }
                None
            }
        }
    }
}

impl Seen {
    fn of(tls: &TlsSettings) -> Self {
        let files = [Some(&tls.certificate), Some(&tls.key), tls.chain.as_ref()];
        let stamp = |path: &PathBuf| {
            let meta = fs::metadata(path).ok()?;
            Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
        };
        Self(files.into_iter().flatten().map(stamp).collect())
    }
}

fn load(terms: &Terms) -> Result<Arc<Config>, CertificateError> {
    let TlsSettings { certificate, key, chain, resumption, .. } = &terms.tls;
    let mut certificates = pem::chain(certificate)?;
    if let Some(chain) = chain {
        certificates.append(&mut pem::chain(chain)?);
    }
    let key = pem::key(key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let kept = !resumption.lifetime.is_zero() && resumption.sessions > 0;
    Ok(Arc::new(Config {
        tls: eap::tls::server_config(provider, certificates, key)?,
        default_method: terms.default_method,
        methods: vec![Method::Peap, Method::Ttls],
        name: "portal-aaa".to_owned(),
        resumption: kept.then(|| Arc::new(SessionStore::new(resumption.sessions, resumption.lifetime))),
        early: terms.early.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};

    use super::*;
    use crate::config::Resumption;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            let files = Self(tempfile::tempdir().unwrap());
            files.write(&PKCS_ECDSA_P256_SHA256, "");
            files
        }

        fn write(&self, kind: &'static rcgen::SignatureAlgorithm, preface: &str) {
            let key = KeyPair::generate_for(kind).unwrap();
            let certificate = CertificateParams::new(["aaa.operator.example".to_owned()]).unwrap();
            let certificate = certificate.self_signed(&key).unwrap();
            // As `openssl x509 -text` and `openssl ecparam -genkey` write, and editors of other systems.
            let text = format!("{preface}{}", certificate.pem()).replace('\n', "\r\n");
            fs::write(self.path("aaa.pem"), text).unwrap();
            fs::write(self.path("aaa.key"), format!("{preface}{}", key.serialize_pem())).unwrap();
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn terms(&self) -> Terms {
            let tls = TlsSettings {
                certificate: self.path("aaa.pem"),
                key: self.path("aaa.key"),
                chain: None,
                server_name: String::new(),
                ca: PathBuf::new(),
                resumption: Resumption { lifetime: Duration::from_secs(60), sessions: 9 },
            };
            Terms { tls, default_method: Method::Peap, early: Early::Never }
        }
    }

    #[test]
    fn any_preface_does_no_harm() {
        let files = Files::new();
        let preface = "Certificate:\n    Data:\n        Issuer: CN = Über -----\nBag Attributes\n\
                       -----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n\n";
        files.write(&PKCS_ECDSA_P384_SHA384, preface);
        Watch::start(files.terms()).unwrap();
        files.write(&PKCS_ECDSA_P256_SHA256, "\u{feff}");
        Watch::start(files.terms()).unwrap();
    }

    #[test]
    fn a_changed_pair_is_taken_over_and_half_a_pair_is_not() {
        let files = Files::new();
        let (mut watch, _) = Watch::start(files.terms()).unwrap();
        assert!(watch.poll().is_none());
        let old_key = fs::read(files.path("aaa.key")).unwrap();
        files.write(&PKCS_ECDSA_P256_SHA256, "# new\n");
        let new_key = fs::read(files.path("aaa.key")).unwrap();
        fs::write(files.path("aaa.key"), old_key).unwrap();
        assert!(watch.poll().is_none() && watch.refused, "the key of another certificate");
        fs::write(files.path("aaa.key"), new_key).unwrap();
        assert!(watch.poll().is_some() && !watch.refused);
        assert!(watch.poll().is_none());
        fs::remove_file(files.path("aaa.pem")).unwrap();
        assert!(watch.poll().is_none());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let files = Files::new();
        fs::write(files.path("aaa.pem"), "nothing").unwrap();
        assert!(matches!(Watch::start(files.terms()), Err(CertificateError::File(PemError::Empty { .. }))));
        fs::remove_file(files.path("aaa.key")).unwrap();
        files.write(&PKCS_ECDSA_P256_SHA256, "");
        fs::remove_file(files.path("aaa.key")).unwrap();
        let error = Watch::start(files.terms()).err().unwrap().to_string();
        assert!(error.contains("aaa.key"), "{error}");
    }
}
