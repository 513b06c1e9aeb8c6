//! The user's files: the CA of a broker at HOST:PORT, a client certificate, a password.

use std::path::Path;
use std::sync::Arc;

use hilrig::{ClientCertificate, Error};
use hilrig_broker::clients;
use hilrig_core::secrets::Secrets;
use hilrig_core::text;
use hilrig_report::input;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate_view;

/// The user's client certificate.
#[derive(Clone)]
pub struct OwnCertificate {
    /// For the rig's own MQTT client.
    pub der: ClientCertificate,
    /// Certificates and key for boards and other clients, PEM. A secret.
    pub pem: String,
}

impl OwnCertificate {
    /// For the rig's other clients.
    pub fn pem(&self) -> clients::ClientCertificate<'_> {
        clients::ClientCertificate { chain: &self.pem, key: &self.pem }
    }

    /// The lines of the key. Each is a secret.
    pub fn key_lines(&self) -> Vec<String> {
        let key = self.pem.split("-----").skip_while(|part| !part.ends_with("PRIVATE KEY"));
        let lines = key.skip(1).take(1).flat_map(str::lines).map(str::trim);
        lines.filter(|line| line.len() > 8).map(str::to_owned).collect()
    }
}

/// All certificates of the file: PEM with one or more, or DER.
pub fn cas(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let wrong = |found: &str| Error::usage(format!("--ca {}: {found}", file.display()));
    let bytes = read(file).map_err(|found| wrong(&found))?;
    let pem: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&bytes).collect();
    let all = match pem {
        Ok(all) if !all.is_empty() => all,
        Ok(_) => vec![CertificateDer::from(bytes)],
        Err(error) => return Err(wrong(&format!("it is damaged: {error}"))),
    };
    for (at, certificate) in all.iter().enumerate() {
        if certificate_view::validity(certificate).is_none() {
            let which = if all.len() == 1 { "it".into() } else { format!("block {}", at + 1) };
            return Err(wrong(&format!("{which} is no CA certificate, neither PEM nor DER")));
        }
    }
    Ok(all)
}

/// The certificate and its key.
pub fn certificate(chain: &Path, key: &Path) -> Result<OwnCertificate, Error> {
    let in_chain =
        |found: String| Error::usage(format!("--client-cert {}: {found}", chain.display()));
    let in_key = |found: String| Error::usage(format!("--client-key {}: {found}", key.display()));
    let (chain_pem, key_pem) = (read(chain).map_err(in_chain)?, read(key).map_err(in_key)?);
    let certificates: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&chain_pem).collect();
    let certificates = certificates.map_err(|error| in_chain(format!("it is damaged: {error}")))?;
    if certificates.is_empty() {
        return Err(in_chain("it has no certificate in PEM (-----BEGIN CERTIFICATE-----)".into()));
    }
    // The parser's error could contain a part of the key.
    let found = PrivateKeyDer::from_pem_slice(&key_pem)
        .map_err(|_| in_key("it has no key in PEM without a passphrase".into()))?;
    check(certificates.clone(), found.clone_key())
        .map_err(|error| in_key(format!("it is no key for --client-cert: {error}")))?;
    let der = ClientCertificate {
        chain: certificates.iter().map(|one| one.to_vec()).collect(),
        key: found.secret_der().to_vec(),
    };
    let pem = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned() + "\n";
    Ok(OwnCertificate { der, pem: pem(&chain_pem) + &pem(&key_pem) })
}

/// Whether both are usable for TLS: the key is of a known kind and matches the certificate.
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
pub fn password(file: &Path) -> Result<String, Error> {
    let wrong =
        |found: String| Error::usage(format!("--password-file {}: {found}", file.display()));
    let bytes = read(file).map_err(wrong)?;
    let whole = String::from_utf8(bytes).map_err(|_| wrong("it is no text in UTF-8".into()))?;
    match whole.lines().next() {
        Some(password) if !password.is_empty() => {
            text::hide(&Secrets::new([password.to_owned()]));
            Ok(password.into())
        }
        _ => Err(wrong("its first line, the password, is empty".into())),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    input::read_or_pipe(file, input::TEXT_MOST)
        .map_err(|error| format!("it cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use hilrig_broker::Certificates;

    use super::*;

    #[test]
    fn every_block_of_a_file_counts_and_one_that_is_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let made = [Certificates::new("a.test").unwrap(), Certificates::new("b.test").unwrap()];
        std::fs::write(&file, made[0].ca_pem().to_owned() + "a note\n" + made[1].ca_pem()).unwrap();
        let all = cas(&file).unwrap();
        assert_eq!(all, [made[0].ca_der().clone(), made[1].ca_der().clone()]);
        std::fs::write(&file, made[0].ca_der()).unwrap();
        assert_eq!(cas(&file).unwrap(), [made[0].ca_der().clone()]);
        let none = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(&file, made[0].ca_pem().to_owned() + none).unwrap();
        assert!(cas(&file).unwrap_err().message().contains("block 2 is no CA certificate"));
    }

    #[test]
    fn a_key_belongs_to_its_certificate_and_is_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) =
            (Certificates::new("a.test").unwrap(), Certificates::new("b.test").unwrap());
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("chain"), one.leaf().chain_pem()).unwrap();
        std::fs::write(path("key"), &one.leaf().key_pem).unwrap();
        std::fs::write(path("other"), &other.leaf().key_pem).unwrap();
        let own = certificate(&path("chain"), &path("key")).unwrap();
        let lines = own.key_lines();
        assert!(!lines.is_empty() && lines.iter().all(|line| one.leaf().key_pem.contains(line)));
        let refused = |chain: &str, key: &str, says: &str| {
            let failure = certificate(&path(chain), &path(key)).err().expect(says);
            assert!(failure.message().contains(says), "{says}: {}", failure.message());
        };
        refused("chain", "other", "it is no key for --client-cert");
        refused("key", "key", "it has no certificate in PEM");
        refused("chain", "chain", "it has no key in PEM");
    }
}
