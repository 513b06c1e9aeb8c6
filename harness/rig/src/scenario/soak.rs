//! `soak`: requests, messages, connections and restarts of the broker for a time, in an order that depends on the
//! seed. The order is the same for all boards of a pool, because they wait for each other before a restart. The
//! configuration page is not included: a switch of mode resets the chip, and a reset frees all heap.

use std::time::Duration;

use hilrig_core::contract::Request;
use hilrig_core::scenario::{Length, Scenario};

use super::entry::{Run, ScenarioEntry};
use super::handshake::handshake;
use super::heap::{heap_over_mqtt, settled_heap};
use super::payload::{largest_payload, payload, random_size, seeded};
use super::reconnect::reconnect;
use super::spec::{ScenarioSpec, missing_client_id, missing_heap, missing_largest};
use super::steps::{SETTLES, Steps};
use crate::check_spec::CheckSpec;
use crate::replies::mismatch;
use crate::session::Session;
use crate::session::mqtt_mode::Online;
use crate::stop::Stop;

pub(super) static SOAK: ScenarioEntry = ScenarioEntry {
    spec: ScenarioSpec {
        name: Scenario::Soak,
        check: CheckSpec::new(
            "scenario.soak",
            "a mixed load: every step works, and the free heap does not fall",
        ),
        default_length: Length::For(Duration::from_secs(600)),
        restarts_broker: true,
        each: "step",
        extra_steps: 0,
        mixed: true,
        step_takes: |deadlines| {
            deadlines.broker + deadlines.connect + deadlines.reply * 3 + SETTLES
        },
        missing: |contract| {
            missing_heap(contract).or(missing_client_id(contract)).or(missing_largest(contract))
        },
    },
    run: Run::InMqttMode(|session, steps, online| Box::pin(run(session, steps, online))),
};

/// Of so many steps, one is a restart and two are connections on average.
const STEPS: u64 = 16;

async fn run(session: &Session<'_>, steps: &Steps, online: &mut Online) -> Result<(), Stop> {
    steps.begin(heap_over_mqtt(session, online).await?);
    let requests = &session.contract().requests;
    let largest = largest_payload(session, online)?;
    let mut random = seeded(session, steps);
    while steps.more() {
        match random.below(STEPS) {
            0 => reconnect(session, steps, online).await?,
            1..3 => handshake(session, steps, online).await?,
            3..8 => {
                let size = random_size(largest, &mut random);
                payload(session, steps, size, &mut random, online).await?;
            }
            _ => {
                let which = random.below(requests.len() as u64) as usize;
                request(session, steps, &requests[which], online).await?;
            }
        }
    }
    Ok(())
}

/// A request of the contract as a step.
async fn request(
    session: &Session<'_>,
    steps: &Steps,
    request: &Request,
    online: &mut Online,
) -> Result<(), Stop> {
    let reply = session.mqtt_request(online, request).await?;
    if let Some(wrong) = mismatch(request, &reply) {
        return Err(Stop::Failed(wrong));
    }
    let free = settled_heap(session, steps, online).await?;
    steps.done(&session.journal, format!("the request {}", request.request), free);
    Ok(())
}
