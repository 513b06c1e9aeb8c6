//! `handshake`: TLS connections in a row. The rig connects to the broker under the board's own client id, so the
//! broker closes the board's connection, and the board connects again.

use std::time::Duration;

use hilrig_core::scenario::{Length, Scenario};

use super::entry::{Run, ScenarioEntry};
use super::heap::{heap_over_mqtt, online_again};
use super::spec::{ScenarioSpec, missing_client_id, missing_heap};
use super::steps::{SETTLES, Steps};
use crate::check_spec::CheckSpec;
use crate::mqtt;
use crate::session::Session;
use crate::session::mqtt_mode::Online;
use crate::stop::Stop;

pub(super) static HANDSHAKE: ScenarioEntry = ScenarioEntry {
    spec: ScenarioSpec {
        name: Scenario::Handshake,
        check: CheckSpec::new(
            "scenario.handshake",
            "TLS connections in a row: every step works, and the free heap does not fall",
        ),
        default_length: Length::Steps(20),
        restarts_broker: false,
        each: "connection",
        extra_steps: 0,
        mixed: false,
        step_takes: |deadlines| deadlines.connect + deadlines.reply * 3 + SETTLES,
        missing: |contract| missing_heap(contract).or(missing_client_id(contract)),
    },
    run: Run::InMqttMode(|session, steps, online| Box::pin(run(session, steps, online))),
};

async fn run(session: &Session<'_>, steps: &Steps, online: &mut Online) -> Result<(), Stop> {
    steps.begin(heap_over_mqtt(session, online).await?);
    while steps.more() {
        handshake(session, steps, online).await?;
    }
    Ok(())
}

/// One connection.
pub(super) async fn handshake(
    session: &Session<'_>,
    steps: &Steps,
    online: &mut Online,
) -> Result<(), Stop> {
    let mark = session.mark();
    let deadline: Duration = session.plan().deadlines.connect;
    let id = session.client_id();
    let take_over = mqtt::take_over(&online.link().endpoint, &id, deadline);
    session.journal.waiting(take_over).await.map_err(Stop::Rig)?;
    let free = online_again(session, steps, online, mark).await?;
    steps.done(&session.journal, "a TLS connection", free);
    Ok(())
}
