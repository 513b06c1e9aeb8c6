//! What a scenario declares of itself.

use std::time::Duration;

use hilrig_core::config::Deadlines;
use hilrig_core::contract::Contract;
use hilrig_core::scenario::{Length, Scenario};

use crate::check_spec::CheckSpec;

/// What a scenario declares of itself.
#[derive(Debug)]
pub struct ScenarioSpec {
    /// Its name, as in records.
    pub name: Scenario,
    /// Its check.
    pub check: CheckSpec,
    /// Its length where neither command line nor configuration sets one.
    pub default_length: Length,
    /// It restarts the broker, which all boards of a pool share.
    pub restarts_broker: bool,
    /// What one step is, in one word.
    pub each: &'static str,
    /// Steps beyond those that were asked for.
    pub extra_steps: u32,
    /// The heap is also judged by reconnects and by hours.
    pub mixed: bool,
    /// The longest that one step can take.
    pub step_takes: fn(&Deadlines) -> Duration,
    /// What the scenario needs and the contract does not have, in words.
    pub missing: fn(&Contract) -> Option<&'static str>,
}

/// What every scenario needs of the contract: a request whose reply has the free heap.
pub(super) fn missing_heap(contract: &Contract) -> Option<&'static str> {
    contract.heap_request().is_none().then_some(
        "the free heap in a reply ([heap.reply] with `free`, its request among [[requests]])",
    )
}

/// What a scenario needs that connects under the board's own client id.
pub(super) fn missing_client_id(contract: &Contract) -> Option<&'static str> {
    contract
        .settings
        .client_id
        .is_none()
        .then_some("the form field of the MQTT client id (settings.client_id)")
}

/// What a scenario needs that sends messages up to the largest.
pub(super) fn missing_largest(contract: &Contract) -> Option<&'static str> {
    contract
        .largest_publish
        .is_none()
        .then_some("the largest message that the firmware accepts (mqtt.largest_publish)")
}
