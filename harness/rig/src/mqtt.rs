//! The rig's own connections to the broker, one for each board and one for the run, over TLS. The broker's
//! certificate is verified against the run's CA and the broker's name.
//!
//! Only this file uses rumqttc. Its event loop reconnects at once and without limit; here a broken
//! connection is the end, because the results of a run are worthless if the broker fails in the
//! middle. The connection is renewed only if the rig restarted the broker.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hilrig_core::units::Span;
use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS, SubscribeReasonCode, TlsConfiguration,
    Transport,
};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::BrokerEndpoint;
use crate::broker_name::for_its_name;

/// Larger than any message that a board of this class can send.
const LARGEST_PACKET: usize = 256 * 1024;

/// Messages of one board that may wait to be read. A board that sends more is out of control;
/// further messages are dropped.
const MOST_WAITING: usize = 256;

/// The connection.
#[derive(Clone)]
pub struct Mqtt {
    shared: Rc<Shared>,
    lost: watch::Receiver<Option<String>>,
    renewals: mpsc::Sender<Renewal>,
}

/// Where the driver sends the result of a renewal.
type Renewal = oneshot::Sender<Result<(), String>>;

struct Shared {
    client: RefCell<AsyncClient>,
    topics: RefCell<HashMap<String, mpsc::Sender<Message>>>,
    acknowledged: Cell<u64>,
    /// The acknowledgements that report a failure (MQTT 3.1.1, 3.9.3).
    refused: RefCell<HashSet<u64>>,
    subscribed: Cell<u64>,
    /// The broker is about to be restarted: the connection may break.
    away: Cell<bool>,
    news: Notify,
}

/// A message of a board.
#[derive(Debug)]
pub struct Message {
    /// When it arrived.
    pub at: Instant,
    /// Its contents.
    pub payload: Vec<u8>,
}

/// Why there is no message.
#[derive(Debug)]
pub enum NoMessage {
    /// Nothing came within the deadline.
    Deadline,
    /// The connection to the broker is lost. The board cannot be judged.
    Lost(String),
}

/// The messages on one topic.
pub struct Subscription {
    topic: String,
    messages: mpsc::Receiver<Message>,
    mqtt: Mqtt,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.mqtt.shared.topics.borrow_mut().remove(&self.topic);
        // An error is ignored if the broker is gone: the subscription ends with the session.
        let _ = self.mqtt.client().try_unsubscribe(std::mem::take(&mut self.topic));
    }
}

/// The side that must be polled to keep the connection up.
pub struct Driver {
    events: EventLoop,
    shared: Rc<Shared>,
    lost: watch::Sender<Option<String>>,
    renewals: mpsc::Receiver<Renewal>,
}

/// Connects, with a deadline. The [`Driver`] must run from then on.
pub async fn connect(
    endpoint: &BrokerEndpoint,
    client_id: &str,
    deadline: Duration,
) -> Result<(Mqtt, Driver), String> {
    let (client, events) = open(endpoint, client_id, deadline).await?;
    let shared = Rc::new(Shared {
        client: RefCell::new(client),
        topics: RefCell::default(),
        acknowledged: Cell::new(0),
        refused: RefCell::default(),
        subscribed: Cell::new(0),
        away: Cell::new(false),
        news: Notify::new(),
    });
    let (lost, watch_lost) = watch::channel(None);
    let (ask, renewals) = mpsc::channel(1);
    let mqtt = Mqtt { shared: shared.clone(), lost: watch_lost, renewals: ask };
    Ok((mqtt, Driver { events, shared, lost, renewals }))
}

/// A connection that the broker has acknowledged.
async fn open(
    endpoint: &BrokerEndpoint,
    client_id: &str,
    deadline: Duration,
) -> Result<(AsyncClient, EventLoop), String> {
    let tried =
        format!("connecting the rig to the broker at {}:{} over TLS", endpoint.host, endpoint.port);
    let mut options = match &endpoint.plain {
        Some(socket) => {
            let mut options = MqttOptions::new(client_id, socket.to_string_lossy(), endpoint.port);
            options.set_transport(Transport::unix());
            options
        }
        None => {
            let tls = tls(endpoint).map_err(|found| format!("{tried}: {found}"))?;
            let tls = TlsConfiguration::Rustls(Arc::new(tls));
            let mut options = MqttOptions::new(client_id, &endpoint.host, endpoint.port);
            options.set_transport(Transport::tls_with_config(tls));
            options
        }
    };
    options.set_keep_alive(Duration::from_secs(30));
    options.set_max_packet_size(LARGEST_PACKET, LARGEST_PACKET);
    if let Some((user, password)) = &endpoint.credentials {
        options.set_credentials(user, password);
    }
    let (client, mut events) = AsyncClient::new(options, 64);
    // A request is one small segment: with Nagle's algorithm it would wait for the acknowledgement
    // of the previous one, up to 40 ms.
    events.network_options.set_tcp_nodelay(true);
    let connected = async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    };
    match tokio::time::timeout(deadline, connected).await {
        Ok(Ok(())) => Ok((client, events)),
        Ok(Err(error)) => Err(format!("{tried}: {}", causes(&error))),
        Err(_) => Err(format!("{tried}: no CONNACK within {}", Span(deadline))),
    }
}

/// Whether the broker accepts a new connection of the rig's, up to a CONNACK over TLS.
pub async fn answers(
    endpoint: &BrokerEndpoint,
    client_id: &str,
    deadline: Duration,
) -> Result<(), String> {
    open(endpoint, client_id, deadline).await.map(drop)
}

/// Connects with the client id of another client, and disconnects at once. The broker closes the other client's
/// connection, because a client id is unique (MQTT 3.1.1, 3.1.4).
pub async fn take_over(
    endpoint: &BrokerEndpoint,
    client_id: &str,
    deadline: Duration,
) -> Result<(), String> {
    open(endpoint, client_id, deadline).await.map(drop)
}

/// TLS that trusts only the endpoint's CA for the endpoint's name, and the endpoint's certificates.
pub fn tls(endpoint: &BrokerEndpoint) -> Result<ClientConfig, String> {
    let config = for_its_name(endpoint)?.client().map_err(|e| e.to_string())?;
    let Some(own) = &endpoint.client_certificate else { return Ok(config.with_no_client_auth()) };
    let chain = own.chain.iter().cloned().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::try_from(own.key.clone())?;
    config.with_client_auth_cert(chain, key).map_err(|e| e.to_string())
}

/// An error with all of its causes, in one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(&format!(": {cause_text}"));
        }
        source = cause.source();
    }
    text
}

impl Driver {
    /// Keeps the connection up until it breaks, and returns the reason.
    pub async fn run(&mut self) -> String {
        until_broken(&mut self.events, &self.shared).await
    }

    /// Keeps the connection up until it breaks, and renews it on request. After a break no message is awaited any
    /// more.
    pub async fn serve(
        &mut self,
        endpoint: &BrokerEndpoint,
        client_id: &str,
        deadline: Duration,
    ) -> String {
        loop {
            let Driver { events, shared, renewals, .. } = self;
            let found = tokio::select! {
                found = until_broken(events, shared) => Err(found),
                asked = renewals.recv() => Ok(asked),
            };
            let asked = match found {
                Ok(asked) => asked,
                Err(_) if self.shared.away.get() => self.renewals.recv().await,
                Err(found) => {
                    self.give_up(&found);
                    return found;
                }
            };
            // The other end was dropped with the board's path, which drops this too.
            let Some(answer) = asked else { return "nobody has the connection any more".into() };
            self.shared.away.set(false);
            let _ = answer.send(self.renew(endpoint, client_id, deadline).await);
        }
    }

    /// Ends every wait for messages.
    pub fn give_up(&self, found: &str) {
        self.lost.send_replace(Some(found.to_owned()));
    }

    /// Connects again and renews the subscriptions. Only while no acknowledgement is awaited.
    pub async fn renew(
        &mut self,
        endpoint: &BrokerEndpoint,
        client_id: &str,
        deadline: Duration,
    ) -> Result<(), String> {
        let (client, events) = open(endpoint, client_id, deadline).await?;
        self.events = events;
        *self.shared.client.borrow_mut() = client.clone();
        let topics: Vec<String> = self.shared.topics.borrow().keys().cloned().collect();
        let tried = format!("subscribing anew to {} topics", topics.len());
        let shared = self.shared.clone();
        let all = shared.acknowledged.get() + topics.len() as u64;
        shared.subscribed.set(all);
        let subscribed = async {
            let ask = async {
                for topic in topics {
                    client.subscribe(topic, QoS::AtMostOnce).await.map_err(|e| e.to_string())?;
                }
                // The acknowledgements end the wait.
                std::future::pending::<Result<(), String>>().await
            };
            let answered = async {
                while shared.acknowledged.get() < all {
                    step(&mut self.events, &shared).await?;
                }
                Ok(())
            };
            tokio::select! {
                failed = ask => failed,
                done = answered => done,
            }
        };
        match tokio::time::timeout(deadline, subscribed).await {
            Ok(done) => done.map_err(|found| format!("{tried}: {found}")),
            Err(_) => Err(format!("{tried}: no SUBACK within {}", Span(deadline))),
        }
    }
}

async fn until_broken(events: &mut EventLoop, shared: &Shared) -> String {
    loop {
        if let Err(found) = step(events, shared).await {
            return found;
        }
    }
}

/// The next packet, or why the connection ended.
async fn step(events: &mut EventLoop, shared: &Shared) -> Result<(), String> {
    match events.poll().await {
        Ok(Event::Incoming(Packet::Publish(message))) => {
            let topics = shared.topics.borrow();
            if let Some(board) = topics.get(&message.topic) {
                let message = Message { at: Instant::now(), payload: message.payload.to_vec() };
                let _ = board.try_send(message);
            }
        }
        Ok(Event::Incoming(Packet::SubAck(answer))) => {
            let number = shared.acknowledged.get() + 1;
            shared.acknowledged.set(number);
            if answer.return_codes.contains(&SubscribeReasonCode::Failure) {
                shared.refused.borrow_mut().insert(number);
            }
            shared.news.notify_waiters();
        }
        Ok(_) => {}
        Err(error) => return Err(causes(&error)),
    }
    Ok(())
}

impl Mqtt {
    fn client(&self) -> AsyncClient {
        self.shared.client.borrow().clone()
    }

    /// The broker is about to be restarted: a broken connection is no fault until [`Mqtt::renewed`]
    /// is called.
    pub fn away(&self) {
        self.shared.away.set(true);
    }

    /// Connects again after a restart of the broker, and renews the subscriptions. Only while the
    /// driver [serves](Driver::serve).
    pub async fn renewed(&self) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let gone = || "the connection to the broker is closed".to_owned();
        self.renewals.send(answer).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Subscribes to a board's topic, and waits until the broker has acknowledged it.
    pub async fn subscribe(&self, topic: &str, deadline: Duration) -> Result<Subscription, String> {
        let tried = || format!("subscribing to `{topic}`");
        let (sender, messages) = mpsc::channel(MOST_WAITING);
        {
            let mut topics = self.shared.topics.borrow_mut();
            if topics.contains_key(topic) {
                return Err(format!(
                    "{}: another board of this run has the same topic; two boards with one MAC address or one configured topic cannot be told apart",
                    tried()
                ));
            }
            topics.insert(topic.to_owned(), sender);
        }
        let subscription = Subscription { topic: topic.into(), messages, mqtt: self.clone() };
        // The broker acknowledges in the order of the requests.
        let mine = self.shared.subscribed.get() + 1;
        self.shared.subscribed.set(mine);
        self.client()
            .subscribe(topic, QoS::AtMostOnce)
            .await
            .map_err(|e| format!("{}: {e}", tried()))?;
        let acknowledged = async {
            loop {
                let news = self.shared.news.notified();
                if self.shared.acknowledged.get() >= mine {
                    return;
                }
                news.await;
            }
        };
        self.while_up(deadline, acknowledged).await.map_err(|none| match none {
            NoMessage::Deadline => format!("{}: no SUBACK within {}", tried(), Span(deadline)),
            NoMessage::Lost(found) => format!("{}: {found}", tried()),
        })?;
        match self.shared.refused.borrow_mut().remove(&mine) {
            true => Err(format!("{}: the broker refused it (SUBACK 0x80)", tried())),
            false => Ok(subscription),
        }
    }

    /// Publishes, QoS 0, as the firmware does.
    pub async fn publish(&self, topic: &str, payload: impl Into<Vec<u8>>) -> Result<(), String> {
        let sent = self.client().publish(topic, QoS::AtMostOnce, false, payload).await;
        sent.map_err(|e| format!("publishing on `{topic}`: {e}"))
    }

    /// The same with the retain flag; an empty payload deletes the retained message.
    pub async fn retain(&self, topic: &str, payload: impl Into<Vec<u8>>) -> Result<(), String> {
        let sent = self.client().publish(topic, QoS::AtMostOnce, true, payload).await;
        sent.map_err(|e| format!("publishing on `{topic}`, to be kept: {e}"))
    }

    /// Waits for `waited`, unless the deadline passes or the connection breaks.
    async fn while_up<T>(
        &self,
        deadline: Duration,
        waited: impl Future<Output = T>,
    ) -> Result<T, NoMessage> {
        let mut lost = self.lost.clone();
        tokio::select! {
            done = tokio::time::timeout(deadline, waited) => done.map_err(|_| NoMessage::Deadline),
            found = lost.wait_for(Option::is_some) => Err(NoMessage::Lost(match found {
                Ok(found) => found.clone().unwrap_or_default(),
                Err(_) => "the connection to the broker is closed".into(),
            })),
        }
    }
}

impl Subscription {
    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The next message, or why there is none.
    pub async fn next(&mut self, deadline: Duration) -> Result<Message, NoMessage> {
        let mqtt = self.mqtt.clone();
        let message = mqtt.while_up(deadline, self.messages.recv()).await?;
        message.ok_or_else(|| NoMessage::Lost("the connection to the broker is closed".into()))
    }

    /// A message that has arrived already without a request.
    pub fn unasked(&mut self) -> Option<Message> {
        self.messages.try_recv().ok()
    }
}
