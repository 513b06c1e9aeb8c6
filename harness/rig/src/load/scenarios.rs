//! The scenarios that a run is asked for.

use hilrig_core::config::Config;
use hilrig_core::contract::Contract;
use hilrig_core::scenario::{Asked, Length, Scenario};

use crate::args;
use crate::error::Failure;

/// Each once, in the order in which they are named.
///
/// # Errors
/// The contract does not tell what a scenario needs.
pub fn asked(
    args: &args::Scenarios,
    config: &Config,
    contract: &Contract,
) -> Result<Vec<Asked>, Failure> {
    let mut asked: Vec<Asked> = Vec::new();
    for scenario in args.scenario.iter().map(|name| Scenario::from(*name)) {
        if asked.iter().any(|asked| asked.scenario == scenario) {
            continue;
        }
        if let Some(missing) = missing(scenario, contract) {
            return Err(Failure::usage(format!(
                "{}: the scenario {} needs {missing}",
                config.contract.path.display(),
                scenario.name()
            )));
        }
        let mut of = config.scenarios.of(scenario);
        match (&mut of.length, args.count, args.soak_for) {
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
