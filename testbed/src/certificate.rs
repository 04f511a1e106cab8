//! A certificate authority of one test, and what it has signed.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// PEM files for a server on 127.0.0.1.
pub(crate) struct Certificate {
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// New keys every time, written into `folder`.
    pub(crate) fn make(folder: &Path) -> io::Result<Self> {
        let made = Certificate {
            authority: folder.join("ca.pem"),
            certificate: folder.join("cert.pem"),
            key: folder.join("key.pem"),
        };
        let (authority, certificate, key) = signed().map_err(io::Error::other)?;
        std::fs::write(&made.authority, authority)?;
        std::fs::write(&made.certificate, certificate)?;
        std::fs::write(&made.key, key)?;
        Ok(made)
    }
}

/// Two certificates, as clients refuse an authority that serves with its own.
fn signed() -> Result<(String, String, String), rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let key = KeyPair::generate()?;
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    let server_pem = server.signed_by(&key, &Issuer::new(authority, authority_key))?.pem();
    Ok((authority_pem, server_pem, key.serialize_pem()))
}
