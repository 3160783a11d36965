//! Certificates for the peers: what `portal-aaa init` made, and others under the same authority by `openssl`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::write;
use crate::workshop;

/// What a server's certificate is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// ECDSA with P-256.
    P256,
    /// RSA with 2048 bits.
    Rsa,
}

impl Kind {
    /// For tables and case names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::Rsa => "RSA-2048",
        }
    }
}

/// Files of a server: whom to trust, its certificate (leaf alone), its key.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    /// The authority.
    pub(crate) ca: PathBuf,
    /// The leaf.
    pub(crate) leaf: PathBuf,
    /// Its private key.
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// An authority of its own and a leaf for `name`, both of this kind, in `folder`.
    pub(crate) fn make(folder: &Path, kind: Kind, name: &str) -> Result<Self> {
        let path = |file: &str| folder.join(file);
        let made = Self { ca: path("ca.pem"), leaf: path("leaf.pem"), key: path("leaf.key") };
        let authority = path("ca.key");
        generate(kind, &authority)?;
        openssl(
            &["req", "-x509", "-new", "-sha256", "-days", "30", "-subj", "/O=Lab/CN=Lab Root"],
            |command| {
                command.arg("-key").arg(&authority).arg("-out").arg(&made.ca);
                command.args(["-addext", "basicConstraints=critical,CA:TRUE"]);
                command.args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
            },
        )?;
        leaf(folder, kind, name, &authority, &made)?;
        Ok(made)
    }

    /// Another leaf under the authority of one that [`Self::make`] made, in a folder of its own.
    pub(crate) fn beside(&self, folder: &Path, kind: Kind, name: &str) -> Result<Self> {
        let path = |file: &str| folder.join(file);
        let made = Self { ca: self.ca.clone(), leaf: path("leaf.pem"), key: path("leaf.key") };
        leaf(folder, kind, name, &self.ca.with_file_name("ca.key"), &made)?;
        Ok(made)
    }
}

/// A key and its certificate for `name`, good for both ends of TLS, signed by the authority of `made`.
fn leaf(folder: &Path, kind: Kind, name: &str, authority: &Path, made: &Certificate) -> Result<()> {
    generate(kind, &made.key)?;
    let (request, extensions) = (folder.join("leaf.csr"), folder.join("leaf.ext"));
    write(
        &extensions,
        &format!(
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n\
             extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:{name}\n"
        ),
    )?;
    openssl(&["req", "-new", "-subj", &format!("/O=Lab/CN={name}")], |command| {
        command.arg("-key").arg(&made.key).arg("-out").arg(&request);
    })?;
    openssl(&["x509", "-req", "-sha256", "-days", "30", "-CAcreateserial"], |command| {
        command.arg("-in").arg(&request).arg("-CA").arg(&made.ca).arg("-CAkey").arg(authority);
        command.arg("-extfile").arg(&extensions).arg("-out").arg(&made.leaf);
    })
}

fn generate(kind: Kind, path: &Path) -> Result<()> {
    let options: &[&str] = match kind {
        Kind::P256 => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        Kind::Rsa => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    };
    openssl(&["genpkey"], |command| {
        command.args(options).arg("-out").arg(path);
    })
}

fn openssl(words: &[&str], more: impl FnOnce(&mut Command)) -> Result<()> {
    let mut command = Command::new("openssl");
    command.args(words);
    more(&mut command);
    workshop::run(&mut command).map(drop)
}
