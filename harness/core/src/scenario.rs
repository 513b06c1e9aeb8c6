//! Scenarios: what a board is put through beside the main path, many times over, to see whether its
//! heap stays.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::check::CheckOutcome;
use crate::phase::Phase;
use crate::units::Span;

/// The fewest steps of a scenario: fewer tell nothing of a leak ([`crate::leak`]).
pub const FEWEST_STEPS: u32 = (WARM_UP + crate::leak::FEWEST) as u32;

/// So many samples at a scenario's beginning do not count: what a firmware takes once, it may keep.
pub const WARM_UP: usize = 2;

/// The name of a scenario, as in records. What a scenario is and how it runs is declared where it runs
/// (`harness/rig/src/scenario`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scenario {
    /// TLS connections, one after another.
    Handshake,
    /// The configuration page, one request after another, then all at once.
    Page,
    /// MQTT messages up to the firmware's buffer, and over it.
    Payload,
    /// The broker goes away and comes back.
    Reconnect,
    /// A mix of requests, messages, connections and restarts of the broker, for a time.
    Soak,
}

/// Each scenario with its serialized names: its own, and the phase that it is.
const NAMES: [(Scenario, &str, Phase); 5] = [
    (Scenario::Handshake, "handshake", Phase::ScenarioHandshake),
    (Scenario::Page, "page", Phase::ScenarioPage),
    (Scenario::Payload, "payload", Phase::ScenarioPayload),
    (Scenario::Reconnect, "reconnect", Phase::ScenarioReconnect),
    (Scenario::Soak, "soak", Phase::ScenarioSoak),
];

impl Scenario {
    /// Every scenario.
    pub const ALL: [Scenario; NAMES.len()] =
        [NAMES[0].0, NAMES[1].0, NAMES[2].0, NAMES[3].0, NAMES[4].0];

    /// The name, as on the command line, in the configuration and in records.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// The scenario with this name.
    pub fn from_name(name: &str) -> Option<Scenario> {
        Scenario::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// The phase of a board that it is.
    pub fn phase(self) -> Phase {
        NAMES[self as usize].2
    }

    /// The id of its check.
    pub fn check(self) -> String {
        format!("scenario.{}", self.name())
    }
}

/// The length of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So many steps.
    Steps(u32),
    /// For so long.
    For(Duration),
}

/// A scenario of a run, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScenarioRun {
    /// The scenario.
    pub scenario: Scenario,
    /// Its length.
    pub length: Length,
}

impl fmt::Display for ScenarioRun {
    /// `handshake:20`, `soak:600s`: as in records.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length {
            Length::Steps(steps) => write!(f, "{}:{steps}", self.scenario.name()),
            Length::For(time) => write!(f, "{}:{}s", self.scenario.name(), time.as_secs_f64()),
        }
    }
}

impl ScenarioRun {
    /// Its length, in words.
    pub fn words(&self) -> String {
        match self.length {
            Length::Steps(steps) => format!("{steps} steps"),
            Length::For(time) => Span(time).to_string(),
        }
    }
}

/// What the steps of a scenario came to, for other tools; people read its check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioFound {
    /// Its name.
    pub scenario: String,
    /// The steps that worked.
    pub steps: u32,
    /// As that of its check.
    pub outcome: CheckOutcome,
    /// Free heap of the first sample that counts, bytes; `None` where too few were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_free: Option<u64>,
    /// Of the last, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_free: Option<u64>,
    /// How many samples the slopes are of: those after the first ones ([`WARM_UP`]).
    #[serde(default)]
    pub samples: u64,
    /// How the free heap moves; none where too few samples were measured.
    pub slopes: Vec<SlopeFound>,
    /// Why it ended before its last step, where it was stopped; what was measured until then is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

/// How the free heap moves with something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlopeFound {
    /// With each of what: `connection`, `request`, `message`, `reconnect`, `step` or `hour`.
    pub each: String,
    /// Bytes for each; less than 0 where it falls.
    pub slope: f64,
    /// The lower end of the confidence interval ([`crate::leak::CONFIDENCE_PERCENT`]).
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay() {
        for (place, scenario) in Scenario::ALL.into_iter().enumerate() {
            assert_eq!(scenario as usize, place);
            assert_eq!(Scenario::from_name(scenario.name()), Some(scenario));
        }
        let soak = Length::For(Duration::from_secs(600));
        let soak = ScenarioRun { scenario: Scenario::Soak, length: soak };
        assert_eq!(soak.to_string(), "soak:600s");
        assert_eq!(FEWEST_STEPS, 9);
    }
}
