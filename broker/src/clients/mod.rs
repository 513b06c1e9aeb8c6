//! The rig's own clients. They run a case of the certification in addition to the board, so that a report can show
//! whether a refusal is the broker's or the device's:
//!
//! - [`with_rustls`]: a client that accepts no outdated algorithm;
//! - [`with_openssl`]: the program `openssl s_client`, which offers exactly the board's suites;
//! - [`ask_for_mfln`] and [`stall`]: cases that the rig runs alone.
//!
//! [`look`] reads what a server presents without a verdict; [`Tunnel`] connects to one that rustls cannot connect to.

mod hello;
mod look;
mod mfln;
mod openssl;
mod rustls;
mod s_client;
mod stall;
mod suites;
mod tunnel;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ::rustls::pki_types::pem::{self, PemObject as _};
use ::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use hilrig_core::certify::wire::Ended;
use hilrig_core::certify::{BoardTls, Outcome, Reason, WireSeen};
use hilrig_wire::Relay;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

pub use self::look::{Looked, NotSeen, look};
pub use self::mfln::{Answer, MflnAsked, ask_for_mfln};
pub use self::openssl::{openssl_version, with_openssl};
pub use self::rustls::with_rustls;
pub use self::stall::{GaveUp, Stalled, stall};
pub use self::tunnel::Tunnel;
use crate::login::Login;
use crate::tls::connack::{enter, exchange};

/// Time limit from a client's end to the end of its connection.
const TO_CLOSE: Duration = Duration::from_secs(1);

/// The settings of a client: the same as the board's in the case.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The broker's address.
    pub address: SocketAddr,
    /// The name that is requested (SNI) and that the certificate must be for; an address is not sent.
    pub server_name: &'a str,
    /// The board's side of TLS. For its trust, [`goes_by`](Ask::goes_by) counts.
    pub board: BoardTls,
    /// The reference for the check of the broker's certificate.
    pub goes_by: GoesBy<'a>,
    /// The client certificate, where there is one.
    pub certificate: Option<ClientCertificate<'a>>,
    /// The time that the certificates are checked against; `None` is now.
    pub time: Option<OffsetDateTime>,
    /// User and password.
    pub login: Option<&'a Login>,
    /// Deadline for the whole try.
    pub deadline: Duration,
}

/// The reference for the check of a broker's certificate.
#[derive(Clone, Copy, Debug)]
pub enum GoesBy<'a> {
    /// It must come from this CA, a root or an intermediate, and be for the broker's name.
    Ca(&'a CertificateDer<'a>),
    /// Its SHA-256 (of the DER) must be this; its name, its dates and who signed it do not count.
    Pin([u8; 32]),
}

/// A client certificate.
#[derive(Clone, Copy)]
pub struct ClientCertificate<'a> {
    /// The certificates as PEM, the client's own first.
    pub chain: &'a str,
    /// The key as PEM. A secret.
    pub key: &'a str,
}

impl ClientCertificate<'_> {
    /// Both as DER.
    fn der(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ::rustls::Error> {
        let general = |error: pem::Error| ::rustls::Error::General(error.to_string());
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes()).collect::<Result<_, _>>();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        Ok((chain.map_err(general)?, key.map_err(general)?))
    }
}

impl fmt::Debug for ClientCertificate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("chain", &self.chain).finish_non_exhaustive()
    }
}

/// The result of a try, before it is part of an
/// [`OtherClient`](hilrig_core::certify::certificate::OtherClient).
struct ClientResult {
    outcome: Outcome,
    reason: Option<Reason>,
    said: String,
}

impl ClientResult {
    fn refused(reason: Option<Reason>, said: impl Into<String>) -> ClientResult {
        ClientResult { outcome: Outcome::Refused, reason, said: said.into() }
    }

    fn not_run(why: impl Into<String>) -> ClientResult {
        ClientResult { outcome: Outcome::NotRun, reason: None, said: why.into() }
    }

    fn broken(why: impl Into<String>) -> ClientResult {
        ClientResult { outcome: Outcome::Broken, reason: None, said: why.into() }
    }

    /// By the return code of a CONNACK (MQTT 3.1.1, 3.2.2.3), over TLS with the parameters in `negotiated`.
    fn by_connack(code: u8, negotiated: &str) -> ClientResult {
        match code {
            0 => {
                ClientResult { outcome: Outcome::Connected, reason: None, said: negotiated.into() }
            }
            4 | 5 => ClientResult::refused(
                Some(Reason::BadLogin),
                format!("CONNACK with return code {code}, over {negotiated}"),
            ),
            _ => ClientResult::refused(
                None,
                format!("CONNACK with return code {code}, over {negotiated}"),
            ),
        }
    }

    /// What the wire shows in addition to the client's report.
    fn seen_with(self, wire: &WireSeen, ask: &Ask<'_>) -> ClientResult {
        match wire.ended {
            Some(Ended::NoBroker) => {
                ClientResult::broken(format!("{} takes no connection", ask.address))
            }
            _ => ClientResult { reason: self.reason.map(|reason| reason.seen_with(wire)), ..self },
        }
    }

    fn late(ask: &Ask<'_>) -> ClientResult {
        let waited = ask.deadline.as_secs_f64();
        ClientResult::refused(Some(Reason::TimedOut), format!("no CONNACK within {waited:.1} s"))
    }
}

/// How a client that is accepted ends its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    /// With DISCONNECT and close_notify.
    InOrder,
    /// The connection is aborted.
    Cut,
}

impl Leave {
    /// The question for a session that is resumed after it, as text.
    fn resumed(self, resumed: bool) -> String {
        let after = match self {
            Leave::InOrder => "after an orderly close",
            Leave::Cut => "after a cut",
        };
        let not = if resumed { "" } else { "not " };
        format!(", {after} session {not}resumed")
    }
}

/// A client's own connection to the broker: its bytes show exactly what was negotiated.
async fn line(ask: &Ask<'_>) -> Result<Relay, ClientResult> {
    let relay = Relay::start(Ipv4Addr::LOCALHOST, ask.address).await;
    relay
        .map_err(|error| ClientResult::broken(format!("no port for a line to the broker: {error}")))
}

/// CONNECT and CONNACK, and the end of the connection if MQTT controls it.
async fn talk(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    id: &str,
    login: Option<&Login>,
    leave: Leave,
) -> io::Result<u8> {
    match leave {
        Leave::InOrder => exchange(stream, id, login).await,
        Leave::Cut => enter(stream, id, login).await,
    }
}

/// Observations on the last connection, which its client has ended.
async fn seen_on(line: &Relay) -> WireSeen {
    let ended = line.until(|progress| progress.ended == progress.connections);
    // A broker that does not close its side keeps the connection open.
    let _ = timeout(TO_CLOSE, ended).await;
    line.seen().pop().unwrap_or_default()
}

/// A unique client id at this broker: a client with an id in use disconnects the other one.
fn client_id(client: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("hilrig-{client}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
