//! How the rig's own clients check the broker's certificate: against the broker's name, wherever the connection goes.
//!
//! rumqttc asks for the host that it connects to. That is an address where the rig looked the broker up, and a
//! certificate need not be for it. A certificate can also be the subject of a case, such as an expired one: that one
//! certificate is accepted, and the board judges it.

use std::sync::Arc;

use hilrig_broker::CertificateJudge;
use hilrig_core::text::printable;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, RootCertStore};

use crate::BrokerEndpoint;

/// rustls' own check of a certificate, for [`BrokerEndpoint::server_name`]. Trusts the endpoint's CA and its
/// certificates alone.
pub(crate) fn for_its_name(endpoint: &BrokerEndpoint) -> Result<CertificateJudge, String> {
    let name = ServerName::try_from(endpoint.server_name.clone()).map_err(|error| {
        format!("the name `{}`: {error}", printable(endpoint.server_name.as_bytes()))
    })?;
    let check = |roots: RootCertStore| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| error.to_string())
    };
    let leaves = endpoint.leaves.clone();
    // Without a CA that can be used for a check, only the certificates count.
    let check = match roots(endpoint).and_then(check) {
        Ok(check) => Some(check),
        Err(_) if !leaves.is_empty() => None,
        Err(found) => return Err(found),
    };
    let any_leaf = !leaves.is_empty();
    Ok(CertificateJudge::new(move |presented| {
        if leaves.iter().any(|leaf| **leaf == **presented.leaf) {
            return Ok(());
        }
        let Some(check) = &check else { return Err(CertificateError::UnknownIssuer.into()) };
        check
            .verify_server_cert(
                presented.leaf,
                presented.intermediates,
                &name,
                presented.ocsp,
                presented.now,
            )
            .map(drop)
    })
    .offering_sha1(any_leaf))
}

/// The endpoint's CAs.
fn roots(endpoint: &BrokerEndpoint) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for ca in [Some(&endpoint.ca_der), endpoint.second_ca_der.as_ref()].into_iter().flatten() {
        roots.add(CertificateDer::from(ca.as_slice())).map_err(|e| e.to_string())?;
    }
    Ok(roots)
}
