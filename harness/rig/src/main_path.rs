//! The main path: the built-in job. It reads top to bottom.

mod configuration;
mod mqtt_mode;
mod refusal;

use std::time::Duration;

use async_trait::async_trait;
use hilrig_core::check::Check;
use hilrig_core::phase::Phase;
use hilrig_core::plural::counted;

use crate::check_spec::CheckSpec;
use crate::job::{Ended, Job};
use crate::plan::Plan;
use crate::restart_check;
use crate::scenario;
use crate::session::Session;
use crate::session::bring_up::BOOTED;
use crate::stop::Stop;

/// The main path of a board: lock, flash, boot, configuration mode, refusal of a wrong CA, switch to MQTT mode,
/// MQTT mode, switch back. The plan's scenarios run between its phases.
#[derive(Clone, Copy, Debug, Default)]
pub struct MainPath;

#[async_trait(?Send)]
impl Job for MainPath {
    fn checks(&self, plan: &Plan) -> Vec<CheckSpec> {
        [
            vec![BOOTED],
            configuration::checks(&plan.contract),
            vec![refusal::REFUSAL],
            mqtt_mode::CHECKS.to_vec(),
            scenario::checks(plan),
        ]
        .concat()
    }

    fn deadline(&self, plan: &Plan) -> Duration {
        plan.deadlines.board + scenario::longest_of(plan)
    }

    async fn run(&self, session: &Session<'_>) -> Result<(), Stop> {
        session.bring_up().await?;
        tokio::select! {
            done = modes(session) => done,
            stop = restart_check::unasked(&session.journal, &session.log) => Err(stop),
        }
    }

    fn judge(&self, session: &Session<'_>, ended: &Ended<'_>) {
        judge_heap_in_memory(session);
        judge_floors(session, ended);
    }
}

async fn modes(session: &Session<'_>) -> Result<(), Stop> {
    session.read_heap().await?;
    let broker = session.phase(Phase::Configuration, configuration::run(session)).await?;
    session.read_heap().await?;
    scenario::in_configuration_mode(session).await?;
    session.phase(Phase::Refusal, refusal::run(session, &broker)).await?;
    session.read_heap().await?;
    // The phases `switch`, `mqtt` and `switch_back`.
    mqtt_mode::run(session, &broker).await
}

/// Heap figures in memory, where a debug probe read them, agree with those of the firmware.
fn judge_heap_in_memory(session: &Session<'_>) {
    const AGREES: CheckSpec = CheckSpec::new(
        "heap.memory",
        "heap figures in memory agree with those that the firmware reports",
    );
    if let (compared @ 1.., wrong) = session.journal.heap_reads() {
        let found =
            wrong.as_ref().map_or_else(|| format!("{compared} of {compared}"), String::clone);
        session.check(AGREES.outcome(wrong.is_none(), found));
    }
}

/// The lowest free heap of each phase that has a floor.
fn judge_floors(session: &Session<'_>, ended: &Ended<'_>) {
    let lows = session.journal.lows();
    for (phase, floor) in session.plan().floors.get(&session.kind()).into_iter().flatten() {
        let id = format!("heap.{}", phase.name());
        let title = format!("lowest free heap, {}: at least {floor} B", phase.name());
        session.check(match lows.get(*phase) {
            None if ended.stop.is_some() => Check::skipped(id, title, ended.not_reached),
            None => Check::not_measured(id, title, "the board reported no figure for this phase"),
            Some(low) => {
                let found = format!("{} B in {}", low.lowest_free, counted(low.samples, "sample"));
                Check::of(id, title, low.lowest_free >= *floor, found)
            }
        });
    }
}
