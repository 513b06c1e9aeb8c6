//! What a server presents, even if a strict client rejects it.
//!
//! A certificate that the rig's own client does not accept (expired, of an old version, without a name) can be the
//! one to certify. So it is read and not judged: the boards judge. What is wrong with it for the rig is a fact for
//! the record.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use hilrig_core::text::printable;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, Error, RootCertStore};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_rustls::TlsConnector;

use super::ClientCertificate;
use super::s_client;
use crate::tls::verifier::{CertificateJudge, Presented};

/// The maximum that is read of the output of `openssl s_client`, bytes: ten certificates of the largest size.
const MOST_PRINTED: u64 = 1 << 20;

/// What a server presents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Its certificate, and those that it sends with it. With the program `openssl`, only the first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The negotiated TLS version, as `TLSv1_3`; empty if the server aborted after its certificate.
    pub tls: String,
    /// Why the rig's own client does not accept the certificate for this name, if it does not.
    pub doubt: Option<String>,
    /// The program `openssl` can connect, and rustls cannot, for this reason.
    pub needs_openssl: Option<String>,
}

impl Looked {
    /// Its certificate.
    pub fn leaf(&self) -> &CertificateDer<'static> {
        &self.chain[0]
    }
}

/// Why nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSeen {
    /// No TCP connection.
    #[error("connecting to {address}: {found}")]
    Unreachable {
        /// The address that was tried.
        address: SocketAddr,
        /// The reason.
        found: String,
    },
    /// Its answer is not TLS.
    #[error("what it answers is no TLS ({0})")]
    NoTls(String),
    /// It closes each connection.
    #[error("it takes the connection and closes it in the handshake")]
    Closed,
    /// Neither client received a certificate.
    #[error("the TLS handshake failed before it showed a certificate: {0}")]
    Failed(String),
}

/// Looks at what the server at `address` shows a client that asks for `name` and has the certificate `own`, and checks
/// it against `roots`. Sends nothing over TLS. Has no deadline of its own.
///
/// # Errors
/// [`NotSeen`], if no certificate was seen.
pub async fn look(
    address: SocketAddr,
    name: &str,
    roots: &[CertificateDer<'static>],
    own: Option<ClientCertificate<'_>>,
) -> Result<Looked, NotSeen> {
    let failed = |error: &dyn std::error::Error| NotSeen::Failed(error.to_string());
    let asked = ServerName::try_from(name.to_owned()).map_err(|error| failed(&error))?;
    let roots = Arc::new(Roots { name: asked.clone(), roots: roots.to_vec() });
    let seen = Arc::new(Mutex::new(None));
    let config = recording(roots.clone(), seen.clone(), own).map_err(|error| failed(&error))?;
    let unreachable = |error: io::Error| NotSeen::Unreachable { address, found: error.to_string() };
    let tcp = TcpStream::connect(address).await.map_err(unreachable)?;
    let shaken = TlsConnector::from(Arc::new(config)).connect(asked, tcp).await;
    let tls = match &shaken {
        Ok(stream) => stream.get_ref().1.protocol_version().map(|version| format!("{version:?}")),
        Err(_) => None,
    };
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    let error = shaken.err();
    let rustls_error = error
        .as_ref()
        .and_then(|error| error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).cloned());
    match (seen, error, rustls_error) {
        // A server that closes after its certificate wants another one of the client's, or another name: a board
        // meets the same.
        (Some((chain, doubt)), None, _)
        | (Some((chain, doubt)), Some(_), None | Some(Error::AlertReceived(_))) => {
            Ok(Looked { chain, tls: tls.unwrap_or_default(), doubt, needs_openssl: None })
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
                    let doubt = roots.doubt(&Presented {
                        leaf: &leaf,
                        intermediates: &[],
                        ocsp: &[],
                        now: UnixTime::now(),
                    });
                    Ok(Looked { chain: vec![leaf], tls, doubt, needs_openssl: Some(found) })
                }
                None if rustls_error.is_none() => Err(NotSeen::Closed),
                None => Err(NotSeen::Failed(found)),
            }
        }
    }
}

/// What `openssl s_client` received.
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

/// Observations on a server: its certificates, and what is wrong with them.
type Seen = Arc<Mutex<Option<(Vec<CertificateDer<'static>>, Option<String>)>>>;

/// A client that accepts every certificate and notes it. Only for a look: no data is sent over the connection.
fn recording(
    roots: Arc<Roots>,
    seen: Seen,
    own: Option<ClientCertificate<'_>>,
) -> Result<ClientConfig, Error> {
    let config = CertificateJudge::new(move |presented| {
        let chain = std::iter::once(presented.leaf).chain(presented.intermediates);
        let chain = chain.map(|one| one.clone().into_owned()).collect();
        let doubt = roots.doubt(presented);
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((chain, doubt));
        Ok(())
    })
    .offering_sha1(true)
    .client()?;
    match own {
        Some(own) => {
            let (chain, key) = own.der()?;
            config.with_client_auth_cert(chain, key)
        }
        None => Ok(config.with_no_client_auth()),
    }
}

/// The reference for the check of a certificate.
struct Roots {
    name: ServerName<'static>,
    roots: Vec<CertificateDer<'static>>,
}

impl Roots {
    /// Why a strict client does not accept a certificate, if it does not.
    fn doubt(&self, presented: &Presented<'_>) -> Option<String> {
        let mut roots = RootCertStore::empty();
        let mut unusable = String::new();
        for root in &self.roots {
            if let Err(error) = roots.add(root.clone()) {
                let _ = write!(unusable, "; a certificate of --ca cannot be used: {error}");
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let check = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build();
        let Presented { leaf, intermediates, ocsp, now } = *presented;
        let found = match check {
            Ok(check) => check
                .verify_server_cert(leaf, intermediates, &self.name, ocsp, now)
                .err()?
                .to_string(),
            Err(error) => error.to_string(),
        };
        Some(printable(format!("{found}{unusable}").as_bytes()))
    }
}
