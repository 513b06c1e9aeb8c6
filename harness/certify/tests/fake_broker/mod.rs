//! A broker that misbehaves on demand. It lets everybody in, passes every message on to every
//! subscriber, and never drops anybody.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use hilrig::BrokerEndpoint;
use hilrig_broker::Certificates;
use rumqttc::mqttbytes::Error as Malformed;
use rumqttc::{
    ConnAck, ConnectReturnCode, Packet, PubAck, Publish, QoS, SubAck, SubscribeReasonCode,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

const NAME: &str = "broker.hilrig.test";
const RIGHT: &str = "right";

/// What it does wrong beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Closes the connection of who pings.
    DropsWhoPings,
    /// Refuses the second client of an id.
    RefusesSecond,
    /// Closes without a CONNACK.
    ClosesAtWrongPassword,
    /// Gives each subscriber a message that is not marked as retained.
    ForgetsMark,
    GrantsQos0,
    NeverAcknowledges,
    /// Passes on no message of more than 10,000 bytes.
    DropsLarge,
    /// Answers with what is no MQTT.
    Garbage,
    /// Lets every seventh client wait for ever.
    ForgetsSome,
    /// Gives a retained message marked as such to who was there before.
    MarksAtOnce,
    /// Takes the user name for the client id.
    OneSession,
    /// Closes the connection of a second client, without a CONNACK.
    OneConnection,
    /// Takes no client id of the rig's.
    RefusesId,
    /// Passes nothing on that is published on `rx`.
    DropsRequests,
    /// Passes nothing on that is published on `tx`.
    DropsReplies,
    /// Refuses every subscription.
    RefusesSubscription,
    /// Closes the connection of who publishes on `rx`.
    ClosesWhoPublishes,
    /// Closes the connection of who publishes a retained message.
    ClosesWhoRetains,
}

/// Ends when dropped.
pub struct Fake {
    pub endpoint: BrokerEndpoint,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Default)]
struct State {
    clients: usize,
    /// The connections; nothing sent to one ends it.
    all: Vec<Out>,
    ids: Vec<String>,
    subscribers: Vec<(String, Out)>,
}

type Out = mpsc::UnboundedSender<Option<Publish>>;

pub async fn start(fault: Fault) -> Fake {
    let certificates = Certificates::new(NAME).unwrap();
    let chain = certificates.leaf().chain.clone();
    let key = PrivateKeyDer::from_pem_slice(certificates.leaf().key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = BrokerEndpoint {
        host: "127.0.0.1".into(),
        port: listener.local_addr().unwrap().port(),
        impostor_port: 0,
        ca_der: certificates.ca_der().to_vec(),
        second_ca_der: None,
        leaves: Vec::new(),
        plain: None,
        server_name: NAME.into(),
        credentials: Some(("user".into(), RIGHT.into())),
        client_certificate: None,
    };
    let state = Arc::new(Mutex::new(State::default()));
    let task = tokio::spawn(async move {
        let mut clients = tokio::task::JoinSet::new();
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            clients.spawn(serve(tcp, acceptor.clone(), fault, state.clone()));
        }
    });
    Fake { endpoint, task }
}

async fn serve(tcp: TcpStream, acceptor: TlsAcceptor, fault: Fault, state: Arc<Mutex<State>>) {
    let Ok(mut stream) = acceptor.accept(tcp).await else { return };
    let (passed_on, mut to_pass_on) = mpsc::unbounded_channel();
    let mut received = BytesMut::new();
    loop {
        let mut answers = Vec::new();
        match Packet::read(&mut received, 1 << 20) {
            Ok(packet) => {
                let Some(packets) = answer(packet, fault, &state, &passed_on) else { break };
                answers = packets;
            }
            Err(Malformed::InsufficientBytes(_)) => tokio::select! {
                read = stream.read_buf(&mut received) => match read {
                    Ok(count) if count > 0 => {}
                    _ => break,
                },
                Some(message) = to_pass_on.recv() => match message {
                    Some(message) => answers.push(Packet::Publish(message)),
                    None => break,
                },
            },
            Err(error) => panic!("{error}"),
        }
        for packet in answers {
            let mut bytes = BytesMut::new();
            packet.write(&mut bytes, 1 << 20).unwrap();
            if fault == Fault::Garbage {
                bytes = (&b"\x00\xff\xff\xff\xff\xff\x1b[31m"[..]).into();
            }
            if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
    }
    let _ = stream.shutdown().await;
}

/// What is answered; `None` ends the connection.
fn answer(
    packet: Packet,
    fault: Fault,
    state: &Mutex<State>,
    passed_on: &Out,
) -> Option<Vec<Packet>> {
    let mut state = state.lock().unwrap();
    match packet {
        Packet::Connect(connect) => {
            let known = state.ids.contains(&connect.client_id);
            let others = state.all.iter().filter(|other| !other.is_closed()).count();
            if fault == Fault::OneConnection && others > 0 {
                return None;
            }
            if fault == Fault::OneSession {
                for other in state.all.drain(..) {
                    let _ = other.send(None);
                }
            }
            let of_the_rig = connect.client_id.starts_with("hilrig-rig");
            state.all.push(passed_on.clone());
            state.ids.push(connect.client_id);
            state.clients += 1;
            let right = connect.login.is_some_and(|login| login.password == RIGHT);
            let code = match fault {
                Fault::ClosesAtWrongPassword if !right => return None,
                Fault::ForgetsSome if state.clients.is_multiple_of(7) => return Some(Vec::new()),
                Fault::RefusesId if of_the_rig => ConnectReturnCode::BadClientId,
                Fault::RefusesSecond if known => ConnectReturnCode::BadClientId,
                _ => ConnectReturnCode::Success,
            };
            Some(vec![Packet::ConnAck(ConnAck { session_present: false, code })])
        }
        Packet::Subscribe(subscribe) => {
            state.subscribers.push((subscribe.filters[0].path.clone(), passed_on.clone()));
            let granted = match fault {
                Fault::GrantsQos0 => QoS::AtMostOnce,
                _ => subscribe.filters[0].qos,
            };
            let granted = vec![match fault {
                Fault::RefusesSubscription => SubscribeReasonCode::Failure,
                _ => SubscribeReasonCode::Success(granted),
            }];
            let mut answers = vec![Packet::SubAck(SubAck::new(subscribe.pkid, granted))];
            if fault == Fault::ForgetsMark {
                let topic = &subscribe.filters[0].path;
                answers.push(Packet::Publish(Publish::new(topic, QoS::AtMostOnce, "kept")));
            }
            Some(answers)
        }
        Packet::Publish(message) if fault == Fault::ClosesWhoPublishes && message.topic == "rx" => {
            None
        }
        Packet::Publish(message) if fault == Fault::ClosesWhoRetains && message.retain => None,
        Packet::Publish(mut message) => {
            let mut answers = Vec::new();
            if message.qos == QoS::AtLeastOnce && fault != Fault::NeverAcknowledges {
                answers.push(Packet::PubAck(PubAck::new(message.pkid)));
            }
            message.retain &= fault == Fault::MarksAtOnce;
            let passes = match fault {
                Fault::DropsLarge => message.payload.len() <= 10_000,
                Fault::DropsRequests => message.topic != "rx",
                Fault::DropsReplies => message.topic != "tx",
                _ => true,
            };
            if passes {
                state.subscribers.retain(|(topic, subscriber)| {
                    *topic != message.topic || subscriber.send(Some(message.clone())).is_ok()
                });
            }
            Some(answers)
        }
        Packet::PingReq if fault == Fault::DropsWhoPings => None,
        Packet::PingReq => Some(vec![Packet::PingResp]),
        Packet::Disconnect => None,
        _ => Some(Vec::new()),
    }
}
