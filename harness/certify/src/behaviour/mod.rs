//! What a device relies on at MQTT's level (MQTT 3.1.1), asked by the rig alone. Each question has
//! topics and client ids of its own, so that many can be asked of one broker.

mod client;
mod messages;
mod refusals;
mod rules;
mod sessions;
mod storm;

use std::time::Duration;

use hilrig_core::certify::case::Behaviour;

pub use rules::{Asked, Carried, rule, rule_for_id, rule_for_the_board};
pub(super) use sessions::seconds;
pub(super) use storm::{crowd, without_password};

use hilrig::BrokerEndpoint;

/// The longest [`Question::tag`]: with what is added to it, every broker takes the client id
/// (MQTT 3.1.1, 3.1.3.1).
pub const LONGEST_TAG: usize = 16;

/// Whom to ask, and how.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The broker.
    pub endpoint: &'a BrokerEndpoint,
    /// What client ids and topics begin with, so that they are nobody else's: letters and digits, at most
    /// [`LONGEST_TAG`].
    pub tag: &'a str,
    /// A topic that the endpoint's user may neither publish on nor subscribe to.
    pub forbidden: Option<&'a str>,
    /// Clients of a storm.
    pub crowd: usize,
    /// How often they all come.
    pub rounds: usize,
    /// For each answer.
    pub deadline: Duration,
    /// How long behind one and a half keep-alives the broker may look for silent clients, beside `deadline`.
    pub looks_within: Duration,
}

/// Why a behaviour was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The broker does it otherwise; what it does.
    NotHeld(String),
    /// It cannot be asked here; why not.
    NotRun(String),
    /// The rig did not get as far as asking; what was tried and what came.
    Broken(String),
}

/// Asks, and tells in words what was found. What needs the broker's end or a board is not asked here
/// ([`Missed::NotRun`]).
///
/// # Errors
/// [`Missed`], if the broker does not do what a device relies on, or could not be asked.
pub async fn ask(behaviour: Behaviour, question: &Question<'_>) -> Result<String, Missed> {
    match behaviour {
        Behaviour::Retained => messages::retained(question).await,
        Behaviour::Qos => messages::qos(question).await,
        Behaviour::KeepAlive => sessions::keep_alive(question).await,
        Behaviour::Takeover => sessions::takeover(question).await,
        Behaviour::Will => sessions::will(question).await,
        Behaviour::PayloadLimit => refusals::payload_limit(question).await,
        Behaviour::WrongPassword => refusals::wrong_password(question).await,
        Behaviour::NoPermission => refusals::no_permission(question).await,
        Behaviour::ReconnectStorm => storm::storm(question).await,
        Behaviour::BrokerRestart => {
            Err(Missed::NotRun("only a board can show that it comes back".into()))
        }
    }
}
