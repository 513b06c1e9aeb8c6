//! The files that a broker at HOST:PORT is known by and that clients show to it.

use std::path::Path;
use std::sync::Arc;

use hilrig_runner::ClientCertificate;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::dates;
use crate::error::Failure;

/// No file of these is larger, bytes.
const MOST: u64 = 1 << 20;

/// A client certificate of the user's.
#[derive(Clone)]
pub struct OwnCertificate {
    /// For the rig's own MQTT client.
    pub der: ClientCertificate,
    /// Certificates and key for boards and other clients, PEM. A secret.
    pub pem: String,
}

/// Every certificate of the file, which is PEM with one or more, or DER.
pub fn cas(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let wrong = |found: &str| Failure::usage(format!("--ca {}: {found}", file.display()));
    let bytes = read(file).map_err(|found| wrong(&found))?;
    let pem: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&bytes).collect();
    let all = match pem {
        Ok(all) if !all.is_empty() => all,
        Ok(_) => vec![CertificateDer::from(bytes)],
        Err(error) => return Err(wrong(&format!("it is damaged: {error}"))),
    };
    for (at, certificate) in all.iter().enumerate() {
        if dates::validity(certificate).is_none() {
            let which = if all.len() == 1 { "it".into() } else { format!("block {}", at + 1) };
            return Err(wrong(&format!("{which} is no CA certificate, neither PEM nor DER")));
        }
    }
    Ok(all)
}

/// The certificate and the key that belongs to it.
pub fn certificate(chain: &Path, key: &Path) -> Result<OwnCertificate, Failure> {
    let in_chain =
        |found: String| Failure::usage(format!("--client-cert {}: {found}", chain.display()));
    let in_key = |found: String| Failure::usage(format!("--client-key {}: {found}", key.display()));
    let (chain_pem, key_pem) = (read(chain).map_err(in_chain)?, read(key).map_err(in_key)?);
    let certificates: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&chain_pem).collect();
    let certificates = certificates.map_err(|error| in_chain(format!("it is damaged: {error}")))?;
    if certificates.is_empty() {
        return Err(in_chain("it has no certificate in PEM (-----BEGIN CERTIFICATE-----)".into()));
    }
    // What the reader found could show a part of the key.
    let found = PrivateKeyDer::from_pem_slice(&key_pem)
        .map_err(|_| in_key("it has no key in PEM without a passphrase".into()))?;
    check(certificates.clone(), found.clone_key())
        .map_err(|error| in_key(format!("it is no key for --client-cert: {error}")))?;
    let der = ClientCertificate {
        chain: certificates.iter().map(|one| one.to_vec()).collect(),
        key: found.secret_der().to_vec(),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned() + "\n";
    Ok(OwnCertificate { der, pem: text(&chain_pem) + &text(&key_pem) })
}

/// Whether TLS can be done with both: the key is of a known kind and belongs to the certificate.
fn check(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<(), rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_client_auth_cert(chain, key)
        .map(drop)
}

/// The password: the first line.
pub fn password(file: &Path) -> Result<String, Failure> {
    let wrong =
        |found: String| Failure::usage(format!("--password-file {}: {found}", file.display()));
    let bytes = read(file).map_err(wrong)?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is no text in UTF-8".into()))?;
    match text.lines().next() {
        Some(password) if !password.is_empty() => Ok(password.into()),
        _ => Err(wrong("its first line, the password, is empty".into())),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    // A pipe or a device could be read from for ever.
    let cannot = |error: std::io::Error| format!("it cannot be read: {error}");
    let about = std::fs::metadata(file).map_err(cannot)?;
    if !about.is_file() {
        return Err("it cannot be read: it is no file".into());
    }
    if about.len() > MOST {
        return Err(format!("it has {} B, and no such file has more than {MOST} B", about.len()));
    }
    std::fs::read(file).map_err(cannot)
}
