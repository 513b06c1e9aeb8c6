//! The certification of a broker as a table, and what failed.

use std::fmt::Write as _;

use hilrig_core::certify::certificate::{Outcome, RequiredOutcome, Verdict};
use hilrig_core::certify::{CaseResult, Certificate, Tally};
use hilrig_core::plural::counted;

use super::style::TerminalStyle;
use super::words::{clean, fit};
use crate::certificate::{Certification, words};
use crate::model::RunModel;

const GAP: &str = "  ";
/// The widest verdict.
const VERDICT: usize = "reported".len();
/// The columns of figures.
const FIGURES: [&str; 3] = ["free, B", "ms", "wire, B"];
const FIGURE: usize = "wire, B".len();
/// The narrowest column of outcomes that is worth a table.
const NARROWEST: usize = 16;

/// The certifications, when a run is over.
pub(super) fn end(run: &RunModel, looks: TerminalStyle) -> String {
    let mut out = String::new();
    for certification in &run.certifications {
        let Certification { broker, cases, expected, .. } = certification;
        match run.certificate(broker) {
            Some(certificate) => out += &text(&certificate, looks),
            None => {
                let _ = writeln!(out, "{}", looks.bold(&clean(broker)));
                out += &body(cases, looks);
                let line = format!(
                    "cut short: {} of {} were reported",
                    cases.len(),
                    counted(*expected, "case")
                );
                let _ = writeln!(out, "{}", looks.bad(&line));
            }
        }
        out += "\n";
    }
    out
}

/// A certificate.
pub(super) fn text(certificate: &Certificate, looks: TerminalStyle) -> String {
    let library = certificate.tls_library.as_ref().map(|of| format!(", {of}")).unwrap_or_default();
    let head = format!("{}: {}{library}", certificate.name, words::broker(certificate));
    let mut out = format!("{}\n{}", looks.bold(&clean(&head)), body(&certificate.cases, looks));
    let profile = match &certificate.profile {
        Some(profile) => clean(&words::profile(profile)),
        None => "none: no case connected and kept what was agreed on".into(),
    };
    let _ = writeln!(out, "profile: {profile}");
    for required in &certificate.policy {
        let text = clean(&words::required(required));
        let passed = required.outcome == RequiredOutcome::Passed;
        let _ = writeln!(out, "{}", if passed { text } else { looks.bad(&text) });
    }
    out
}

/// The cases, what failed, and the count of each verdict.
fn body(all: &[CaseResult], looks: TerminalStyle) -> String {
    let mut out = cases(all, looks);
    let mut head = Some("what was found");
    for case in all.iter().filter(|case| !troubled(case)) {
        let found = words::found(case).map(clean);
        let repetitions = case.unstable().then(|| words::repetitions(case)).flatten();
        let text: Vec<String> = repetitions.into_iter().chain(found).collect();
        if !text.is_empty() {
            if let Some(head) = head.take() {
                let _ = writeln!(out, "{}", looks.bold(head));
            }
            let _ = writeln!(out, "{}: {}", clean(&case.id), text.join("; "));
        }
    }
    for case in all.iter().filter(|case| troubled(case)) {
        trouble(case, looks, &mut out);
    }
    let _ = writeln!(out, "{}", words::tally(&Tally::of(all)));
    out
}

/// The table, or, where the terminal is too narrow for one, a line for each case.
fn cases(cases: &[CaseResult], looks: TerminalStyle) -> String {
    let longest = |texts: &mut dyn Iterator<Item = String>| {
        texts.map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let ids = longest(&mut cases.iter().map(|case| clean(&case.id))).max("case".len());
    let widest = longest(&mut cases.iter().map(words::outcome)).max("outcome".len());
    let beside = ids + 2 * GAP.len() + VERDICT + FIGURES.len() * (GAP.len() + FIGURE);
    let outcomes = match looks.width {
        None => widest,
        Some(width) if width < beside + NARROWEST => return lines(cases, looks),
        Some(width) => widest.min(width - beside),
    };
    let mut out = String::new();
    let mut head =
        format!("{:ids$}{GAP}{:VERDICT$}{GAP}{:outcomes$}", "case", "verdict", "outcome");
    for figure in FIGURES {
        let _ = write!(head, "{GAP}{figure:>FIGURE$}");
    }
    let _ = writeln!(out, "{}", looks.bold(&head));
    for case in cases {
        let verdict = format!("{:VERDICT$}", words::verdict(case));
        let _ = write!(out, "{}{GAP}{}", fit(&clean(&case.id), ids), paint(case, looks, &verdict));
        let mut rest = format!("{GAP}{}", fit(&words::outcome(case), outcomes));
        for figure in figures(case) {
            let _ = write!(rest, "{GAP}{figure:>FIGURE$}");
        }
        let _ = writeln!(out, "{rest}");
    }
    out
}

fn lines(cases: &[CaseResult], looks: TerminalStyle) -> String {
    let line = |case: &CaseResult| {
        let verdict = paint(case, looks, words::verdict(case));
        format!("{}\n  {verdict}, {}\n", clean(&case.id), words::outcome(case))
    };
    cases.iter().map(line).collect()
}

fn figures(case: &CaseResult) -> [String; 3] {
    let figure = |figure: Option<u64>| figure.map_or("-".into(), |figure| figure.to_string());
    [
        figure(case.cost.heap_handshake),
        case.cost.handshake_seconds.map_or("-".into(), words::milliseconds),
        figure(case.cost.handshake_bytes),
    ]
}

fn paint(case: &CaseResult, looks: TerminalStyle, text: &str) -> String {
    match case.verdict {
        _ if case.unstable() => looks.bad(text),
        Verdict::NotHeld => looks.bad(text),
        Verdict::NotRun => looks.dim(text),
        Verdict::Held | Verdict::Reported => text.to_owned(),
    }
}

fn troubled(case: &CaseResult) -> bool {
    case.verdict == Verdict::NotHeld || case.outcome == Outcome::Broken
}

fn trouble(case: &CaseResult, looks: TerminalStyle, out: &mut String) {
    let came = clean(&words::came_of(case));
    let _ = writeln!(out, "{}: {}", clean(&case.id), looks.bad(&came));
    let said = case.evidence.said.as_ref().map(|said| {
        let line = case.evidence.log_line.map(|line| format!(" (boot log, line {line})"));
        said.clone() + &line.unwrap_or_default()
    });
    for (what, text) in [
        ("expected", Some(case.expected.clone())),
        ("repetitions", words::repetitions(case)),
        ("found", Some(case.evidence.found.clone())),
        ("the board printed", said),
        ("on the wire", words::telling(case).map(words::wire)),
        ("others", words::others(case)),
        ("stands for", Some(case.seen.clone())),
    ] {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            let _ = writeln!(out, "    {what}: {}", clean(&text));
        }
    }
}
