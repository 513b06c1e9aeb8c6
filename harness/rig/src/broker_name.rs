//! How the rig's own clients check the broker's certificate: against the broker's name, wherever the connection goes.
//!
//! rumqttc asks for the host that it connects to. That is an address where the rig looked the broker up,
//! and a certificate need not be for it. And a certificate can be what a case is about, such as one that has expired:
//! that one certificate is accepted, and the board is the judge of it.

use std::sync::Arc;

use hilrig_core::text::printable;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use crate::BrokerEndpoint;
use crate::mqtt::roots;

/// rustls' own check of a certificate, asked for [`BrokerEndpoint::server_name`].
#[derive(Debug)]
pub(crate) struct ForItsName {
    /// None where the CA cannot be used for a check and the certificates below are all that counts.
    check: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    name: ServerName<'static>,
    leaves: Vec<Vec<u8>>,
}

impl ForItsName {
    /// Trusts the endpoint's CA and its certificates alone.
    pub(crate) fn new(endpoint: &BrokerEndpoint) -> Result<ForItsName, String> {
        let name = ServerName::try_from(endpoint.server_name.clone()).map_err(|error| {
            format!("the name `{}`: {error}", printable(endpoint.server_name.as_bytes()))
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let check = roots(endpoint).and_then(|roots| {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| error.to_string())
        });
        let check = match check {
            Ok(check) => Some(check),
            Err(_) if !endpoint.leaves.is_empty() => None,
            Err(found) => return Err(found),
        };
        Ok(ForItsName { check, provider, name, leaves: endpoint.leaves.clone() })
    }
}

impl ServerCertVerifier for ForItsName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _address: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.leaves.iter().any(|leaf| **leaf == **end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.check {
            Some(check) => {
                check.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
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
        if !self.leaves.is_empty() {
            // Some brokers show a certificate over SHA-1 only to who would accept that. No handshake is accepted that
            // is signed so.
            schemes.push(SignatureScheme::RSA_PKCS1_SHA1);
        }
        schemes
    }
}
