//! The phases of a board's path, in the order in which a board walks them.

use serde::{Deserialize, Serialize};

/// One stretch of the path of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Taking the board, so that no other run can.
    Lock,
    /// Putting the firmware on it, or finding that it is there.
    Flash,
    /// Reset, boot log up to configuration mode.
    Boot,
    /// Configuration mode: page, CA, settings, requests over HTTP.
    Configuration,
    /// MQTT mode against a broker whose certificate another CA signed: it must refuse.
    Refusal,
    /// The switch: request, reset, boot log up to MQTT mode, TLS connection.
    Switch,
    /// MQTT mode: requests and replies over TLS.
    Mqtt,
    /// The switch back, up to configuration mode.
    SwitchBack,
    /// A scenario: TLS connections in a row.
    ScenarioHandshake,
    /// A scenario: the configuration page under load.
    ScenarioPage,
    /// A scenario: MQTT messages of many sizes.
    ScenarioPayload,
    /// A scenario: restarts of the broker.
    ScenarioReconnect,
    /// A scenario: mixed load for a time.
    ScenarioSoak,
}

impl Phase {
    /// Every phase of the main path, in order. Scenarios stand between them where a run asks for them.
    pub const ALL: [Phase; 8] = [
        Phase::Lock,
        Phase::Flash,
        Phase::Boot,
        Phase::Configuration,
        Phase::Refusal,
        Phase::Switch,
        Phase::Mqtt,
        Phase::SwitchBack,
    ];

    /// The words for terminals and tables.
    pub fn words(self) -> &'static str {
        match self {
            Phase::Lock => "lock",
            Phase::Flash => "flash",
            Phase::Boot => "boot",
            Phase::Configuration => "configuration mode",
            Phase::Refusal => "refusal of a wrong CA",
            Phase::Switch => "switch to MQTT",
            Phase::Mqtt => "MQTT mode",
            Phase::SwitchBack => "switch back",
            Phase::ScenarioHandshake => "scenario handshake",
            Phase::ScenarioPage => "scenario page",
            Phase::ScenarioPayload => "scenario payload",
            Phase::ScenarioReconnect => "scenario reconnect",
            Phase::ScenarioSoak => "scenario soak",
        }
    }
}

/// How a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseOutcome {
    /// It got through.
    Done,
    /// The board did not do what it should.
    Failed,
    /// The bench could not go on.
    RigFault,
    /// Somebody ended the run in it.
    Interrupted,
}
