//! A run: one job on every board.

use hilrig_core::event::Events;

use crate::job::Job;
use crate::plan::{Member, Plan};
use crate::pool::{BoardsEnded, Pool, RunOutcome};
use crate::run_broker::RunBroker;

/// Runs the job, such as the [main path](crate::MainPath), on every member. `stop` resolves, with the reason, when
/// the run is to end early. `record_fault` returns why the record is incomplete, if it is.
pub async fn run(
    plan: &Plan,
    members: Vec<Member>,
    job: &dyn Job,
    broker: &mut RunBroker,
    events: &Events,
    stop: impl Future<Output = String>,
    record_fault: impl Fn() -> Option<String>,
) -> RunOutcome {
    let pool = Pool { plan, events, broker: Some(broker) };
    let work = members.into_iter().map(|member| (member, job)).collect();
    pool.run(work, stop, record_fault, BoardsEnded::outcome).await
}
