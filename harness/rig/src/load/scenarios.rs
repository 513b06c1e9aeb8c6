//! The scenarios that a run is asked for.

use hilrig_core::config::Config;
use hilrig_core::contract::Contract;
use hilrig_core::scenario::{Asked, Length, Scenario};
use hilrig_core::units::Span;

use crate::Error;

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
) -> Result<Vec<Asked>, Error> {
    let mut asked: Vec<Asked> = Vec::new();
    for &scenario in &selection.scenarios {
        if asked.iter().any(|asked| asked.scenario == scenario) {
            continue;
        }
        if let Some(missing) = missing(scenario, contract) {
            return Err(Error::usage(format!(
                "{}: the scenario {} needs {missing}",
                config.contract.path.display(),
                scenario.name()
            )));
        }
        let mut of = config.scenarios.of(scenario);
        match (&mut of.length, selection.steps, selection.soak) {
            (Length::Steps(steps), Some(count), _) => *steps = count,
            (Length::For(time), _, Some(span)) => *time = span.0,
            _ => {}
        }
        asked.push(of);
    }
    Ok(asked)
}

/// What the contract does not tell.
fn missing(scenario: Scenario, contract: &Contract) -> Option<&'static str> {
    let in_mqtt_mode = matches!(scenario, Scenario::Handshake | Scenario::Soak);
    if contract.heap_request().is_none() {
        return Some(
            "the free heap in a reply ([heap.reply] with `free`, its request among [[requests]])",
        );
    }
    if in_mqtt_mode && contract.settings.client_id.is_none() {
        return Some("the form field of the MQTT client id (settings.client_id)");
    }
    if matches!(scenario, Scenario::Payload | Scenario::Soak) && contract.largest_publish.is_none()
    {
        return Some("the largest message that the firmware takes (mqtt.largest_publish)");
    }
    None
}
