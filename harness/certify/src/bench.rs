//! The interface between a certification and a broker, independent of the broker's kind and host.

use async_trait::async_trait;
use hilrig_core::certify::certificate::OtherClient;
use hilrig_core::certify::{BrokerTls, Case, CaseResult, Line, WireSeen};
use hilrig_core::event::BrokerFacts;

use hilrig::BrokerEndpoint;

/// A broker to certify.
#[async_trait(?Send)]
pub trait CertifyBench {
    /// As requested: `mosquitto`, or `HOST:PORT`.
    fn name(&self) -> &str;

    /// Why this case cannot be run with it, if that is known before set-up.
    fn cannot(&self, case: &Case) -> Option<String>;

    /// Prepares what a set-up needs apart from the broker, such as keys: this time does not count against a broker's
    /// deadline. An error here occurs again in [`CertifyBench::set_up`].
    async fn prepare(&self, _tls: &BrokerTls) {}

    /// Sets it up this way, up to a CONNACK over TLS, with a relay in front of it. Each call makes a separate instance.
    async fn set_up(&self, tls: &BrokerTls) -> Result<Box<dyn CaseBroker>, NotSetUp>;
}

/// Why a broker was not set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSetUp {
    /// It does not support this set-up.
    NotRun(String),
    /// The set-up failed although it is supported.
    Broken(String),
}

/// A broker that is set up, with the line to it.
#[async_trait(?Send)]
pub trait CaseBroker {
    /// The broker as identified.
    fn facts(&self) -> BrokerFacts;

    /// Its TLS library with the version, if known.
    fn tls_library(&self) -> Option<String>;

    /// Where the rig reaches it, bypassing the relay. The name is the one that the boards check.
    fn endpoint(&self) -> &BrokerEndpoint;

    /// A topic that no client may publish to or subscribe to, if there is one.
    fn forbidden(&self) -> Option<&str>;

    /// What the boards verify the broker with.
    fn trust(&self) -> &Trust;

    /// Sets the behaviour of the line. Discards what was seen on it so far and cuts every earlier connection. Returns
    /// the port of the relay, where the boards reach the broker.
    async fn begin(&mut self, line: Line) -> Result<u16, String>;

    /// Cuts every connection through the relay without an alert.
    fn cut(&self);

    /// Cuts them and accepts no connection until the next [`CaseBroker::begin`].
    async fn hang_up(&mut self);

    /// The connections since [`CaseBroker::begin`].
    fn seen(&self) -> Seen;

    /// Runs the same set-up with the rig's own clients.
    async fn other_clients(&self, case: &Case) -> Vec<OtherClient>;

    /// Checks whether it supports MFLN, once like a small client and once like a full one. Returns what was found.
    async fn ask_for_mfln(&self) -> Result<String, String>;

    /// Opens a connection that sends nothing, and one that stops in the middle of its ClientHello. Returns how long the
    /// broker waited, and whether other clients could connect meanwhile.
    async fn stall(&self) -> Result<String, String>;

    /// Restarts it with the same set-up, without its sessions. Returns when it answers again.
    async fn restart(&mut self) -> Result<(), String>;

    /// Why the board was refused in the control, if no further case can work with this broker.
    async fn why_refused(&self, _result: &CaseResult) -> Option<String> {
        None
    }

    /// What was found, if it is gone.
    async fn gone(&mut self) -> Option<String>;

    /// Stops it and cleans up.
    async fn stop(self: Box<Self>);
}

/// Connections that a relay saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Number of connections.
    pub connections: u32,
    /// The first and the last ones, in order.
    pub wire: Vec<WireSeen>,
}

/// What a board can verify its broker with, and the board's client certificate.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The root that the boards trust, DER.
    pub root: Vec<u8>,
    /// The root of a second certificate that the broker may send to other clients, DER. No board gets it.
    pub second_root: Option<Vec<u8>>,
    /// The original intermediate, DER.
    pub first_intermediate: Option<Vec<u8>>,
    /// SHA-256 of the leaf that the broker sends.
    pub pin: Option<[u8; 32]>,
    /// SHA-256 of the leaf of the default set-up.
    pub pin_of_usual: Option<[u8; 32]>,
    /// A client certificate with its key, PEM. A secret.
    pub client_certificate: Option<String>,
    /// The board sends it in every case.
    pub always_client_certificate: bool,
    /// First and last second of the leaf's validity, since 1970.
    pub validity: Option<(i64, i64)>,
}

impl Trust {
    /// A SHA-256 that matches no certificate.
    pub const NO_PIN: [u8; 32] = [0x5a; 32];
}
