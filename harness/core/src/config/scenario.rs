//! The length of each scenario, `[scenario.*]`.

use std::collections::BTreeMap;

use super::{Resolver, written};
use crate::place::FileError;
use crate::scenario::{FEWEST_STEPS, Length, Scenario};

/// The lengths of the scenarios that the configuration sets. The command line goes before them, and each scenario
/// has a default.
#[derive(Clone, Debug, Default)]
pub struct ScenarioConfig {
    lengths: BTreeMap<Scenario, Length>,
}

impl ScenarioConfig {
    /// The length of a scenario, if it is set.
    pub fn length(&self, scenario: Scenario) -> Option<Length> {
        self.lengths.get(&scenario).copied()
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
            count => Ok(count.as_ref().map(|count| Length::Steps(*count.get_ref()))),
        };
        let time = raw.soak.time.as_ref().map(|span| Length::For(span.get_ref().0));
        let written = [
            (Scenario::Handshake, steps(&raw.handshake)?),
            (Scenario::Page, steps(&raw.page)?),
            (Scenario::Payload, steps(&raw.payload)?),
            (Scenario::Reconnect, steps(&raw.reconnect)?),
            (Scenario::Soak, time),
        ];
        let set = |(scenario, length): (Scenario, Option<Length>)| Some((scenario, length?));
        Ok(ScenarioConfig { lengths: written.into_iter().filter_map(set).collect() })
    }
}
