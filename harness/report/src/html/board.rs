//! One board on the page.

use std::collections::BTreeMap;
use std::path::Path;

use hilrig_core::check::{Check, CheckOutcome};
use hilrig_core::heap::HeapPhase;
use hilrig_core::leak;
use hilrig_core::phase::PhaseOutcome;
use maud::{Markup, html};

use super::boot_log::{LineMark, boot_log};
use super::crash;
use super::document::{anchor, badge};
use super::memory;
use super::plot;
use super::table::{number, table, text};
use super::trace::Trace;
use crate::model::{BoardModel, outcome_words, slope_words};
use crate::record::{BOOT_LOG, TIMED_LOG, folder_of};

/// The section of one board; `end` is the run's, seconds.
pub(super) fn section(
    board: &BoardModel,
    trace: &Trace,
    record: &Path,
    end: f64,
    floors: &plot::PhaseFloors,
) -> Markup {
    let name = anchor(&board.name);
    html! {
        section id=(name) {
            h2 { (board.name) " " (badge(board.verdict())) }
            @if let Some(why) = board.end.as_ref().and_then(|end| end.why.as_deref()) {
                p.why { (why) }
            }
            (facts(board))
            (crash::crashes(&board.crashes, &name))
            h3 { "Checks" }
            (checks(&board.checks, &name))
            (scenarios(board))
            h3 { "Free heap" }
            (plot::heap(trace, &board.name, end, floors))
            (lows(board))
            (samples(trace))
            (memory::holders(board))
            h3 { "Phases" }
            (phases(board))
            h3 { "Boot log" }
            (log(board, record, &name))
        }
    }
}

fn facts(board: &BoardModel) -> Markup {
    html! {
        dl {
            @if let Some(facts) = &board.facts {
                div { dt { "Kind" } dd { (facts.kind) } }
                div { dt { "Port" } dd { (facts.port) } }
                @if let Some(mac) = facts.mac { div { dt { "MAC" } dd { (mac) } } }
            }
            @if let Some(flash) = board.flash {
                div {
                    dt { "Flashed" }
                    dd {
                        @if flash.kept { "was on the board already" } @else {
                            (flash.bytes) " B in " (format!("{:.2}", flash.seconds)) " s"
                            @match flash.verified {
                                Some(true) => { ", verified" },
                                Some(false) => { ", not verified" },
                                None => {},
                            }
                        }
                    }
                }
            }
            @if !board.starts.is_empty() {
                div { dt { "Chip started after" } dd { (starts(board)) } }
            }
            @if let Some(end) = &board.end {
                div { dt { "Time" } dd { (format!("{:.2}", end.seconds)) " s" } }
            }
        }
    }
}

/// Each way in which the chip started, with how often it did.
fn starts(board: &BoardModel) -> String {
    let mut ways: Vec<(String, usize)> = Vec::new();
    for start in &board.starts {
        let way = format!("{}, from {}", start.reset, start.boots);
        match ways.iter_mut().find(|(known, _)| *known == way) {
            Some((_, times)) => *times += 1,
            None => ways.push((way, 1)),
        }
    }
    let way = |(way, times): &(String, usize)| match times {
        1 => way.clone(),
        times => format!("{way} ({times} times)"),
    };
    ways.iter().map(way).collect::<Vec<_>>().join("; ")
}

fn checks(checks: &[Check], name: &str) -> Markup {
    html! {
        @if checks.is_empty() {
            p { "No check was reached." }
        } @else {
            (table("checks", &[text("Check"), text("Outcome"), text("Found"), number("Line")], html! {
                @for check in checks {
                    tr.bad[!check.held() && !check.skipped].unreached[check.skipped] {
                        td { code { (check.id) } br; (check.title) }
                        td { (outcome_of(check)) }
                        td.prose { (check.found.as_deref().unwrap_or("")) }
                        td.number {
                            @if let Some(line) = check.log_line {
                                a href={ "#" (name) "-line-" (line) } { (line) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

/// The results of its scenarios.
fn scenarios(board: &BoardModel) -> Markup {
    html! {
        @if !board.scenarios.is_empty() {
            h3 { "Scenarios" }
            (table("scenarios", &[text("Scenario"), text("Outcome"), number("Steps"), number("Samples"), number("First free, B"), number("Last free, B"), text(format!("Free heap moves by, B ({} %)", leak::CONFIDENCE_PERCENT))], html! {
                @for found in &board.scenarios {
                    tr.bad[found.outcome != CheckOutcome::Held] {
                        td { (found.scenario) }
                        td {
                            (outcome(found.outcome))
                            @if let Some(why) = &found.stopped { br; "until it was stopped: " (why) }
                        }
                        td.number { (found.steps) }
                        td.number { (found.samples) }
                        td.number { (free(found.first_free)) }
                        td.number { (free(found.last_free)) }
                        td {
                            @for slope in &found.slopes { div { (slope_words(slope)) } }
                            @if found.slopes.is_empty() { "not measured" }
                        }
                    }
                }
            }))
        }
    }
}

fn free(free: Option<u64>) -> String {
    free.map_or("–".into(), |free| free.to_string())
}

fn outcome_of(check: &Check) -> Markup {
    match check.outcome {
        CheckOutcome::NotMeasured if check.skipped => mark("–", "skipped"),
        outcome => self::outcome(outcome),
    }
}

fn outcome(outcome: CheckOutcome) -> Markup {
    let sign = match outcome {
        CheckOutcome::Held => "✓",
        CheckOutcome::NotHeld => "✗",
        CheckOutcome::NotMeasured => "?",
    };
    mark(sign, outcome_words(outcome))
}

fn mark(sign: &str, words: &str) -> Markup {
    html! { span.outcome { span aria-hidden="true" { (sign) } " " (words) } }
}

fn lows(board: &BoardModel) -> Markup {
    let figure = |figure: Option<u64>| figure.map_or("not reported".into(), |f| f.to_string());
    html! {
        (table("lowest free heap", &[text("Phase"), number("Lowest free, B"), number("Largest block, B"), number("Fragmentation, %"), number("Refused allocations"), number("Stack used, B"), number("Samples")], html! {
            @for phase in HeapPhase::ALL {
                tr {
                    td { (phase.name()) }
                    @match board.heap.get(phase) {
                        Some(low) => {
                            td.number { (low.lowest_free) }
                            td.number { (figure(low.largest)) }
                            td.number { (figure(low.fragmentation)) }
                            td.number { (figure(low.failures)) }
                            td.number { (figure(low.stack.map(|stack| stack.used))) }
                            td.number { (low.samples) }
                        },
                        None => { td.number colspan="6" { "not measured" } },
                    }
                }
            }
        }))
    }
}

fn samples(trace: &Trace) -> Markup {
    let figure = |figure: Option<u64>| figure.map(|f| f.to_string()).unwrap_or_default();
    html! {
        @if !trace.samples.is_empty() {
            details {
                summary { "All samples (" (trace.samples.len()) ")" }
                (table("samples", &[number("s"), text("Phase"), number("Lowest free, B"), number("Free, B"), number("Lowest ever, B"), number("Largest block, B"), number("Fragmentation, %"), number("Refused")], html! {
                    @for (at, sample) in &trace.samples {
                        tr {
                            td.number { (format!("{at:.3}")) }
                            td { (sample.phase.name()) }
                            td.number { (sample.lowest_free) }
                            td.number { (figure(sample.free)) }
                            td.number { (figure(sample.lowest_ever)) }
                            td.number { (figure(sample.largest)) }
                            td.number { (figure(sample.fragmentation)) }
                            td.number { (figure(sample.failures)) }
                        }
                    }
                }))
            }
        }
    }
}

fn phases(board: &BoardModel) -> Markup {
    html! {
        (table("phases", &[text("Phase"), text("Outcome"), number("s"), number("of these waited")], html! {
            @for run in &board.phases {
                tr.bad[run.outcome != PhaseOutcome::Done] {
                    td { (run.phase.words()) }
                    td {
                        @match run.outcome {
                            PhaseOutcome::Done => { "done" },
                            PhaseOutcome::Failed => { "failed" },
                            PhaseOutcome::RigFault => { "rig fault" },
                            PhaseOutcome::Interrupted => { "interrupted" },
                        }
                        @if let Some(why) = &run.why { br; (why) }
                    }
                    td.number { (format!("{:.3}", run.seconds)) }
                    td.number { (format!("{:.3}", run.waited)) }
                }
            }
        }))
    }
}

fn log(board: &BoardModel, record: &Path, name: &str) -> Markup {
    let folder = folder_of(&board.name);
    let words: Vec<(u64, String, bool)> = board
        .checks
        .iter()
        .filter_map(|check| {
            let words = format!("{} {}", check.id, outcome_words(check.outcome));
            Some((check.log_line?, words, !check.held()))
        })
        .collect();
    let crashes: Vec<(u64, String, bool)> =
        board.crashes.iter().map(|crash| (crash.line, crash.in_a_line(), true)).collect();
    let starts: Vec<(u64, String, bool)> =
        board.starts.iter().map(|start| (start.line, start.in_a_line(), false)).collect();
    let mut marks: BTreeMap<u64, Vec<LineMark<'_>>> = BTreeMap::new();
    for (line, words, bad) in words.iter().chain(&starts).chain(&crashes) {
        marks.entry(*line).or_default().push(LineMark { words, bad: *bad });
    }
    let shown = boot_log(&record.join(&folder).join(TIMED_LOG), name, &marks);
    html! {
        @match shown {
            Ok(log) => (log),
            Err(error) => p { "The record holds no boot log of this board: " (error) },
        }
        p.small { "Byte for byte: " code { (folder) "/" (BOOT_LOG) } }
    }
}
