//! A check of a server's certificates by a function. rustls always checks that the server has the key of its
//! certificate.

use std::fmt;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, SignatureScheme};

/// What a server presents in a handshake.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// Its own certificate.
    pub leaf: &'a CertificateDer<'a>,
    /// The certificates that it sends with it.
    pub intermediates: &'a [CertificateDer<'a>],
    /// A stapled OCSP response, or nothing.
    pub ocsp: &'a [u8],
    /// The time of the check.
    pub now: UnixTime,
}

type Judge = dyn Fn(&Presented<'_>) -> Result<(), Error> + Send + Sync;

/// Accepts the certificates that a function accepts. The requested name does not count.
pub struct CertificateJudge {
    judge: Box<Judge>,
    sha1: bool,
    provider: Arc<CryptoProvider>,
}

impl CertificateJudge {
    /// Accepts what `judge` accepts.
    pub fn new(
        judge: impl Fn(&Presented<'_>) -> Result<(), Error> + Send + Sync + 'static,
    ) -> CertificateJudge {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        CertificateJudge { judge: Box::new(judge), sha1: false, provider }
    }

    /// Offers RSA with SHA-1 too, as the last signature scheme: some brokers present a certificate over SHA-1 only to
    /// a client that offers it. A handshake with such a signature is still refused.
    #[must_use]
    pub fn offering_sha1(mut self, sha1: bool) -> CertificateJudge {
        self.sha1 = sha1;
        self
    }

    /// A client with this check and rustls' own TLS versions.
    ///
    /// # Errors
    /// If rustls has no version of TLS.
    pub fn client(self) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Error> {
        Ok(ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self)))
    }
}

impl fmt::Debug for CertificateJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateJudge").field("sha1", &self.sha1).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for CertificateJudge {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        (self.judge)(&Presented { leaf, intermediates, ocsp, now })
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.provider.signature_verification_algorithms.supported_schemes();
        if self.sha1 {
            schemes.push(SignatureScheme::RSA_PKCS1_SHA1);
        }
        schemes
    }
}
