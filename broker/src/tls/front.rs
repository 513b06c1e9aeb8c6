//! A TLS front before a broker, with stricter requirements than the broker, like a load balancer: a TLS server of the
//! rig's own (rustls) that presents the broker's certificate, accepts the connection, and forwards its data to the
//! broker over TLS.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hilrig_core::certify::{Front as Kind, Versions};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::{Acceptor, ClientHello};
use rustls::version::TLS13;
use rustls::{ClientConfig, Error, ServerConfig};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};

use crate::pki::Shown;

/// The protocol that is registered for MQTT (IANA, TLS ALPN Protocol IDs).
pub(crate) const MQTT: &[u8] = b"mqtt";
/// So many connections at once; the next one waits until one ends.
const AT_ONCE: usize = 256;
/// Deadline for a handshake; a board's takes a few seconds on a busy machine.
const TO_SHAKE_HANDS: Duration = Duration::from_secs(60);

/// Alerts (RFC 8446, 6.2).
const UNRECOGNIZED_NAME: u8 = 112;
const NO_APPLICATION_PROTOCOL: u8 = 120;

/// A front that listens. Dropping closes it and every connection through it.
pub(crate) struct Front {
    port: u16,
    _connections: JoinSet<()>,
}

/// The settings of a front.
struct Work {
    kind: Kind,
    tls: Arc<ServerConfig>,
    /// The broker's.
    name: String,
    behind: SocketAddr,
    to_behind: Arc<ClientConfig>,
}

impl Front {
    /// Opens one at any free port of `at`, before the broker at `behind`, which `to_behind` verifies.
    pub async fn open(
        kind: Kind,
        versions: Versions,
        at: Ipv4Addr,
        shown: &Shown,
        behind: SocketAddr,
        to_behind: Arc<ClientConfig>,
    ) -> io::Result<Front> {
        let tls = Arc::new(server(kind, versions, shown).map_err(io::Error::other)?);
        let listener = TcpListener::bind((at, 0)).await?;
        let port = listener.local_addr()?.port();
        let work = Arc::new(Work { kind, tls, name: shown.name.clone(), behind, to_behind });
        let mut connections = JoinSet::new();
        connections.spawn(listen(listener, work));
        Ok(Front { port, _connections: connections })
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn server(kind: Kind, versions: Versions, shown: &Shown) -> Result<ServerConfig, Error> {
    let key = PrivateKeyDer::from_pem_slice(shown.key_pem.as_bytes())
        .map_err(|error| Error::General(error.to_string()))?;
    let versions = match versions {
        Versions::From12 => rustls::ALL_VERSIONS,
        Versions::Only13 => &[&TLS13],
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_single_cert(shown.chain.clone(), key)?;
    if kind == Kind::AlpnRequired {
        tls.alpn_protocols = vec![MQTT.to_vec()];
    }
    Ok(tls)
}

async fn listen(listener: TcpListener, work: Arc<Work>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            taken = listener.accept(), if connections.len() < AT_ONCE => match taken {
                Ok((tcp, _)) => {
                    let work = work.clone();
                    connections.spawn(async move {
                        if let Err(error) = carry(tcp, &work).await {
                            tracing::debug!("a connection through the front ended: {error}");
                        }
                    });
                }
                Err(error) => tracing::warn!("the front cannot take a connection: {error}"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(mut tcp: TcpStream, work: &Work) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let shaking = timeout(TO_SHAKE_HANDS, async {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), &mut tcp).await?;
        match refuses(work.kind, &hello.client_hello(), &work.name) {
            None => hello.into_stream(work.tls.clone()).await.map(Ok),
            Some(alert) => Ok(Err(alert)),
        }
    });
    let mut stream = match shaking.await.map_err(|_| io::ErrorKind::TimedOut)?? {
        Ok(stream) => stream,
        Err(alert) => {
            // A record of type alert, TLS 1.2, two bytes: fatal, and the alert's number.
            tcp.write_all(&[21, 3, 3, 0, 2, 2, alert]).await?;
            return tcp.shutdown().await;
        }
    };
    let behind = TcpStream::connect(work.behind).await?;
    behind.set_nodelay(true)?;
    let name = ServerName::try_from(work.name.clone()).map_err(io::Error::other)?;
    let mut behind = TlsConnector::from(work.to_behind.clone()).connect(name, behind).await?;
    copy_bidirectional(&mut stream, &mut behind).await.map(drop)
}

/// The alert for a client that is refused.
fn refuses(kind: Kind, hello: &ClientHello<'_>, name: &str) -> Option<u8> {
    match kind {
        Kind::Plain => None,
        Kind::SniRequired => (hello.server_name() != Some(name)).then_some(UNRECOGNIZED_NAME),
        Kind::AlpnRequired => {
            let offers = hello.alpn().is_some_and(|mut offered| offered.any(|one| one == MQTT));
            (!offers).then_some(NO_APPLICATION_PROTOCOL)
        }
    }
}
