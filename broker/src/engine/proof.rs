//! The proof that a broker of a case is ready: a CONNACK over TLS, with the very certificate that it was
//! given.
//!
//! The certificate is compared byte by byte, not built a path for: the cases' certificates are also such as
//! no careful client takes (another CA, another name, SHA-1), and a path would not show that the
//! broker took up the new one.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::Order;
use crate::plan::Login;
use crate::tls::connack::answer_over_tls;
use crate::tls::front::MQTT;

/// What came instead of a CONNACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotYet {
    /// Nobody listens.
    Refused,
    /// It took the connection and closed it.
    Closed,
    /// What came is no TLS.
    NoTls(String),
    /// It shows another certificate.
    OtherCertificate,
    /// Anything else.
    Other(String),
}

/// Asks a broker.
pub(super) struct Prover {
    address: SocketAddr,
    name: String,
    tls: Arc<ClientConfig>,
    login: Option<Login>,
}

impl Prover {
    /// For a broker at `address`.
    pub fn new(order: &Order, address: SocketAddr) -> Result<Prover, Error> {
        Ok(Prover {
            address,
            name: order.material.shown.name.clone(),
            tls: Arc::new(given(order)?),
            login: order.software.can_ask_for_login().is_ok().then(|| order.login.clone()),
        })
    }

    /// The same for the front before it, which may ask for MQTT's protocol.
    pub fn through_front(&self, address: SocketAddr) -> Prover {
        let mut tls = (*self.tls).clone();
        tls.alpn_protocols = vec![MQTT.to_vec()];
        Prover { address, name: self.name.clone(), tls: Arc::new(tls), login: self.login.clone() }
    }

    /// What verifies the broker.
    pub fn tls(&self) -> Arc<ClientConfig> {
        self.tls.clone()
    }

    /// Asks once. Has no deadline of its own.
    pub async fn ask(&self) -> Result<(), NotYet> {
        let tls = self.tls.clone();
        let answer = answer_over_tls(self.address, &self.name, tls, self.login.as_ref()).await;
        match answer {
            Ok(answered) if answered.code == 0 => Ok(()),
            Ok(answered) => {
                Err(NotYet::Other(format!("a CONNACK with code {} came", answered.code)))
            }
            Err(error) => Err(what(&error)),
        }
    }
}

/// A client that takes the certificates of the order and shows the one of a board where one is wanted.
fn given(order: &Order) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let material = &order.material;
    let shown = [Some(&material.shown), material.second.as_ref()];
    let leaves = shown.into_iter().flatten().map(|shown| shown.chain[0].clone()).collect();
    let verifier = Arc::new(Given { leaves, sha1: material.sha1, provider: provider.clone() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(match order.tls.client_certificate {
        false => config.with_no_client_auth(),
        true => {
            let key = PrivateKeyDer::from_pem_slice(material.client.key_pem.as_bytes())
                .map_err(|error| Error::General(error.to_string()))?;
            config.with_client_auth_cert(material.client.chain.clone(), key)?
        }
    })
}

fn what(error: &std::io::Error) -> NotYet {
    use std::io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof,
    };
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidMessage(found)) => NotYet::NoTls(format!("{found:?}")),
        Some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
            NotYet::OtherCertificate
        }
        Some(other) => NotYet::Other(other.to_string()),
        None => match error.kind() {
            ConnectionRefused => NotYet::Refused,
            UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe => NotYet::Closed,
            _ => NotYet::Other(error.to_string()),
        },
    }
}

/// Takes the certificates that the broker was given, and no other.
#[derive(Debug)]
struct Given {
    leaves: Vec<CertificateDer<'static>>,
    /// One of them is signed over SHA-1.
    sha1: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Given {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.leaves.iter().any(|leaf| leaf == shown) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.provider.signature_verification_algorithms.supported_schemes();
        if self.sha1 {
            // Last, and for the certificate alone: some brokers show it to no client that would not take
            // it. Nobody signs a handshake so who can do better, and it would not be accepted.
            schemes.push(SignatureScheme::RSA_PKCS1_SHA1);
        }
        schemes
    }
}
