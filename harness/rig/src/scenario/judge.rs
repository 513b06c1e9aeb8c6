//! The check of a scenario that did not get to its end.

use hilrig_core::check::{Check, CheckOutcome};
use hilrig_core::event::What;

use super::steps::Steps;
use crate::session::Session;
use crate::stop::Stop;

/// The current step of the scenario failed, if there is one: its check fails. Returns the check's id.
pub(crate) fn failed(session: &Session<'_>, why: &str) -> Option<String> {
    let steps = session.scenario.take()?;
    let check = &steps.spec().check;
    let found = format!("{}: {why}", steps.in_step());
    judged(session, &steps, check.outcome(false, found), None);
    Some(check.id.clone().into())
}

/// The job ended in the scenario under way, if there is one, by something else than its own step. If the bench or a
/// person stopped it, what was measured is judged. A crash or a restart is a check of its own.
pub(crate) fn stopped(session: &Session<'_>, stop: &Stop) {
    let Some(steps) = session.scenario.take() else { return };
    match stop {
        Stop::Failed(_) | Stop::Crashed(_) => {
            session.emit(What::Scenario(steps.found(CheckOutcome::NotHeld, None)));
        }
        Stop::Rig(why) | Stop::Silent(why) | Stop::Interrupted(why) => {
            judged(session, &steps, steps.check(true), Some(why.clone()));
        }
    }
}

pub(super) fn judged(session: &Session<'_>, steps: &Steps, check: Check, stopped: Option<String>) {
    session.emit(What::Scenario(steps.found(check.outcome, stopped)));
    session.check(check);
}
