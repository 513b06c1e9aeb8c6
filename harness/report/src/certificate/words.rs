//! The words for cases, the same in every report.

use hilrig_core::certify::certificate::{CaseResult, Outcome, Verdict};

/// How an outcome stands to what was expected.
pub(crate) fn verdict_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::NotHeld => "not held",
        Verdict::Reported => "reported",
        Verdict::NotRun => "not run",
    }
}

/// What came of a case.
pub(crate) fn outcome_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Connected => "connected",
        Outcome::Refused => "refused",
        Outcome::Measured => "measured",
        Outcome::NotRun => "not run",
        Outcome::Broken => "broken",
    }
}

/// What came of a case and why, in a line.
pub(crate) fn came_of(case: &CaseResult) -> String {
    let mut text = outcome_words(case.outcome).to_owned();
    if let Some(reason) = case.reason {
        text += &format!(" ({reason})");
    }
    if let Some(why) = &case.why {
        text += &format!(": {why}");
    }
    text
}
