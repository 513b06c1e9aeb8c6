//! The certificates of one set-up, as a broker and the proof that it is ready need them.

use hilrig_core::certify::{BrokerTls, Identity};
use rustls::pki_types::CertificateDer;

use super::run_certificates::Certificates;
use super::{Issued, Pki, PkiError, pem};

/// The certificates of one set-up.
#[derive(Clone)]
pub struct Material {
    /// The broker's certificate.
    pub shown: Shown,
    /// A second certificate at the same port.
    pub second: Option<Shown>,
    /// Client certificates, only for a broker that requires them.
    pub client: Option<ClientMaterial>,
    /// A certificate is signed over SHA-1: some TLS libraries load it only if configured to.
    pub sha1: bool,
}

/// The certificates of clients.
#[derive(Clone)]
pub struct ClientMaterial {
    /// The CA of client certificates, PEM.
    pub ca_pem: String,
    /// A client certificate with its key, which the readiness check uses if the broker requires one.
    pub client: Shown,
}

/// A certificate with its chain and key.
#[derive(Clone)]
pub struct Shown {
    /// Leaf first, without the root.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key, PEM (PKCS #8). A secret.
    pub key_pem: String,
    /// Its root, PEM.
    pub root_pem: String,
    /// The name that it is for.
    pub name: String,
}

impl Material {
    /// The certificates of a case. Blocks while certificates are made that were not requested before.
    ///
    /// # Errors
    /// As of [`Pki::issued`].
    pub fn of(pki: &Pki, tls: &BrokerTls) -> Result<Material, PkiError> {
        let shown = |identity| pki.issued(identity).map(Shown::of);
        Ok(Material {
            shown: shown(tls.identity)?,
            second: tls.second.map(shown).transpose()?,
            client: Some(ClientMaterial {
                ca_pem: pem(pki.client_ca()?),
                client: Shown::of(pki.client()?),
            }),
            sha1: [Some(tls.identity), tls.second].contains(&Some(Identity::RsaSha1)),
        })
    }
}

impl From<&Certificates> for Material {
    /// The broker's certificate of a run.
    fn from(certificates: &Certificates) -> Material {
        let shown = certificates.leaf().clone();
        Material { shown, second: None, client: None, sha1: false }
    }
}

impl Shown {
    fn of(issued: &Issued) -> Shown {
        Shown {
            chain: issued.chain().to_vec(),
            key_pem: issued.key_pem().to_owned(),
            root_pem: issued.root_pem(),
            name: issued.name().to_owned(),
        }
    }

    /// The chain as PEM, leaf first.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(pem).collect()
    }
}
