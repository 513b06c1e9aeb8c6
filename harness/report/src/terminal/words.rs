//! The words for events, the same on every kind of terminal.

use hilrig_core::certify::certificate::Verdict as CaseVerdict;
use hilrig_core::certify::{CaseResult, CertifyStarted};
use hilrig_core::check::Check;
use hilrig_core::event::{BoardFacts, BrokerFacts, RunStarted};
use hilrig_core::plural::counted;
use hilrig_core::text::printable;
use hilrig_core::verdict::Verdict;

use super::style::TerminalStyle;
use crate::certificate::words as certificate;
use crate::model::{BoardEnd, FlashResult, outcome_words};

/// The most columns that a board's name takes where lines are aligned.
pub(super) const NAME_COLUMNS: usize = 24;

/// One line of text that is safe to show. A stream that is replayed may have been changed by
/// anyone.
pub(super) fn clean(text: &str) -> String {
    printable(text.as_bytes())
}

/// The lines of a message, each safe to show, with `indent` before all but the first.
pub(super) fn block(text: &str, indent: usize) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(clean).collect();
    lines.join(&format!("\n{:indent$}", ""))
}

/// `text` in exactly so many columns, with an ellipsis where it is too long.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let length = text.chars().count();
    if length > columns {
        let cut: String = text.chars().take(columns.saturating_sub(1)).collect();
        return cut + "\u{2026}";
    }
    format!("{text:<columns$}")
}

/// Columns for the names of these boards.
pub(super) fn name_columns<'a>(names: impl IntoIterator<Item = &'a str>) -> usize {
    names.into_iter().map(|name| clean(name).chars().count()).max().unwrap_or(0).min(NAME_COLUMNS)
}

pub(super) fn boards(count: usize) -> String {
    counted(count, "board")
}

pub(super) fn run(run: &RunStarted) -> String {
    let (hilrig, id) = (clean(&run.hilrig), clean(&run.run));
    format!("hilrig {hilrig}, run {id}, seed {}, {}", run.seed, boards(run.boards.len()))
}

pub(super) fn broker(broker: &BrokerFacts) -> String {
    let [software, version, kind, from] =
        [&broker.software, &broker.version, &broker.kind, &broker.from].map(|text| clean(text));
    format!("broker: {software} {version} ({kind}, {from})")
}

pub(super) fn board(facts: &BoardFacts) -> String {
    let mac = facts.mac.map(|mac| format!(", {mac}")).unwrap_or_default();
    format!("{} on {}{mac}", clean(&facts.kind), clean(&facts.port))
}

pub(super) fn flashed(flash: &FlashResult) -> String {
    if flash.kept {
        return "image is on the board already".into();
    }
    let verified = match flash.verified {
        Some(true) => ", read back",
        Some(false) => ", NOT as read back",
        None => "",
    };
    let baud = flash.baud.map(|baud| format!(" at {baud} baud")).unwrap_or_default();
    format!("{} B written in {:.3} s{baud}{verified}", flash.bytes, flash.seconds)
}

pub(super) fn certify(started: &CertifyStarted) -> String {
    format!("certifying {}: {}", clean(&started.broker), counted(started.cases, "case"))
}

/// A case that is over, in one line.
pub(super) fn case(broker: &str, case: &CaseResult, looks: TerminalStyle) -> String {
    let verdict = match case.verdict {
        CaseVerdict::NotRun => String::new(),
        verdict => format!("{}, ", certificate::verdict_words(verdict)),
    };
    let mut line = format!("{broker}, {}: {verdict}{}", case.id, certificate::came_of(case));
    if case.verdict == CaseVerdict::Reported {
        line += &format!("; {}", certificate::evidence(case));
    }
    if case.verdict != CaseVerdict::NotHeld {
        return clean(&line);
    }
    line += &format!("; expected: {}", case.expected);
    looks.bad(&clean(&line))
}

/// `indent` is put before further lines of the reason.
pub(super) fn end(end: &BoardEnd, looks: TerminalStyle, indent: usize) -> String {
    let line = match end.verdict {
        Verdict::Skipped => end.verdict.word().to_owned(),
        verdict => format!("{} in {:.3} s", verdict.word(), end.seconds),
    };
    let why = end.why.as_deref().map(|why| format!(": {}", block(why, indent)));
    looks.verdict(Some(end.verdict), &line) + &why.unwrap_or_default()
}

/// A check that did not pass, in one line.
pub(super) fn check(check: &Check) -> String {
    let outcome = outcome_words(check.outcome);
    format!("check {} {outcome}: {}", clean(&check.id), found(check))
}

pub(super) fn found(check: &Check) -> String {
    let found = check.found.as_deref().map_or("nothing was found".into(), clean);
    let at = check.log_line.map(|line| format!(" (boot log, line {line})")).unwrap_or_default();
    found + &at
}
