//! The scenarios that a run is asked for.

use hilrig_core::config::Config;
use hilrig_core::contract::Contract;
use hilrig_core::scenario::{Length, Scenario, ScenarioRun};
use hilrig_core::units::Span;

use crate::error::Error;
use crate::scenario::spec;

/// The scenarios that a run is asked for, and what replaces the configuration's length of them.
#[derive(Clone, Debug, Default)]
pub struct ScenarioSelection {
    /// Which.
    pub scenarios: Vec<Scenario>,
    /// Steps of each scenario that has steps.
    pub steps: Option<u32>,
    /// How long a soak goes on.
    pub soak: Option<Span>,
}

/// Each selected scenario once, in the order they are named.
///
/// # Errors
/// The contract does not describe what a scenario needs.
pub fn scenarios(
    selection: &ScenarioSelection,
    config: &Config,
    contract: &Contract,
) -> Result<Vec<ScenarioRun>, Error> {
    let mut asked: Vec<ScenarioRun> = Vec::new();
    for &scenario in &selection.scenarios {
        if asked.iter().any(|asked| asked.scenario == scenario) {
            continue;
        }
        let spec = spec(scenario);
        if let Some(missing) = (spec.missing)(contract) {
            return Err(Error::usage(format!(
                "{}: the scenario {} needs {missing}",
                config.contract.path.display(),
                scenario.name()
            )));
        }
        let mut length = config.scenarios.length(scenario).unwrap_or(spec.default_length);
        match (&mut length, selection.steps, selection.soak) {
            (Length::Steps(steps), Some(count), _) => *steps = count,
            (Length::For(time), _, Some(span)) => *time = span.0,
            _ => {}
        }
        asked.push(ScenarioRun { scenario, length });
    }
    Ok(asked)
}
