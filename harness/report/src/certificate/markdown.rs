//! A certificate as Markdown, for a job's summary, a comment or a repository.

use std::fmt::Write as _;

use hilrig_core::certify::certificate::{CaseResult, Certificate, RequiredOutcome, Verdict};

use super::compare::{Difference, Differences, Meaning};
use super::words;
use crate::escape::{cell, code};

/// Characters of a text in a cell.
const CELL: usize = 160;
/// Characters of what a case found.
const FOUND: usize = 600;

/// The certificate as Markdown.
pub fn markdown(certificate: &Certificate) -> String {
    let mut text = format!("## Certificate: {}\n\n", code(&words::broker(certificate)));
    let _ = writeln!(text, "{}.\n", words::tally(&certificate.tally));
    let broker = &certificate.broker;
    let library = certificate.tls_library.as_deref().unwrap_or("not known");
    text.push_str("| | |\n| --- | --- |\n");
    for (name, value) in [
        ("Asked for as", certificate.name.as_str()),
        ("Broker", &format!("{} ({}, {})", words::broker(certificate), broker.kind, broker.from)),
        ("TLS library", library),
        ("TLS as it comes", broker.tls.as_deref().unwrap_or("not known")),
        ("Device", &words::device(certificate)),
        ("hilrig", &format!("{}, seed {}", certificate.hilrig, certificate.seed)),
        ("Run", &format!("{}, {}", certificate.run, certificate.started)),
    ] {
        let _ = writeln!(text, "| {name} | {} |", cell(&words::clip(value, CELL)));
    }
    text.push_str("\n### Profile to use\n\n");
    match &certificate.profile {
        Some(profile) => text.push_str(&words::profile(profile)),
        None => text.push_str("None: no case connected and kept what was agreed on."),
    }
    text.push('\n');
    required(certificate, &mut text);
    text.push_str("\n### Cases\n\n");
    text.push_str(HEAD);
    let ran = |case: &&CaseResult| case.verdict != Verdict::NotRun;
    for case in certificate.cases.iter().filter(ran) {
        text.push_str(&row(case));
    }
    found(certificate, &mut text);
    failed(certificate, &mut text);
    others(certificate, &mut text);
    not_run(certificate, &mut text);
    if !certificate.digest.is_empty() {
        let _ = writeln!(text, "\nDigest {}, of certificate.json.", code(&certificate.digest));
    }
    text
}

/// What differs between two certificates, as Markdown.
pub fn differences_markdown(
    before: &Certificate,
    now: &Certificate,
    differences: &Differences,
) -> String {
    let name = |of: &Certificate| code(&words::broker(of));
    let mut text = format!("## Certificates: {} and {}\n\n", name(before), name(now));
    for line in differences.about() {
        let _ = writeln!(text, "{}.\n", plain(&line));
    }
    if differences.differences.is_empty() {
        return text + "Nothing differs by more than the noise.\n";
    }
    text.push_str("| Case | What | Before | Now | |\n| --- | --- | --- | --- | --- |\n");
    for difference in &differences.differences {
        let Difference { case, what, before, now, meaning } = difference;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            case.as_deref().map_or(String::new(), cell),
            plain(what),
            plain(&words::clip(before, CELL)),
            plain(&words::clip(now, CELL)),
            match meaning {
                Meaning::Worse if differences.is_comparison() => "worse",
                Meaning::Better if differences.is_comparison() => "better",
                Meaning::Worse => "❌ worse",
                Meaning::Other => "",
                Meaning::Better => "✅ better",
            },
        );
    }
    text
}

const HEAD: &str = "\
| Case | Expected | Outcome | Free in the handshake, B | Handshake, ms | Handshake, B | Evidence |
| --- | --- | --- | ---: | ---: | ---: | --- |
";

fn row(case: &CaseResult) -> String {
    let figure = |figure: Option<u64>| figure.map_or("–".into(), |figure| figure.to_string());
    let cost = &case.cost;
    format!(
        "| {} | {} | {} {} | {} | {} | {} | {} |\n",
        cell(&case.id),
        plain(&case.expected),
        sign(case),
        plain(&outcome(case)),
        figure(cost.heap_handshake),
        cost.handshake_seconds.map_or("–".into(), words::milliseconds),
        figure(cost.handshake_bytes),
        plain(&words::clip(&words::evidence(case), CELL)),
    )
}

fn required(certificate: &Certificate, text: &mut String) {
    if certificate.policy.is_empty() {
        return;
    }
    text.push_str("\n### Required\n\n| Required | Outcome | Found |\n| --- | --- | --- |\n");
    for required in &certificate.policy {
        let outcome = match required.outcome {
            RequiredOutcome::Passed => "✅ passed",
            RequiredOutcome::Failed => "❌ failed",
            RequiredOutcome::NotMeasured => "❌ not measured",
        };
        let (name, found) = (cell(&required.require), plain(&words::clip(&required.found, FOUND)));
        let _ = writeln!(text, "| {name} | {outcome} | {found} |");
    }
}

/// What the cases found, in full: a return code or a time is at the end.
fn found(certificate: &Certificate, text: &mut String) {
    let items = |case: &CaseResult| {
        let repetitions = words::repetitions(case);
        let found = words::found(case).map(String::from);
        let text: Vec<String> = repetitions.into_iter().chain(found).collect();
        (!text.is_empty()).then(|| (case.id.clone(), text.join("; ")))
    };
    let items: Vec<_> = certificate.cases.iter().filter_map(items).collect();
    if items.is_empty() {
        return;
    }
    text.push_str("\n### What was found\n\n");
    for (id, found) in items {
        let _ = writeln!(text, "- {}: {}", code(&id), plain(&words::clip(&found, FOUND)));
    }
}

fn failed(certificate: &Certificate, text: &mut String) {
    let mut cases =
        certificate.cases.iter().filter(|case| case.verdict == Verdict::NotHeld).peekable();
    if cases.peek().is_none() {
        return;
    }
    text.push_str("\n### Failed\n\n");
    for case in cases {
        let _ = write!(text, "- {}, {}: ", code(&case.id), code(&words::clip(&case.title, CELL)));
        let found = words::clip(&case.evidence.found, CELL);
        let _ = write!(text, "{}. Found: {}", plain(&words::came_of(case)), code(&found));
        if let Some(said) = &case.evidence.said {
            let line = case.evidence.log_line.map(|line| format!(" (boot log, line {line})"));
            let said = code(&words::clip(said, CELL));
            let _ = write!(text, ". The board printed: {said}{}", line.unwrap_or_default());
        }
        let _ = writeln!(text, ". It stands for {}.", plain(&case.seen));
    }
}

fn others(certificate: &Certificate, text: &mut String) {
    let items = |case: &CaseResult| Some((case.id.clone(), words::others(case)?));
    let items: Vec<_> = certificate.cases.iter().filter_map(items).collect();
    if items.is_empty() {
        return;
    }
    let summary = "What other clients met in the same set-up";
    let _ = writeln!(text, "\n<details><summary>{summary}</summary>\n");
    for (id, words) in items {
        let _ = writeln!(text, "- {}: {}", code(&id), plain(&words::clip(&words, CELL)));
    }
    text.push_str("\n</details>\n");
}

fn not_run(certificate: &Certificate, text: &mut String) {
    let mut cases =
        certificate.cases.iter().filter(|case| case.verdict == Verdict::NotRun).peekable();
    if cases.peek().is_none() {
        return;
    }
    text.push_str("\n### Not run\n\n");
    for case in cases {
        let why = case.why.as_deref().unwrap_or("no reason was reported");
        let outcome = words::outcome_words(case.outcome);
        let _ = writeln!(text, "- {} {outcome}: {}", code(&case.id), code(&words::clip(why, CELL)));
    }
}

fn outcome(case: &CaseResult) -> String {
    let unstable = if case.unstable() { "unstable, " } else { "" };
    unstable.to_owned() + &words::outcome(case)
}

fn sign(case: &CaseResult) -> &'static str {
    match case.verdict {
        _ if case.unstable() => "❌",
        Verdict::Held => "✅",
        Verdict::NotHeld => "❌",
        Verdict::Reported => "ℹ️",
        Verdict::NotRun => "⏭️",
    }
}

/// The rig's own words as they are. Where they hold a text from outside that could be markup, a
/// mention or a link, they are code.
fn plain(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || " .,:;()+-/#'–…".contains(c);
    match text.chars().all(word) && !text.contains("//") && !text.contains("www.") {
        true => text.to_owned(),
        false => cell(text),
    }
}
