//! The client on rustls: TLS 1.2 like the board's, as far as rustls supports it.

use std::error::Error as _;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use hilrig_core::certify::certificate::OtherClient;
use hilrig_core::certify::{Outcome, Reason};
use hilrig_core::text::printable;
use hilrig_wire::Relay;
use rustls::client::{Resumption, Tls12Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{
    CertificateError, ClientConfig, Error, HandshakeKind, PeerIncompatible, RootCertStore,
    SupportedProtocolVersion, version,
};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::{Ask, ClientResult, GoesBy, Leave, client_id, line, seen_on, suites, talk};
use crate::tls::verifier::CertificateJudge;

/// Connects as `ask` requests, with TLS 1.2 and the suites that the board offers, and waits for a CONNACK. A case
/// that rustls does not support, because it has no outdated algorithms and no MFLN, is not run, and the result
/// reports that. If there is no common version, it tries once more with TLS 1.3, and `said` has the result.
pub async fn with_rustls(ask: &Ask<'_>) -> OtherClient {
    let result = run(ask).await;
    OtherClient {
        client: "rustls".into(),
        version: env!("RUSTLS_VERSION").into(),
        outcome: result.outcome,
        reason: result.reason,
        said: printable(result.said.as_bytes()),
    }
}

async fn run(ask: &Ask<'_>) -> ClientResult {
    if ask.board.record < 16384 {
        return ClientResult::not_run("rustls cannot ask for smaller records (MFLN)");
    }
    let provider = match provider(ask) {
        Some(provider) => Arc::new(provider),
        None => return ClientResult::not_run("rustls has none of these cipher suites"),
    };
    let end = Instant::now() + ask.deadline;
    let mut result = once(ask, &provider, &[&version::TLS12], end).await;
    if result.reason == Some(Reason::NothingInCommon) {
        let newer = once(ask, &provider, &[&version::TLS13], end).await;
        let came = match newer.outcome {
            Outcome::Connected => "with TLS 1.3 it connects",
            _ => "with TLS 1.3 neither",
        };
        result.said = format!("{}; {came}", result.said);
    }
    result
}

/// rustls with the suites that the board offers; none if it has none of them.
fn provider(ask: &Ask<'_>) -> Option<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    let offered = |number| suites::offered(ask.board.suites).any(|suite| suite.number == number);
    provider.cipher_suites.retain(|suite| match suite {
        rustls::SupportedCipherSuite::Tls12(_) => offered(u16::from(suite.suite())),
        // All of them work with any certificate.
        rustls::SupportedCipherSuite::Tls13(_) => true,
    });
    // A broker without an order of its own uses the board's order.
    let order = |suite: &rustls::SupportedCipherSuite| {
        suites::offered(ask.board.suites).position(|one| one.number == u16::from(suite.suite()))
    };
    provider.cipher_suites.sort_by_key(order);
    let any = provider.cipher_suites.iter().any(|suite| suite.tls13().is_none());
    any.then_some(provider)
}

async fn once(
    ask: &Ask<'_>,
    provider: &Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    end: Instant,
) -> ClientResult {
    let config = match config(ask, provider, versions) {
        Ok(config) => Arc::new(config),
        Err(error) => return ClientResult::broken(format!("rustls cannot be set up: {error}")),
    };
    let wire = match line(ask).await {
        Ok(wire) => wire,
        Err(result) => return result,
    };
    if !ask.board.resume {
        return connect(ask, &config, &wire, end, Leave::InOrder).await.0;
    }
    // The state for session resumption is in the configuration.
    let mut words = String::new();
    for leave in [Leave::InOrder, Leave::Cut] {
        let (first, _) = connect(ask, &config, &wire, end, leave).await;
        if first.outcome != Outcome::Connected {
            return first;
        }
        let (mut second, resumed) = connect(ask, &config, &wire, end, Leave::InOrder).await;
        words += &leave.resumed(resumed);
        if second.outcome != Outcome::Connected || leave == Leave::Cut {
            second.said += &words;
            return second;
        }
    }
    ClientResult::broken("the session was asked about in no way")
}

fn config(
    ask: &Ask<'_>,
    provider: &Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ClientConfig, Error> {
    let time: Arc<dyn TimeProvider> = match ask.time {
        // rustls has no time before 1970.
        Some(time) => Arc::new(Fixed(time.unix_timestamp().try_into().unwrap_or(0))),
        None => Arc::new(DefaultTimeProvider),
    };
    let builder = ClientConfig::builder_with_details(provider.clone(), time)
        .with_protocol_versions(versions)?;
    let builder = match ask.goes_by {
        GoesBy::Ca(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.clone().into_owned())?;
            builder.with_root_certificates(roots)
        }
        GoesBy::Pin(digest) => {
            // Only the digest of the leaf counts.
            let pin = CertificateJudge::new(move |presented| {
                match <[u8; 32]>::from(Sha256::digest(presented.leaf)) == digest {
                    true => Ok(()),
                    false => Err(CertificateError::ApplicationVerificationFailure.into()),
                }
            });
            builder.dangerous().with_custom_certificate_verifier(Arc::new(pin))
        }
    };
    let mut config = match ask.certificate {
        Some(certificate) => {
            let (chain, key) = certificate.der()?;
            builder.with_client_auth_cert(chain, key)?
        }
        None => builder.with_no_client_auth(),
    };
    if ask.board.alpn {
        config.alpn_protocols = vec![b"mqtt".to_vec()];
    }
    // Like BearSSL: by the session id alone.
    config.resumption = match ask.board.resume {
        true => Resumption::in_memory_sessions(1).tls12_resumption(Tls12Resumption::SessionIdOnly),
        false => Resumption::disabled(),
    };
    Ok(config)
}

/// Connects once; returns whether a session was resumed.
async fn connect(
    ask: &Ask<'_>,
    config: &Arc<ClientConfig>,
    wire: &Relay,
    end: Instant,
    leave: Leave,
) -> (ClientResult, bool) {
    let name = match ServerName::try_from(ask.server_name.to_owned()) {
        Ok(name) => name,
        Err(error) => {
            return (ClientResult::broken(format!("{:?}: {error}", ask.server_name)), false);
        }
    };
    let exchanged = async {
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, wire.port())).await?;
        tcp.set_nodelay(true)?;
        let mut stream = TlsConnector::from(config.clone()).connect(name, tcp).await?;
        let code = talk(&mut stream, &client_id("rustls"), ask.login, leave).await;
        let (_, tls) = stream.get_ref();
        let negotiated = [
            tls.protocol_version().map(|version| format!("{version:?}")),
            tls.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())),
            tls.alpn_protocol().map(|name| format!("ALPN {}", printable(name))),
        ];
        let resumed = tls.handshake_kind() == Some(HandshakeKind::Resumed);
        match leave {
            // The answer is what counts; a broker that refused may have closed already.
            Leave::InOrder => _ = stream.shutdown().await,
            Leave::Cut => {
                wire.cut();
                wire.until(|progress| progress.ended == progress.connections).await;
            }
        }
        Ok((code?, negotiated.into_iter().flatten().collect::<Vec<_>>().join(", "), resumed))
    };
    let (result, resumed) = match timeout_at(end, exchanged).await {
        Ok(Ok((code, negotiated, resumed))) => {
            (ClientResult::by_connack(code, &negotiated), resumed)
        }
        Ok(Err(error)) => (refusal(&error), false),
        Err(_) => (ClientResult::late(ask), false),
    };
    (result.seen_with(&seen_on(wire).await, ask), resumed)
}

fn refusal(error: &io::Error) -> ClientResult {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let reason = match tls {
        Some(tls) => reason(tls),
        None => match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Some(Reason::Closed),
            _ => None,
        },
    };
    ClientResult::refused(reason, error.to_string())
}

fn reason(error: &Error) -> Option<Reason> {
    Some(match error {
        Error::AlertReceived(alert) => Reason::of_alert(u8::from(*alert)),
        Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Reason::NotTrusted,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Reason::OutOfDate,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Reason::WrongName
            }
            CertificateError::ApplicationVerificationFailure => Reason::WrongPin,
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                Reason::UnsupportedCertificate
            }
            // webpki's own errors, such as a chain that is too long for it.
            CertificateError::Other(other) => {
                tracing::debug!("webpki: {:?}", other.source());
                return None;
            }
            _ => return None,
        },
        Error::PeerIncompatible(
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::NoCipherSuitesInCommon,
        ) => Reason::NothingInCommon,
        Error::NoApplicationProtocol => Reason::NoProtocol,
        Error::PeerSentOversizedRecord => Reason::RecordTooLarge,
        _ => return None,
    })
}

/// A clock with a fixed time.
#[derive(Debug)]
struct Fixed(u64);

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}
