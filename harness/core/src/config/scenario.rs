//! The length of each scenario, `[scenario.*]`.

use std::time::Duration;

use toml::Spanned;

use super::{Resolver, written};
use crate::place::FileError;
use crate::scenario::{Asked, FEWEST_STEPS, Length, Scenario};

/// The length of each scenario where the command line gives none.
#[derive(Clone, Copy, Debug)]
pub struct ScenarioConfig {
    /// TLS connections.
    pub handshake: u32,
    /// Requests for the page in a row, and then at once.
    pub page: u32,
    /// MQTT messages.
    pub payload: u32,
    /// Restarts of the broker.
    pub reconnect: u32,
    /// Duration of the mixed load.
    pub soak: Duration,
}

impl ScenarioConfig {
    /// A scenario with the configured length.
    pub fn of(&self, scenario: Scenario) -> Asked {
        let length = match scenario {
            Scenario::Handshake => Length::Steps(self.handshake),
            Scenario::Page => Length::Steps(self.page),
            Scenario::Payload => Length::Steps(self.payload),
            Scenario::Reconnect => Length::Steps(self.reconnect),
            Scenario::Soak => Length::For(self.soak),
        };
        Asked { scenario, length }
    }
}

impl Resolver<'_> {
    pub(super) fn scenarios(&self, raw: &written::Scenario) -> Result<ScenarioConfig, FileError> {
        let steps = |key: &written::Steps| match &key.count {
            Some(count) if *count.get_ref() < FEWEST_STEPS => Err(self.wrong(
                count.span(),
                format!(
                    "{count} steps are too few to tell a leak by; {FEWEST_STEPS} are the fewest",
                    count = count.get_ref()
                ),
            )),
            count => Ok(count.as_ref().map_or(20, |count| *count.get_ref())),
        };
        let time = raw.soak.time.as_ref().map(Spanned::get_ref);
        Ok(ScenarioConfig {
            handshake: steps(&raw.handshake)?,
            page: steps(&raw.page)?,
            payload: steps(&raw.payload)?,
            reconnect: steps(&raw.reconnect)?,
            soak: time.map_or(Duration::from_secs(600), |span| span.0),
        })
    }
}
