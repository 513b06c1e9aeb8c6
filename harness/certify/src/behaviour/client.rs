//! A client without automatic behaviour: unlike rumqttc's event loop it does not ping, acknowledge or reconnect by
//! itself. Its packets are rumqttc's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use hilrig_core::text::printable;
use hilrig_core::units::Span;
use rumqttc::mqttbytes::Error as Malformed;
use rumqttc::{
    ConnAck, Connect, ConnectReturnCode, LastWill, Login, Packet, PubAck, Publish, QoS, SubAck,
    Subscribe, SubscribeReasonCode,
};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::{Missed, Question};
use hilrig::mqtt::{causes, tls};

/// Larger than any expected packet.
const LARGEST_PACKET: usize = 512 * 1024;

/// Maximum number of messages before a SUBACK. No check has more on a topic.
const MOST_EARLY: usize = 4;

/// Keep-alive for checks that do not test it: longer than any check takes.
const KEEP_ALIVE: Duration = Duration::from_secs(600);

/// Transport of a client: its own TLS, or a line that already does TLS.
trait Line: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Line for S {}

/// A client that the broker accepted.
pub(super) struct Client {
    stream: Box<dyn Line>,
    received: BytesMut,
    /// Messages received before the SUBACK, which is allowed (MQTT 3.1.1, 3.8.4).
    early: VecDeque<Packet>,
    deadline: Duration,
    /// Time from the first step to the end of the TLS handshake.
    pub(super) tls_took: Duration,
}

/// The CONNECT options of a client.
pub(super) struct As<'a> {
    pub id: &'a str,
    pub keep_alive: Duration,
    pub will: Option<(&'a str, &'a str)>,
    /// Instead of the endpoint's.
    pub password: Option<&'a str>,
    /// Without user and password.
    pub nobody: bool,
}

impl<'a> As<'a> {
    pub(super) fn id(id: &'a str) -> As<'a> {
        As { id, keep_alive: KEEP_ALIVE, will: None, password: None, nobody: false }
    }
}

/// The result of a wait.
#[derive(Debug)]
pub(super) enum Came {
    Packet(Packet),
    /// The broker closed or reset the connection.
    Closed(String),
    /// Nothing within the deadline.
    Nothing,
}

/// The answer to a subscription.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Granted {
    Qos(QoS),
    /// 0x80.
    Refused,
}

/// TLS as on a board: each connection does a full handshake.
pub(super) fn tls_of(question: &Question) -> Result<Arc<ClientConfig>, Missed> {
    let mut tls = tls(question.endpoint).map_err(Missed::Broken)?;
    tls.resumption = Resumption::disabled();
    Ok(Arc::new(tls))
}

/// Connects up to the CONNACK. The error says what came instead.
pub(super) async fn connect(
    question: &Question<'_>,
    tls: Arc<ClientConfig>,
    wanted: As<'_>,
) -> Result<(Client, ConnectReturnCode), String> {
    let endpoint = question.endpoint;
    let deadline = question.deadline;
    let name = ServerName::try_from(endpoint.server_name.clone()).map_err(|error| {
        format!("the name `{}`: {error}", printable(endpoint.server_name.as_bytes()))
    })?;
    let since = Instant::now();
    let stream = async {
        if let Some(socket) = &endpoint.plain {
            return Ok(Box::new(UnixStream::connect(socket).await?) as Box<dyn Line>);
        }
        let tcp = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
        // A packet is a small segment that must not wait for the acknowledgement of the previous one.
        tcp.set_nodelay(true)?;
        let stream = TlsConnector::from(tls).connect(name, tcp).await?;
        Ok::<Box<dyn Line>, std::io::Error>(Box::new(stream))
    };
    let stream = match tokio::time::timeout(deadline, stream).await {
        Ok(stream) => stream.map_err(|error| causes(&error))?,
        Err(_) => return Err(format!("no TLS connection within {}", Span(deadline))),
    };
    let tls_took = since.elapsed();
    let (received, early) = (BytesMut::new(), VecDeque::new());
    let mut client = Client { stream, received, early, deadline, tls_took };
    let mut packet = Connect::new(wanted.id);
    packet.keep_alive = wanted.keep_alive.as_secs() as u16;
    packet.last_will =
        wanted.will.map(|(topic, text)| LastWill::new(topic, text, QoS::AtMostOnce, false));
    let login = endpoint.credentials.as_ref().filter(|_| !wanted.nobody);
    packet.login = login.map(|(user, password)| {
        Login::new(user.as_str(), wanted.password.unwrap_or(password.as_str()))
    });
    client.send(Packet::Connect(packet)).await?;
    match client.next().await {
        Came::Packet(Packet::ConnAck(ConnAck { code, .. })) => Ok((client, code)),
        other => Err(format!("{} instead of a CONNACK", other.told(deadline))),
    }
}

/// Connects a client whose acceptance is a precondition of the check.
pub(super) async fn let_in(question: &Question<'_>, wanted: As<'_>) -> Result<Client, Missed> {
    let id = wanted.id;
    let broken = |found| {
        let endpoint = question.endpoint;
        let (host, port) = (&endpoint.host, endpoint.port);
        Missed::Broken(format!("connecting `{id}` to the broker at {host}:{port}: {found}"))
    };
    match connect(question, tls_of(question)?, wanted).await {
        Ok((client, ConnectReturnCode::Success)) => Ok(client),
        Ok((_, code)) => Err(broken(format!("it was refused with return code {}", number(code)))),
        Err(found) => Err(broken(found)),
    }
}

/// As encoded in the packet (MQTT 3.1.1, 3.2.2.3).
pub(super) fn number(code: ConnectReturnCode) -> u8 {
    code as u8
}

impl Came {
    /// Human-readable text.
    pub(super) fn told(&self, deadline: Duration) -> String {
        match self {
            Came::Packet(Packet::Publish(publish)) => {
                let payload = &publish.payload[..publish.payload.len().min(40)];
                format!("a message that begins with `{}`", printable(payload))
            }
            Came::Packet(packet) => {
                // The name only: the content is the broker's.
                let text = format!("{packet:?}");
                text.split(['(', ' ']).next().unwrap_or("a packet").to_uppercase()
            }
            Came::Closed(how) => how.clone(),
            Came::Nothing => format!("nothing within {}", Span(deadline)),
        }
    }
}

impl Client {
    pub(super) async fn send(&mut self, packet: Packet) -> Result<(), String> {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, LARGEST_PACKET).map_err(|error| error.to_string())?;
        let sent = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        match tokio::time::timeout(self.deadline, sent).await {
            Ok(sent) => sent.map_err(|error| format!("the connection broke: {}", causes(&error))),
            Err(_) => Err(format!("the broker took nothing within {}", Span(self.deadline))),
        }
    }

    /// The next packet, within the deadline of the check.
    pub(super) async fn next(&mut self) -> Came {
        self.next_within(self.deadline).await
    }

    pub(super) async fn next_within(&mut self, deadline: Duration) -> Came {
        tokio::time::timeout(deadline, self.receive()).await.unwrap_or(Came::Nothing)
    }

    /// The next packet. Cancel-safe: no data is lost.
    pub(super) async fn receive(&mut self) -> Came {
        if let Some(packet) = self.early.pop_front() {
            return Came::Packet(packet);
        }
        loop {
            match Packet::read(&mut self.received, LARGEST_PACKET) {
                Ok(packet) => return Came::Packet(packet),
                Err(Malformed::InsufficientBytes(_)) => {}
                Err(error) => {
                    return Came::Closed(format!("it sent what is no packet of MQTT: {error}"));
                }
            }
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) => return Came::Closed("it closed the connection".into()),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Came::Closed("it closed the connection without a word of TLS".into());
                }
                Err(error) => {
                    return Came::Closed(format!("the connection broke: {}", causes(&error)));
                }
            }
        }
    }

    /// Subscribes. The error says what came instead of the SUBACK.
    pub(super) async fn subscribe(&mut self, topic: &str, qos: QoS) -> Result<Granted, Came> {
        let mut packet = Subscribe::new(topic, qos);
        packet.pkid = 1;
        self.send(Packet::Subscribe(packet)).await.map_err(Came::Closed)?;
        let mut early = VecDeque::new();
        let granted = loop {
            match self.next().await {
                Came::Packet(Packet::SubAck(SubAck { return_codes, .. })) => {
                    break match return_codes.as_slice() {
                        [SubscribeReasonCode::Success(qos)] => Ok(Granted::Qos(*qos)),
                        _ => Ok(Granted::Refused),
                    };
                }
                Came::Packet(packet @ Packet::Publish(_)) if early.len() < MOST_EARLY => {
                    early.push_back(packet);
                }
                other => break Err(other),
            }
        };
        self.early = early;
        granted
    }

    /// Subscribes where success is a precondition of the check.
    pub(super) async fn must_subscribe(&mut self, topic: &str) -> Result<(), Missed> {
        let found = match self.subscribe(topic, QoS::AtMostOnce).await {
            Ok(Granted::Qos(_)) => return Ok(()),
            Ok(Granted::Refused) => "it was refused (0x80)".into(),
            Err(other) => format!("{} instead of a SUBACK", other.told(self.deadline)),
        };
        Err(Missed::Broken(format!("subscribing to `{topic}`: {found}")))
    }

    /// Publishes, QoS 0.
    pub(super) async fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), String> {
        self.send(Packet::Publish(Publish::new(topic, QoS::AtMostOnce, payload))).await
    }

    /// Publishes, QoS 1. The error says what came instead of the PUBACK.
    pub(super) async fn publish_acknowledged(
        &mut self,
        topic: &str,
        payload: &[u8],
        retain: bool,
    ) -> Result<(), Came> {
        let mut packet = Publish::new(topic, QoS::AtLeastOnce, payload);
        packet.pkid = 2;
        packet.retain = retain;
        self.send(Packet::Publish(packet)).await.map_err(Came::Closed)?;
        match self.next().await {
            Came::Packet(Packet::PubAck(PubAck { pkid: 2 })) => Ok(()),
            other => Err(other),
        }
    }

    /// Sends a PINGREQ and waits for the PINGRESP. The error says what came instead.
    pub(super) async fn ping(&mut self) -> Result<(), Came> {
        self.send(Packet::PingReq).await.map_err(Came::Closed)?;
        match self.next().await {
            Came::Packet(Packet::PingResp) => Ok(()),
            other => Err(other),
        }
    }

    /// Sends DISCONNECT and waits for the broker to close the connection.
    pub(super) async fn disconnect(mut self) {
        // Nothing to send to a broker that is gone.
        if self.send(Packet::Disconnect).await.is_ok() {
            let _ = self.next().await;
        }
    }
}
