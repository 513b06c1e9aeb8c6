//! Runs a certification: many boards run the cases of one or several brokers.

use hilrig_core::verdict::Verdict;

use super::on_board::BoardCases;
use super::shared::{Certification, Shared};
use super::work::BoardWork;
use hilrig::Job;
use hilrig::Member;
use hilrig::{BoardsEnded, Pool, RunOutcome};

/// Runs the certification. `stop` and `record_fault` are as for a run. `not_met` returns the requirements that are not
/// met; it is called after the last case's event. The result of each case is reported by an event.
pub async fn certify(
    what: &Certification<'_>,
    members: Vec<Member>,
    stop: impl Future<Output = String>,
    record_fault: impl Fn() -> Option<String>,
    not_met: impl Fn() -> Option<String>,
) -> RunOutcome {
    let all = Shared::new(what, &members);
    let jobs: Vec<BoardCases<'_>> = members
        .iter()
        .map(|member| BoardCases { all: &all, work: BoardWork::new(member.board.name()) })
        .collect();
    let work = members.into_iter().zip(jobs.iter().map(|job| job as &dyn Job)).collect();
    let pool = Pool { plan: what.plan, events: what.events, broker: None };
    let outcome = |ended: BoardsEnded| {
        all.end(ended.why.as_deref());
        let verdict = all.verdict(ended.why.is_some());
        let why = ended.why.or(all.broken.take().filter(|_| verdict == Verdict::RigFault));
        let why = why.or(all.refused.take());
        match (verdict, not_met()) {
            (Verdict::Passed, Some(why)) => RunOutcome { verdict: Verdict::Failed, why: Some(why) },
            _ => RunOutcome { verdict, why },
        }
    };
    pool.run(work, stop, record_fault, outcome).await
}
