//! `payload`: MQTT messages of random bytes, up to and over the largest that the firmware accepts. The firmware must
//! refuse them, or drop those that are too large, and keep running.

use hilrig_core::scenario::{Length, Scenario};
use hilrig_core::seeded::Seeded;

use super::entry::{Run, ScenarioEntry};
use super::heap::{heap_over_mqtt, settled_heap};
use super::spec::{ScenarioSpec, missing_heap, missing_largest};
use super::steps::{SETTLES, Steps};
use crate::check_spec::CheckSpec;
use crate::session::Session;
use crate::session::mqtt_mode::Online;
use crate::stop::Stop;

pub(super) static PAYLOAD: ScenarioEntry = ScenarioEntry {
    spec: ScenarioSpec {
        name: Scenario::Payload,
        check: CheckSpec::new(
            "scenario.payload",
            "MQTT messages up to the buffer and over it: every step works, and the free heap does not fall",
        ),
        default_length: Length::Steps(20),
        restarts_broker: false,
        each: "message",
        extra_steps: 0,
        mixed: false,
        step_takes: |deadlines| deadlines.reply * 2 + SETTLES,
        missing: |contract| missing_heap(contract).or(missing_largest(contract)),
    },
    run: Run::InMqttMode(|session, steps, online| Box::pin(run(session, steps, online))),
};

/// Far larger than any buffer of a board, and smaller than the broker's limit, 64 KiB. Bytes.
const FAR_OVER: [usize; 2] = [4096, 32 * 1024];

async fn run(session: &Session<'_>, steps: &Steps, online: &mut Online) -> Result<(), Stop> {
    steps.begin(heap_over_mqtt(session, online).await?);
    let mut random = seeded(session, steps);
    let largest = largest_payload(session, online)?;
    let mut edges = edges(largest).into_iter();
    while steps.more() {
        let size = edges.next().unwrap_or_else(|| random_size(largest, &mut random));
        payload(session, steps, size, &mut random, online).await?;
    }
    Ok(())
}

/// One message, and the check that the board still runs.
pub(super) async fn payload(
    session: &Session<'_>,
    steps: &Steps,
    size: usize,
    random: &mut Seeded,
    online: &mut Online,
) -> Result<(), Stop> {
    let refusal = session.contract().invalid.reply.as_ref();
    let fits = size <= largest_payload(session, online)?;
    let text = format!("a message of {size} B");
    online.publish(random.bytes(size)).await?;
    online.may_be_refused(refusal.cloned());
    let free = settled_heap(session, steps, online).await.map_err(|stop| match stop {
        Stop::Failed(why) => Stop::Failed(format!("{text}: {why}")),
        stop => stop,
    })?;
    let refused = online.was_refused();
    if fits && refusal.is_some() && !refused {
        return Err(Stop::Failed(format!("{text} was not refused, and it fits")));
    }
    let how = if refused { "refused" } else { "dropped" };
    steps.done(&session.journal, format!("{text}, {how}"), free);
    Ok(())
}

/// The largest payload that the firmware accepts on the board's topic, bytes.
pub(super) fn largest_payload(session: &Session<'_>, online: &Online) -> Result<usize, Stop> {
    let largest = session.contract().largest_publish.ok_or_else(|| {
        let why = "the contract does not say what the firmware takes (mqtt.largest_publish)";
        Stop::Rig(why.into())
    })?;
    Ok(largest.saturating_sub(2 + online.topic().len()))
}

/// The scenario's random generator.
pub(super) fn seeded(session: &Session<'_>, steps: &Steps) -> Seeded {
    Seeded::new(session.plan().seed, steps.spec().name.name())
}

/// The sizes that are always included.
fn edges(largest: usize) -> Vec<usize> {
    let mut edges = vec![0, 1, largest.saturating_sub(1), largest, largest + 1, 2 * largest];
    edges.extend(FAR_OVER);
    edges
}

/// A size up to twice the largest.
pub(super) fn random_size(largest: usize, random: &mut Seeded) -> usize {
    random.below(2 * largest as u64 + 1) as usize
}
