//! Scenarios: what a board is put through beside the main path, many times over, to see whether its
//! heap stays.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::check::CheckOutcome;
use crate::config::Deadlines;
use crate::phase::Phase;
use crate::units::Span;

/// The fewest steps of a scenario: fewer tell nothing of a leak ([`crate::leak`]).
pub const FEWEST_STEPS: u32 = (WARM_UP + crate::leak::FEWEST) as u32;

/// So many samples at a scenario's beginning do not count: what a firmware takes once, it may keep.
pub const WARM_UP: usize = 2;

/// Behind a step the heap may hold what is on its way: a segment that is not acknowledged, a connection
/// that is closed and remembered (lwIP: for twice `TCP_MSL`, 2 s in our ports, and up to half a second
/// more). It comes back within this time; a leak does not.
pub const SETTLES: Duration = Duration::from_secs(3);

/// What a board is put through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scenario {
    /// TLS connections, one behind the other.
    Handshake,
    /// The configuration page, one request behind the other, then all at once.
    Page,
    /// MQTT messages up to the firmware's buffer, and over it.
    Payload,
    /// The broker goes away and comes back.
    Reconnect,
    /// A mix of requests, messages, connections and restarts of the broker, for a time.
    Soak,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Scenario; 5] = [
        Scenario::Handshake,
        Scenario::Page,
        Scenario::Payload,
        Scenario::Reconnect,
        Scenario::Soak,
    ];

    /// The name, as on the command line, in the configuration and in records.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Handshake => "handshake",
            Scenario::Page => "page",
            Scenario::Payload => "payload",
            Scenario::Reconnect => "reconnect",
            Scenario::Soak => "soak",
        }
    }

    /// The scenario of this name.
    pub fn from_name(name: &str) -> Option<Scenario> {
        Scenario::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// The phase of a board's path that it is.
    pub fn phase(self) -> Phase {
        match self {
            Scenario::Handshake => Phase::ScenarioHandshake,
            Scenario::Page => Phase::ScenarioPage,
            Scenario::Payload => Phase::ScenarioPayload,
            Scenario::Reconnect => Phase::ScenarioReconnect,
            Scenario::Soak => Phase::ScenarioSoak,
        }
    }

    /// The id of its check.
    pub fn check(self) -> String {
        format!("scenario.{}", self.name())
    }

    /// What its check says.
    pub fn title(self) -> String {
        let what = match self {
            Scenario::Handshake => "TLS connections in a row",
            Scenario::Page => "the page under requests in a row and at once",
            Scenario::Payload => "MQTT messages up to the buffer and over it",
            Scenario::Reconnect => "restarts of the broker",
            Scenario::Soak => "a mixed load",
        };
        format!("{what}: every step works, and the free heap does not fall")
    }

    /// Whether it restarts the broker, which all boards of a run share.
    pub fn restarts_broker(self) -> bool {
        matches!(self, Scenario::Reconnect | Scenario::Soak)
    }
}

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So many steps.
    Steps(u32),
    /// For so long.
    For(Duration),
}

/// A scenario that a run is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub scenario: Scenario,
    /// How much of it.
    pub length: Length,
}

impl fmt::Display for Asked {
    /// `handshake:20`, `soak:600s`: as in records.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length {
            Length::Steps(steps) => write!(f, "{}:{steps}", self.scenario.name()),
            Length::For(time) => write!(f, "{}:{}s", self.scenario.name(), time.as_secs_f64()),
        }
    }
}

impl Asked {
    /// The longest that it can take: a step that takes longer than its own deadlines has failed. The
    /// board's deadline and the run's grow by it, so that deadlines nest.
    pub fn longest(&self, deadlines: &Deadlines) -> Duration {
        let Deadlines { reply, connect, broker, .. } = *deadlines;
        let step = match self.scenario {
            Scenario::Handshake => connect + reply * 3 + SETTLES,
            Scenario::Page => reply * 3,
            Scenario::Payload => reply * 2 + SETTLES,
            Scenario::Reconnect | Scenario::Soak => broker + connect + reply * 3 + SETTLES,
        };
        match self.length {
            Length::Steps(steps) => step * steps + step,
            Length::For(time) => time + step * 2,
        }
    }

    /// How much of it, in words.
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
    /// How many samples the slopes are of: those behind the first ones ([`WARM_UP`]).
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
    fn deadlines_nest_with_scenarios_between_them() {
        let second = Duration::from_secs(1);
        let deadlines = Deadlines {
            lock: second,
            flash: second,
            boot: second,
            reply: second * 5,
            connect: second * 20,
            broker: second * 30,
            board: second * 180,
            run: second * 600,
        };
        for scenario in Scenario::ALL {
            assert_eq!(Scenario::from_name(scenario.name()), Some(scenario));
            for steps in [FEWEST_STEPS, 20, 100_000] {
                let asked = Asked { scenario, length: Length::Steps(steps) };
                // The least that a step waits for is a reply, and that is not cut short.
                assert!(asked.longest(&deadlines) > deadlines.reply * 2 * steps, "{asked}");
            }
            let asked = Asked { scenario, length: Length::For(second * 600) };
            assert!(asked.longest(&deadlines) > second * 600, "{asked}");
        }
        let soak = Asked { scenario: Scenario::Soak, length: Length::For(second * 600) };
        // A restart that is begun at the last moment.
        assert!(soak.longest(&deadlines) >= second * (600 + 30 + 20 + 5));
        assert_eq!(soak.to_string(), "soak:600s");
        assert_eq!(FEWEST_STEPS, 9);
    }
}
