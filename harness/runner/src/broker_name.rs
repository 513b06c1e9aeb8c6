//! The broker's certificate is held against the broker's name, wherever the connection goes.
//!
//! rumqttc asks for the host that it connects to. That is an address where the rig looked the broker up,
//! and a certificate need not be for it.

use std::sync::Arc;

use hilrig_core::text::printable;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

use crate::BrokerEndpoint;
use crate::mqtt::roots;

/// rustls' own check of a certificate, asked for [`BrokerEndpoint::server_name`].
#[derive(Debug)]
pub(crate) struct ForItsName {
    check: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ForItsName {
    /// Trusts the endpoint's CA alone.
    pub(crate) fn new(endpoint: &BrokerEndpoint) -> Result<ForItsName, String> {
        let name = ServerName::try_from(endpoint.server_name.clone()).map_err(|error| {
            format!("the name `{}`: {error}", printable(endpoint.server_name.as_bytes()))
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let check =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots(endpoint)?), provider)
                .build()
                .map_err(|error| error.to_string())?;
        Ok(ForItsName { check, name })
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
        self.check.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.check.supported_verify_schemes()
    }
}
