//! What a certification asks of a broker, whatever it is and wherever it runs.

use async_trait::async_trait;
use hilrig_core::certify::certificate::OtherClient;
use hilrig_core::certify::{BrokerTls, Case, CaseResult, Line, WireSeen};
use hilrig_core::event::BrokerFacts;

use hilrig::BrokerEndpoint;

/// A broker that is to be certified.
#[async_trait(?Send)]
pub trait CertifyBench {
    /// As it was asked for: `mosquitto`, or `HOST:PORT`.
    fn name(&self) -> &str;

    /// Why this case cannot be run with it, where that is known before it is set up.
    fn cannot(&self, case: &Case) -> Option<String>;

    /// Makes what such a set-up takes that is no broker's work, such as keys: its time counts against no deadline of the
    /// broker. What fails in it fails again in [`CertifyBench::set_up`].
    async fn prepare(&self, _tls: &BrokerTls) {}

    /// Sets it up like that, up to a CONNACK over TLS, with a relay before it. Each call makes an
    /// instance of its own.
    async fn set_up(&self, tls: &BrokerTls) -> Result<Box<dyn CaseBroker>, NotSetUp>;
}

/// Why a broker was not set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSetUp {
    /// It cannot be like that: it has no way to.
    NotRun(String),
    /// It did not come about, and it should have.
    Broken(String),
}

/// A broker that is set up, and the line to it.
#[async_trait(?Send)]
pub trait CaseBroker {
    /// What it was found to be.
    fn facts(&self) -> BrokerFacts;

    /// Its TLS library with the version, where it is known.
    fn tls_library(&self) -> Option<String>;

    /// Where the rig reaches it, past the relay. The name is the one that the boards check.
    fn endpoint(&self) -> &BrokerEndpoint;

    /// A topic that nobody may publish on or subscribe to, where there is one.
    fn forbidden(&self) -> Option<&str>;

    /// What the boards are to go by.
    fn trust(&self) -> &Trust;

    /// From now on the line is like this. What was seen on it so far is forgotten, and every connection of
    /// before is cut. The port of the relay, where the boards reach the broker.
    async fn begin(&mut self, line: Line) -> Result<u16, String>;

    /// Cuts every connection that goes through the relay, without a word.
    fn cut(&self);

    /// Cuts them, and lets nobody through any more until the next [`CaseBroker::begin`].
    async fn hang_up(&mut self);

    /// The connections since [`CaseBroker::begin`].
    fn seen(&self) -> Seen;

    /// The same set-up with the rig's own clients.
    async fn other_clients(&self, case: &Case) -> Vec<OtherClient>;

    /// Asks it whether it has MFLN, once as small clients do and once as a full one; what was found.
    async fn ask_for_mfln(&self) -> Result<String, String>;

    /// Opens a connection that says nothing, and one that stops in the middle of its ClientHello; how
    /// long the broker waited, and whether others got through meanwhile.
    async fn stall(&self) -> Result<String, String>;

    /// Ends it and starts it anew, as it was, without its sessions. Returns when it answers again.
    async fn restart(&mut self) -> Result<(), String>;

    /// Why the board was refused in the control, where nothing further can come of this broker then.
    async fn why_refused(&self, _result: &CaseResult) -> Option<String> {
        None
    }

    /// What was found if it is gone.
    async fn gone(&mut self) -> Option<String>;

    /// Ends it and leaves nothing behind.
    async fn stop(self: Box<Self>);
}

/// Connections that a relay saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// How many there were.
    pub connections: u32,
    /// The first ones and the last, in their order.
    pub wire: Vec<WireSeen>,
}

/// What a board can go by to know its broker, and what it shows of itself.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The root that the boards are to trust, DER.
    pub root: Vec<u8>,
    /// The root of a second certificate that the broker may show others, DER. No board is told of it.
    pub second_root: Option<Vec<u8>>,
    /// The intermediate that was there first, DER.
    pub first_intermediate: Option<Vec<u8>>,
    /// SHA-256 of the leaf that is shown.
    pub pin: Option<[u8; 32]>,
    /// SHA-256 of the leaf of the usual set-up.
    pub pin_of_usual: Option<[u8; 32]>,
    /// A client certificate with its key, PEM. A secret.
    pub client_certificate: Option<String>,
    /// The board shows it in every case, whatever the case is about.
    pub always_client_certificate: bool,
    /// First and last second in which the leaf is valid, since 1970.
    pub validity: Option<(i64, i64)>,
}

impl Trust {
    /// The SHA-256 of no certificate.
    pub const NO_PIN: [u8; 32] = [0x5a; 32];
}
