//! The checks of every job at its end, and the verdict.

use hilrig_core::verdict::Verdict;

use crate::crashes;
use crate::job::{Ended, Job};
use crate::journal::Journal;
use crate::restart_check::{self, RESTARTS};
use crate::scenario::judge as scenario;
use crate::session::Session;
use crate::stop::Stop;

/// Notes what the job did not reach, crashes and restarts, and then has the job judge the rest.
pub(super) fn at_the_end(session: &Session<'_>, job: &dyn Job, stop: Option<&Stop>) {
    let failed = match stop {
        Some(Stop::Failed(why)) => failed_step(session, why),
        Some(Stop::Crashed(_)) => Some("crash".to_owned()),
        _ => None,
    };
    let not_reached = match (stop, &failed) {
        (None, _) => "the run did not get to it".to_owned(),
        (_, Some(id)) => format!("not reached: the check {id} failed"),
        (Some(Stop::Failed(_) | Stop::Crashed(_)), None) => {
            "not reached: the board failed before".to_owned()
        }
        (Some(Stop::Rig(_) | Stop::Silent(_)), _) => "not reached: the rig could not go on".into(),
        (Some(Stop::Interrupted(_)), _) => "not reached: the run was interrupted".into(),
    };
    if let Some(stop) = stop {
        scenario::stopped(session, stop);
    }
    let journal = &session.journal;
    for check in job.checks(session.plan()) {
        if !journal.has_check(&check.id) {
            journal.check(check.skipped(&not_reached));
        }
    }
    journal.check(crashes::check(journal, &session.log, &not_reached));
    journal.check(restart_check::check(journal, &session.log, &not_reached));
    job.judge(session, &Ended { stop, not_reached: &not_reached });
}

/// Notes the check of the step that failed as failed, with the expected and the actual result. Returns its id, or
/// that of the check that explains more: a restart is not the failure of a step.
fn failed_step(session: &Session<'_>, why: &str) -> Option<String> {
    let step = session.journal.take_step();
    if session.journal.restarts(|restarts| restarts.count()) > 0 {
        return Some(RESTARTS.id.into());
    }
    if let Some(id) = scenario::failed(session, why) {
        return Some(id);
    }
    let step = step?;
    session.check(step.outcome(false, why));
    Some(step.id.into())
}

/// The verdict on a board, and why it is not `passed`.
///
/// A check that was measured and failed is the board's failure even where the bench gave up later. A check that
/// the bench could not get to is not.
pub(super) fn verdict(journal: &Journal<'_>, stop: Option<Stop>) -> (Verdict, Option<String>) {
    match stop {
        Some(Stop::Rig(why) | Stop::Silent(why)) => match journal.first_measured_failure() {
            Some(failure) => (Verdict::Failed, Some(format!("{failure} (and the rig: {why})"))),
            None => (Verdict::RigFault, Some(why)),
        },
        Some(Stop::Interrupted(why)) => match journal.first_measured_failure() {
            Some(failure) => (Verdict::Failed, Some(format!("{failure} (and then: {why})"))),
            None => (Verdict::Skipped, Some(why)),
        },
        Some(Stop::Failed(why) | Stop::Crashed(why)) => (Verdict::Failed, Some(why)),
        None => match journal.first_not_passed() {
            Some(check) => (Verdict::Failed, Some(check)),
            None => (Verdict::Passed, None),
        },
    }
}
