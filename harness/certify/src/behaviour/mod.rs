//! Checks of the MQTT behaviours that a device relies on (MQTT 3.1.1), run by the rig alone. Each check has its own
//! topics and client ids, so many can run on one broker.

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

/// The maximum length of [`Question::tag`]: with its suffix, every broker accepts the client id (MQTT 3.1.1,
/// 3.1.3.1).
pub const LONGEST_TAG: usize = 16;

/// The broker to check, and how.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The broker.
    pub endpoint: &'a BrokerEndpoint,
    /// Unique prefix of client ids and topics: letters and digits, at most [`LONGEST_TAG`].
    pub tag: &'a str,
    /// A topic that the endpoint's user may neither publish to nor subscribe to.
    pub forbidden: Option<&'a str>,
    /// Clients of a storm.
    pub crowd: usize,
    /// Number of rounds in which they all connect.
    pub rounds: usize,
    /// Timeout for each answer.
    pub deadline: Duration,
    /// How long after one and a half keep-alives the broker may check for silent clients, in addition to `deadline`.
    pub looks_within: Duration,
}

/// Why a behaviour was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The broker behaves differently; what it does.
    NotHeld(String),
    /// It cannot be checked here; why not.
    NotRun(String),
    /// The rig could not start the check; what was tried and what came.
    Broken(String),
}

/// Runs the check and returns what was found, as text. A check that needs the end of the broker or a board is not
/// run here ([`Missed::NotRun`]).
///
/// # Errors
/// [`Missed`], if the broker does not do what a device relies on, or could not be checked.
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
