//! A run: the main path on every board.

use hilrig_core::event::Events;

use crate::job::Job;
use crate::main_path::MainPath;
use crate::plan::{Member, Plan};
use crate::pool::bench_broker::BenchBroker;
use crate::pool::{BoardsEnded, Pool, RunOutcome};

/// Runs the [main path](MainPath) on every member. `stop` resolves, with the reason, when the run is to end early.
/// `record_fault` says why the record is not whole, if it is not.
pub async fn run(
    plan: &Plan,
    members: Vec<Member>,
    broker: &mut dyn BenchBroker,
    events: &Events,
    stop: impl Future<Output = String>,
    record_fault: impl Fn() -> Option<String>,
) -> RunOutcome {
    let pool = Pool { plan, events, broker: Some(broker) };
    let work = members.into_iter().map(|member| (member, &MainPath as &dyn Job)).collect();
    pool.run(work, stop, record_fault, BoardsEnded::outcome).await
}
