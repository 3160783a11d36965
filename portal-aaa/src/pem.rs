//! Certificates and keys from PEM files (RFC 7468), whatever stands around the blocks. Read so by the AAA, the portal,
//! RadSec and `portal-aaa check`, so that what one takes no other refuses.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error, PemObject as _},
};
use zeroize::Zeroizing;

/// RFC 7468 §2.
const BEGIN: &[u8] = b"-----BEGIN ";

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// It cannot be read, or is no PEM.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Error,
    },
    /// No certificate is in it.
    #[error("{path} holds no certificate")]
    Empty {
        /// Which.
        path: PathBuf,
    },
}

/// All certificates of a file, in order; one at least.
pub fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let text = text(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(of(path))?;
    if chain.is_empty() { Err(PemError::Empty { path: path.to_owned() }) } else { Ok(chain) }
}

/// The first private key of a file.
pub fn key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(&text(path)?).map_err(of(path))
}

/// A file with each PEM block at the beginning of a line: in front may stand what `openssl x509 -text` says, a byte
/// order mark, or spaces, and the parser would not see the block.
fn text(path: &Path) -> Result<Zeroizing<Vec<u8>>, PemError> {
    let file = Zeroizing::new(fs::read(path).map_err(|error| of(path)(Error::Io(error)))?);
    // Room for all of it and some line ends more: what is moved would leave a key behind.
    let mut text = Zeroizing::new(Vec::with_capacity(2 * file.len()));
    for octet in &*file {
        text.push(*octet);
        if text.ends_with(BEGIN) {
            let begin = text.len() - BEGIN.len();
            text.insert(begin, b'\n');
        }
    }
    Ok(text)
}

fn of(path: &Path) -> impl FnOnce(Error) -> PemError {
    let path = path.to_owned();
    move |source| PemError::File { path, source }
}
