//! `reconnect`: the broker goes away and comes back, with the same certificates, port and login. All boards of the
//! pool share it, so they wait for each other before each restart.

use hilrig_core::scenario::{Length, Scenario};

use super::entry::{Run, ScenarioEntry};
use super::heap::{heap_over_mqtt, online_again};
use super::spec::{ScenarioSpec, missing_heap};
use super::steps::{SETTLES, Steps};
use crate::check_spec::CheckSpec;
use crate::session::Session;
use crate::session::mqtt_mode::Online;
use crate::stop::Stop;

pub(super) static RECONNECT: ScenarioEntry = ScenarioEntry {
    spec: ScenarioSpec {
        name: Scenario::Reconnect,
        check: CheckSpec::new(
            "scenario.reconnect",
            "restarts of the broker: every step works, and the free heap does not fall",
        ),
        default_length: Length::Steps(20),
        restarts_broker: true,
        each: "reconnect",
        extra_steps: 0,
        mixed: false,
        step_takes: |deadlines| {
            deadlines.broker + deadlines.connect + deadlines.reply * 3 + SETTLES
        },
        missing: missing_heap,
    },
    run: Run::InMqttMode(|session, steps, online| Box::pin(run(session, steps, online))),
};

async fn run(session: &Session<'_>, steps: &Steps, online: &mut Online) -> Result<(), Stop> {
    steps.begin(heap_over_mqtt(session, online).await?);
    while steps.more() {
        reconnect(session, steps, online).await?;
    }
    Ok(())
}

/// One restart.
pub(super) async fn reconnect(
    session: &Session<'_>,
    steps: &Steps,
    online: &mut Online,
) -> Result<(), Stop> {
    let mark = session.mark();
    let journal = &session.journal;
    journal.doing("waited for the other boards and the broker's restart");
    let mqtt = online.link().mqtt.clone();
    mqtt.away();
    journal.waiting_for_others(session.participant.wait_for_restart()).await;
    journal.waiting(mqtt.renewed()).await.map_err(Stop::Rig)?;
    let free = online_again(session, steps, online, mark).await?;
    steps.done(journal, "a restart of the broker", free);
    Ok(())
}
