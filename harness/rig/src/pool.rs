//! The pool: runs a job on each of many boards at once, with one broker, and an end that always comes.
//!
//! Runs, certifications and users' tests all go through it. It is the only place that ends boards and runs: their
//! events, deadlines, interrupts, the power cycle of a silent board, and the check of the rig's own side before a
//! board is blamed.

mod board;
mod broker;
pub mod halt;
mod judge;
mod network;
mod proof;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hilrig_core::event::{Events, What};
use hilrig_core::exit;
use hilrig_core::units::Span;
use hilrig_core::verdict::Verdict;
use tokio::sync::watch;

use self::halt::Halt;
use crate::broker_link::{BrokerState, BrokerWatch};
use crate::job::Job;
use crate::plan::{Member, Plan};
use crate::pool_shared::PoolShared;
use crate::restart_barrier::RestartBarrier;
use crate::run_broker::RunBroker;
use crate::session::Session;
use crate::time_server::TimeServer;
use crate::topics::Topics;
use crate::watch::Patterns;

/// A pool of boards.
pub struct Pool<'a> {
    /// What all of its jobs share.
    pub plan: &'a Plan,
    /// Where events go.
    pub events: &'a Events,
    /// The broker of all boards; `None` where the jobs have brokers of their own.
    pub broker: Option<&'a mut RunBroker>,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOutcome {
    /// Over all boards.
    pub verdict: Verdict,
    /// Why it ended early.
    pub why: Option<String>,
}

/// How the boards of a pool ended.
#[derive(Debug)]
pub struct BoardsEnded {
    /// The verdict on each board, in the order of their ends.
    pub verdicts: Vec<Verdict>,
    /// Why the pool ended early.
    pub why: Option<String>,
    /// It ended early because it was interrupted.
    pub interrupted: bool,
}

impl BoardsEnded {
    /// The result of a run that is judged by its boards.
    pub fn outcome(self) -> RunOutcome {
        let verdict = match Verdict::of_run(self.verdicts) {
            // It judged less than it was asked for.
            Verdict::Passed | Verdict::Skipped if self.interrupted => Verdict::RigFault,
            verdict => verdict,
        };
        RunOutcome { verdict, why: self.why }
    }
}

impl Pool<'_> {
    /// Runs each job on its board. `stop` resolves, with the reason, when the run is to end early. `outcome` judges
    /// the run by its boards ([`BoardsEnded::outcome`] does), after the last of them and before the run's last event.
    /// `record_fault` returns why the record is incomplete, if it is: a run with an incomplete record has not passed.
    ///
    /// In every case the broker is stopped and the event `run_ended` comes last.
    pub async fn run(
        mut self,
        work: Vec<(Member, &dyn Job)>,
        stop: impl Future<Output = String>,
        record_fault: impl Fn() -> Option<String>,
        outcome: impl FnOnce(BoardsEnded) -> RunOutcome,
    ) -> RunOutcome {
        let ended = match self.boards(work, stop).await {
            Ok(ended) => ended,
            Err(why) => BoardsEnded {
                verdicts: vec![Verdict::RigFault],
                why: Some(why),
                interrupted: false,
            },
        };
        if let Some(broker) = &mut self.broker {
            broker.stop().await;
        }
        let mut outcome = outcome(ended);
        if let (Verdict::Passed, Some(fault)) = (outcome.verdict, record_fault()) {
            outcome = RunOutcome { verdict: Verdict::RigFault, why: Some(fault) };
        }
        self.events.run(What::RunEnded {
            verdict: outcome.verdict,
            exit_code: exit::of(outcome.verdict),
            seconds: self.events.start().elapsed().as_secs_f64(),
            why: outcome.why.clone(),
        });
        outcome
    }

    /// All boards, each from its start to its verdict.
    async fn boards(
        &mut self,
        work: Vec<(Member, &dyn Job)>,
        stop: impl Future<Output = String>,
    ) -> Result<BoardsEnded, String> {
        let (plan, events) = (self.plan, self.events);
        let patterns = Rc::new(Patterns::new(&plan.contract).map_err(|error| error.to_string())?);
        let mut times = Vec::new();
        for _ in &work {
            let time = TimeServer::bind(plan.listen).await;
            times.push(
                time.map_err(|error| format!("binding a time server on {}: {error}", plan.listen))?,
            );
        }
        let (broker_state, broker_watch) = watch::channel(BrokerState::Starting);
        let (halt, halted) = watch::channel(None::<Halt>);
        let barrier = RestartBarrier::default();
        let shared = PoolShared {
            plan,
            events,
            patterns,
            topics: Topics::default(),
            macs: RefCell::new(BTreeMap::new()),
            broker: BrokerWatch(broker_watch),
        };
        let longest = work.iter().map(|(_, job)| job.deadline(plan)).max().unwrap_or_default();
        let mut boards: FuturesUnordered<_> = work
            .into_iter()
            .zip(times)
            .enumerate()
            .map(|(number, ((member, job), time))| {
                let Member { board, kind, record } = member;
                let session = Session::new(&shared, board, kind, number, barrier.join(), time);
                board::run(session, job, record, halted.clone())
            })
            .collect();
        let broker = async {
            match &mut self.broker {
                Some(broker) => {
                    let deadline = plan.deadlines.broker;
                    broker::serve(broker, deadline, events, &barrier, &broker_state).await;
                }
                // A send error is ignored: no task waits for a broker without its sender.
                None => drop(broker_state),
            }
            std::future::pending::<()>().await
        };
        let deadline = run_deadline(plan, longest);
        let late = tokio::time::sleep(deadline);
        tokio::pin!(broker, late, stop);

        let mut ended = BoardsEnded { verdicts: Vec::new(), why: None, interrupted: false };
        loop {
            let reason = tokio::select! {
                board = boards.next() => match board {
                    Some(verdict) => {
                        ended.verdicts.push(verdict);
                        continue;
                    }
                    None => return Ok(ended),
                },
                () = &mut broker => continue,
                reason = &mut stop, if ended.why.is_none() => Halt::Interrupted(reason),
                () = &mut late, if ended.why.is_none() => {
                    Halt::Fault(format!("the run's deadline of {} passed", Span(deadline)))
                }
            };
            ended.why = Some(reason.why().to_owned());
            ended.interrupted = matches!(reason, Halt::Interrupted(_));
            let _ = halt.send(Some(reason));
        }
    }
}

/// The run's deadline grows by the time that its longest job takes beyond a board's deadline, so that deadlines nest.
fn run_deadline(plan: &Plan, longest_job: Duration) -> Duration {
    plan.deadlines.run + longest_job.saturating_sub(plan.deadlines.board)
}
