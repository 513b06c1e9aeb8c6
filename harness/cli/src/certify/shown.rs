//! What a broker at HOST:PORT shows of itself: its certificates, whatever they are, read and put in words.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use hilrig_core::text::printable;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::dates;
use super::own::OwnCertificate;

/// The certificates that a broker shows, its own first.
pub type Chain = Vec<CertificateDer<'static>>;

/// Connects over TLS, accepts whatever certificate comes, and sends nothing over it. The certificates, as far as
/// they came, and the connection or why it did not come about. Has no deadline of its own.
pub async fn connect(
    address: SocketAddr,
    name: &str,
    own: Option<&OwnCertificate>,
) -> (Chain, std::io::Result<TlsStream<TcpStream>>) {
    let recorder = Arc::new(Recorder::default());
    let connected = async {
        let config = config(recorder.clone(), own).map_err(std::io::Error::other)?;
        let asked = ServerName::try_from(name.to_owned()).map_err(std::io::Error::other)?;
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        TlsConnector::from(Arc::new(config)).connect(asked, tcp).await
    };
    let connected = connected.await;
    let chain = recorder.chain.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (chain, connected)
}

fn config(
    recorder: Arc<Recorder>,
    own: Option<&OwnCertificate>,
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(recorder);
    let Some(own) = own else { return Ok(builder.with_no_client_auth()) };
    let chain = own.der.chain.iter().cloned().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::try_from(own.der.key.clone())
        .map_err(|error| rustls::Error::General(error.into()))?;
    builder.with_client_auth_cert(chain, key)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Keeps what it is shown, and refuses nothing. Nothing is sent over such a connection: it is for looking alone.
#[derive(Debug, Default)]
struct Recorder {
    chain: Mutex<Chain>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(leaf).chain(others).map(|one| one.clone().into_owned());
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain.collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let provider = provider();
        verify_tls12_signature(message, leaf, signed, &provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let provider = provider();
        verify_tls13_signature(message, leaf, signed, &provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// The CA of these that the chain comes from: by its signatures, else by the issuer's name, else the first.
pub fn fitting<'a>(
    cas: &'a [CertificateDer<'static>],
    chain: &[CertificateDer<'static>],
) -> &'a CertificateDer<'static> {
    let signed = cas.iter().find(|ca| comes_from(chain, ca));
    let issuers: Vec<&[u8]> = chain.iter().filter_map(|one| names(one).map(|(_, by)| by)).collect();
    let named = |ca: &&CertificateDer<'static>| {
        names(ca).is_some_and(|(subject, _)| issuers.contains(&subject))
    };
    let shown = || cas.iter().find(|ca| chain.contains(ca));
    signed.or_else(shown).or_else(|| cas.iter().find(named)).unwrap_or(&cas[0])
}

/// Whether the chain is signed by this CA, whatever its names and dates are.
pub fn comes_from(chain: &[CertificateDer<'static>], ca: &CertificateDer<'static>) -> bool {
    let Some((leaf, others)) = chain.split_first() else { return false };
    let mut roots = RootCertStore::empty();
    if roots.add(ca.clone()).is_err() {
        return false;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    let (Ok(verifier), Ok(name)) = (verifier, ServerName::try_from("hilrig.invalid")) else {
        return false;
    };
    // Its dates are another matter: a moment at which it is valid is taken.
    let valid = dates::validity(leaf).and_then(|(from, _)| u64::try_from(from).ok());
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(valid.unwrap_or(0)));
    match verifier.verify_server_cert(leaf, others, &name, &[], at) {
        Ok(_) => true,
        Err(Error::InvalidCertificate(error)) => !matches!(
            error,
            CertificateError::UnknownIssuer
                | CertificateError::BadSignature
                | CertificateError::BadEncoding
                | CertificateError::Other(_)
        ),
        Err(_) => false,
    }
}

/// Subject and issuer, as they are in the certificate.
fn names<'a>(certificate: &'a CertificateDer<'_>) -> Option<(&'a [u8], &'a [u8])> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some((parsed.tbs_certificate.subject.as_raw(), parsed.tbs_certificate.issuer.as_raw()))
}

/// What is of interest of a certificate, for people; printable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Its subject.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// DNS names and addresses that it is for.
    pub names: Vec<String>,
    /// The common name, where there are no others.
    pub common_name: Option<String>,
    /// First and last moment.
    pub valid: Option<(String, String)>,
}

/// Reads a certificate; nothing of what is none.
pub fn words(certificate: &CertificateDer<'_>) -> Words {
    let clean = |text: String| printable(text.as_bytes());
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Words::default() };
    let names = parsed.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    });
    let common_name = parsed.subject().iter_common_name().next();
    let moment = |seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(&Rfc3339).ok();
    Words {
        subject: clean(parsed.subject().to_string()),
        issuer: clean(parsed.issuer().to_string()),
        names: names.map(clean).collect(),
        common_name: common_name.and_then(|name| Some(clean(name.as_str().ok()?.to_owned()))),
        valid: dates::validity(certificate)
            .and_then(|(from, until)| Some((moment(from)?, moment(until)?))),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// Whether the certificate is for this name.
pub fn is_for(certificate: &CertificateDer<'static>, name: &str) -> bool {
    let parsed = rustls::server::ParsedCertificate::try_from(certificate);
    match (parsed, ServerName::try_from(name.to_owned())) {
        (Ok(parsed), Ok(name)) => rustls::client::verify_server_name(&parsed, &name).is_ok(),
        // What rustls cannot read (version 1, say) may still be for the name.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use hilrig_broker::Certificates;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn the_ca_that_fits_is_found_among_several_of_one_name() {
        let made = [Certificates::new("a.test").unwrap(), Certificates::new("b.test").unwrap()];
        let cas = [made[0].ca_der().clone(), made[1].ca_der().clone()];
        for (certificates, ca) in made.iter().zip(&cas) {
            let leaf = certificates.leaf().certificate_pem().as_bytes();
            let leaf = CertificateDer::from_pem_slice(leaf).unwrap();
            assert_eq!(fitting(&cas, std::slice::from_ref(&leaf)), ca);
            // One that shows the CA itself.
            assert_eq!(fitting(&cas, std::slice::from_ref(ca)), ca);
        }
        assert_eq!(fitting(&cas, &[]), &cas[0]);
        let impostor = made[0].impostor().certificate_pem().as_bytes();
        let impostor = CertificateDer::from_pem_slice(impostor).unwrap();
        assert!(cas.iter().all(|ca| !comes_from(std::slice::from_ref(&impostor), ca)));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let certificates = Certificates::new("broker.hilrig.test").unwrap();
        let whole = certificates.ca_der();
        assert!(!words(whole).subject.is_empty() && words(whole).valid.is_some());
        for at in 0..whole.len() {
            let _ = words(&CertificateDer::from(&whole[..at]));
            let mut wrong = whole.to_vec();
            wrong[at] ^= 0xff;
            let wrong = CertificateDer::from(wrong);
            let _ = (
                words(&wrong),
                fitting(std::slice::from_ref(&wrong), std::slice::from_ref(&wrong)),
            );
        }
    }
}
