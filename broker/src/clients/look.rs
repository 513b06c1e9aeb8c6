//! What a server shows of itself, whatever a careful client thinks of it.
//!
//! A certificate that the rig's own client does not accept (expired, of an old version, without a name) can be
//! what is to be certified. So it is looked at and not judged: the boards judge. What is wrong with it for the
//! rig is a fact for the record.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use hilrig_core::text::printable;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_rustls::TlsConnector;

use super::s_client;

/// Of what `openssl s_client` prints, so many bytes are read: ten certificates of the largest size.
const MOST_PRINTED: u64 = 1 << 20;

/// What a server shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Its certificate.
    pub leaf: CertificateDer<'static>,
    /// The version of TLS that was agreed on, as `TLSv1_3`; empty if the server broke off after its certificate.
    pub tls: String,
    /// Why the rig's own client does not accept the certificate for this name, if it does not.
    pub doubt: Option<String>,
    /// The program `openssl` gets through to it, and rustls does not, for this reason.
    pub needs_openssl: Option<String>,
}

/// Why nothing was seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSeen {
    /// No TCP connection.
    #[error("connecting to {address}: {found}")]
    Unreachable {
        /// Where it should be.
        address: SocketAddr,
        /// What came instead.
        found: String,
    },
    /// What it answers is no TLS.
    #[error("what it answers is no TLS ({0})")]
    NoTls(String),
    /// It closes each connection.
    #[error("it takes the connection and closes it in the handshake")]
    Closed,
    /// Neither client got as far as a certificate.
    #[error("the TLS handshake failed before it showed a certificate: {0}")]
    Failed(String),
}

/// Looks at what the server at `address` shows a client that asks for `name`, and checks it against `roots`. Sends
/// nothing over TLS. Has no deadline of its own.
///
/// # Errors
/// [`NotSeen`], if no certificate was seen.
pub async fn look(
    address: SocketAddr,
    name: &str,
    roots: &[CertificateDer<'static>],
) -> Result<Looked, NotSeen> {
    let unreachable = |error: io::Error| NotSeen::Unreachable { address, found: error.to_string() };
    let tcp = TcpStream::connect(address).await.map_err(unreachable)?;
    let (verifier, config) = match careful(name, roots) {
        Ok(both) => both,
        Err(error) => return Err(NotSeen::Failed(error.to_string())),
    };
    let asked = match ServerName::try_from(name.to_owned()) {
        Ok(asked) => asked,
        Err(error) => return Err(NotSeen::Failed(error.to_string())),
    };
    let shaken = TlsConnector::from(Arc::new(config)).connect(asked, tcp).await;
    let tls = match &shaken {
        Ok(stream) => stream.get_ref().1.protocol_version().map(|version| format!("{version:?}")),
        Err(_) => None,
    };
    let seen = verifier.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    let error = shaken.err();
    let rustls_error = error
        .as_ref()
        .and_then(|error| error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).cloned());
    match (seen, error, rustls_error) {
        // Whoever closes after its certificate wants another one of the client's, or another name: a board is
        // told the same.
        (Some((leaf, doubt)), None, _)
        | (Some((leaf, doubt)), Some(_), None | Some(Error::AlertReceived(_))) => {
            Ok(Looked { leaf, tls: tls.unwrap_or_default(), doubt, needs_openssl: None })
        }
        (None, Some(_), Some(Error::InvalidMessage(what))) => {
            Err(NotSeen::NoTls(format!("{what:?}")))
        }
        (_, error, rustls_error) => {
            let found = match (&rustls_error, &error) {
                (Some(error), _) => printable(error.to_string().as_bytes()),
                (None, Some(error)) => printable(error.to_string().as_bytes()),
                (None, None) => "no certificate".into(),
            };
            match by_openssl(address, name).await {
                Some((leaf, tls)) => {
                    let doubt = verifier.doubt(&leaf);
                    Ok(Looked { leaf, tls, doubt, needs_openssl: Some(found) })
                }
                None if rustls_error.is_none() => Err(NotSeen::Closed),
                None => Err(NotSeen::Failed(found)),
            }
        }
    }
}

/// What `openssl s_client` is shown.
async fn by_openssl(address: SocketAddr, name: &str) -> Option<(CertificateDer<'static>, String)> {
    let mut command: Command = s_client::command(address, name).ok()?;
    command.args(["-showcerts"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut printed = Vec::new();
    let mut out = child.stdout.take()?.take(MOST_PRINTED);
    out.read_to_end(&mut printed).await.ok()?;
    let _ = child.kill().await;
    let leaf = CertificateDer::pem_slice_iter(&printed).next()?.ok()?;
    // `New, TLSv1.2, Cipher is ...`
    let text = String::from_utf8_lossy(&printed);
    let version = text.lines().find_map(|line| {
        let version = line.strip_prefix("New, ")?.split(',').next()?;
        version.starts_with("TLSv").then(|| version.replace('.', "_"))
    });
    Some((leaf, version.unwrap_or_default()))
}

/// A client that accepts everything, and what it saw.
fn careful(
    name: &str,
    roots: &[CertificateDer<'static>],
) -> Result<(Arc<Recorder>, ClientConfig), Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Recorder {
        name: name.to_owned(),
        roots: roots.to_vec(),
        provider: provider.clone(),
        seen: Mutex::default(),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    Ok((verifier, config))
}

/// Accepts every certificate, and keeps it with what is wrong with it.
#[derive(Debug)]
struct Recorder {
    name: String,
    roots: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<(CertificateDer<'static>, Option<String>)>>,
}

impl Recorder {
    /// What is wrong with a certificate that came alone.
    fn doubt(&self, leaf: &CertificateDer<'_>) -> Option<String> {
        self.wrong(leaf, &[], &[], UnixTime::now())
    }

    fn wrong(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        ocsp: &[u8],
        now: UnixTime,
    ) -> Option<String> {
        let mut roots = RootCertStore::empty();
        let mut unusable = String::new();
        for root in &self.roots {
            if let Err(error) = roots.add(root.clone()) {
                let _ = write!(unusable, "; a certificate of --ca cannot be used: {error}");
            }
        }
        let name = ServerName::try_from(self.name.clone()).ok()?;
        let check =
            WebPkiServerVerifier::builder_with_provider(roots.into(), self.provider.clone())
                .build();
        let found = match check {
            Ok(check) => check.verify_server_cert(leaf, chain, &name, ocsp, now).err()?.to_string(),
            Err(error) => error.to_string(),
        };
        Some(printable(format!("{found}{unusable}").as_bytes()))
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let doubt = self.wrong(leaf, chain, ocsp, now);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some((leaf.clone().into_owned(), doubt));
        Ok(ServerCertVerified::assertion())
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
        // Some brokers show a certificate over SHA-1 only to who would accept that.
        schemes.push(SignatureScheme::RSA_PKCS1_SHA1);
        schemes
    }
}
