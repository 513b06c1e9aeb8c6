//! The check that a broker of a case is ready: a CONNACK over TLS, with exactly the certificate that it was given.
//!
//! The certificate is compared byte by byte; no path is built. Some cases have certificates that a strict client
//! rejects (another CA, another name, SHA-1), and a path would not show that the broker loaded the new one.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, Error};

use super::plan::InstancePlan;
use crate::descriptions::BrokerDescription;
use crate::login::Login;
use crate::pki::ClientMaterial;
use crate::tls::connack::answer_over_tls;
use crate::tls::front::MQTT;
use crate::tls::verifier::CertificateJudge;

/// The reason why there is no CONNACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotYet {
    /// No process listens.
    Refused,
    /// It accepted the connection and closed it.
    Closed,
    /// The answer is not TLS.
    NoTls(String),
    /// It shows another certificate.
    OtherCertificate,
    /// Anything else.
    Other(String),
}

/// Connects to a broker for the check.
pub(super) struct Prover {
    address: SocketAddr,
    name: String,
    tls: Arc<ClientConfig>,
    login: Option<Login>,
}

impl Prover {
    /// For a broker at `address`.
    pub fn new(
        software: &BrokerDescription,
        order: &InstancePlan,
        address: SocketAddr,
    ) -> Result<Prover, Error> {
        Ok(Prover {
            address,
            name: order.material.shown.name.clone(),
            tls: Arc::new(given(order)?),
            login: software.can_ask_for_login().is_ok().then(|| order.login.clone()),
        })
    }

    /// The same for the front before it, which may ask for MQTT's protocol.
    pub fn through_front(&self, address: SocketAddr) -> Prover {
        let mut tls = (*self.tls).clone();
        tls.alpn_protocols = vec![MQTT.to_vec()];
        Prover { address, name: self.name.clone(), tls: Arc::new(tls), login: self.login.clone() }
    }

    /// The verifier of the broker's certificate.
    pub fn tls(&self) -> Arc<ClientConfig> {
        self.tls.clone()
    }

    /// Tries once. Has no deadline of its own.
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

/// A client that accepts the certificates of the order and sends a board's certificate if one is requested.
fn given(order: &InstancePlan) -> Result<ClientConfig, Error> {
    let material = &order.material;
    let shown = [Some(&material.shown), material.second.as_ref()];
    let leaves: Vec<CertificateDer<'static>> =
        shown.into_iter().flatten().map(|shown| shown.chain[0].clone()).collect();
    let config = CertificateJudge::new(move |presented| {
        match leaves.iter().any(|leaf| leaf == presented.leaf) {
            true => Ok(()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    })
    .offering_sha1(material.sha1)
    .client()?;
    let client = material.client.as_ref().filter(|_| order.tls.client_certificate);
    Ok(match client {
        None => config.with_no_client_auth(),
        Some(ClientMaterial { client, .. }) => {
            let key = PrivateKeyDer::from_pem_slice(client.key_pem.as_bytes())
                .map_err(|error| Error::General(error.to_string()))?;
            config.with_client_auth_cert(client.chain.clone(), key)?
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
