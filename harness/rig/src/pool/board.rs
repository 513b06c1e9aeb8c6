//! One board of a pool, from its start to its verdict, whatever happens to the run.

use std::time::{Duration, Instant};

use hilrig_core::board::ConsoleSink;
use hilrig_core::event::What;
use hilrig_core::phase::Phase;
use hilrig_core::units::Span;
use hilrig_core::verdict::Verdict;
use tokio::sync::watch;

use super::halt::{Halt, in_phase};
use super::{judge, network, proof};
use crate::callers;
use crate::crashes;
use crate::job::Job;
use crate::restart_check;
use crate::session::Session;
use crate::stop::Stop;

/// Runs the job on the session's board, finds the cause of a failure, judges and releases the board.
pub(super) async fn run(
    session: Session<'_>,
    job: &dyn Job,
    mut record: Box<dyn ConsoleSink>,
    mut halted: watch::Receiver<Option<Halt>>,
) -> Verdict {
    let since = Instant::now();
    let plan = session.plan();
    let facts = session.board.lock().await.facts();
    session.emit(What::BoardStarted(facts));
    let deadline = job.deadline(plan);
    let stop = tokio::select! {
        done = with_power_cycle(&session, job, &mut *record) => done.err(),
        halt = halted.wait_for(Option::is_some) => {
            let halt = halt.ok().and_then(|halt| halt.clone());
            Some(halt.map_or_else(
                || Stop::Rig("the run ended".into()),
                |halt| halt.stop(&session.journal),
            ))
        }
        found = session.shared.broker.gone() => {
            Some(Stop::Rig(in_phase(&session.journal, &found)))
        }
        error = session.time.serve() => {
            Some(Stop::Rig(format!("the board's time server broke down: {error}")))
        }
        () = tokio::time::sleep(deadline) => Some(late(&session, deadline)),
    };
    session.console.closed();
    session.participant.leave();
    let stop = match stop {
        Some(Stop::Failed(why)) => Some(blamed(&session, why, &mut halted).await),
        other => other,
    };
    if session.log.has_begun() {
        session.log.finish();
        crashes::report(&session.journal, &session.log, session.elf()).await;
        callers::report(&session.journal, session.elf(), plan.wrappers()).await;
    }
    let reason =
        |stop| crashes::reason(&session.journal, restart_check::reason(&session.journal, stop));
    let stop = stop.map(reason);
    session.journal.end_phase(stop.as_ref());
    judge::at_the_end(&session, job, stop.as_ref());
    session.board.lock().await.release().await;
    let (verdict, why) = match (judge::verdict(&session.journal, stop), record.fault()) {
        ((Verdict::Passed, _), Some(fault)) => (Verdict::RigFault, Some(fault)),
        (judged, _) => judged,
    };
    session.emit(What::BoardEnded { verdict, seconds: since.elapsed().as_secs_f64(), why });
    verdict
}

/// Runs the job. A silent board is power-cycled and runs the job again, once: if a power cycle helps, the first one
/// does.
async fn with_power_cycle(
    session: &Session<'_>,
    job: &dyn Job,
    record: &mut dyn ConsoleSink,
) -> Result<(), Stop> {
    match with_console(session, job, record).await {
        Err(Stop::Silent(why)) => {
            power_cycle(session, &why).await?;
            match with_console(session, job, record).await {
                Err(Stop::Silent(why)) => {
                    Err(Stop::Rig(format!("{why}. A power cycle did not help")))
                }
                done => done,
            }
        }
        done => done,
    }
}

async fn power_cycle(session: &Session<'_>, why: &str) -> Result<(), Stop> {
    let Some(line) = session.board.lock().await.power() else {
        return Err(Stop::Rig(format!(
            "{why}. It has no power line ([board.power]), so it could not be switched off and on"
        )));
    };
    session.journal.end_phase(Some(&Stop::Silent(why.to_owned())));
    session.note(format!("no sign of life, so it is switched off and on by {line}"));
    session.power_cycle().await.map_err(|stop| {
        Stop::Rig(format!("{why}. It was to be switched off and on: {}", stop.why()))
    })
}

/// Runs the job once, and reads the board's console meanwhile. A port that goes away ends the job.
async fn with_console(
    session: &Session<'_>,
    job: &dyn Job,
    record: &mut dyn ConsoleSink,
) -> Result<(), Stop> {
    let Session { journal, log, .. } = session;
    let job = async {
        let done = job.run(session).await;
        // The dump of a crash, or the start that explains what failed, may be on its way.
        if let Err(Stop::Failed(_) | Stop::Crashed(_)) = done {
            session.settle_after_failure().await;
        }
        done
    };
    let done = tokio::select! {
        done = job => done,
        stop = session.read_console(record) => Err(stop),
        never = crashes::report_all(journal, log, session.elf()) => match never {},
        never = callers::report_all(journal, log, session.elf(), session.plan().wrappers()) => {
            match never {}
        }
    };
    session.console.closed();
    done
}

/// The board's deadline passed. The cause depends on what it waited for.
fn late(session: &Session<'_>, deadline: Duration) -> Stop {
    let why = format!("the board was not through within {}", Span(deadline));
    let why = in_phase(&session.journal, &why);
    match session.journal.now_in() {
        // The board's work had not started: another run had the board, or its power was off.
        None | Some(Phase::Lock) => Stop::Rig(why),
        Some(_) if session.journal.waits_for_others() => Stop::Rig(format!(
            "{why}; it waited for the other boards, to have the broker restarted"
        )),
        Some(_) => Stop::Failed(why),
    }
}

/// Before the rig blames the board, it proves its own side.
async fn blamed(
    session: &Session<'_>,
    why: String,
    halted: &mut watch::Receiver<Option<Halt>>,
) -> Stop {
    // An interrupt does not wait for a proof.
    let dead = tokio::select! {
        dead = proof::dead(session) => dead,
        _ = halted.wait_for(Option::is_some) => None,
    };
    if let Some(dead) = dead {
        let why = format!("{dead}. Seen as: {why}");
        return Stop::Rig(in_phase(&session.journal, &why));
    }
    if let Some(text) = network::seen(session) {
        session.note(text);
    }
    match session.board.lock().await.stuck().await {
        None => Stop::Failed(why),
        Some(stuck) => {
            session.note(&*stuck);
            Stop::Failed(format!("{why}; {stuck}"))
        }
    }
}
