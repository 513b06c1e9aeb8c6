//! The end of a run: a table of the boards, then what went wrong, then the verdict.

use std::fmt::Write as _;
use std::path::Path;

use hilrig_core::heap::HeapPhase;
use hilrig_core::plural::counted;
use hilrig_core::verdict::Verdict;

use super::style::TerminalStyle;
use super::words::{self, block, clean, fit};
use super::{certificate, crash};
use super::{memory, scenarios};
use crate::model::{BoardModel, RunEnd, RunModel, outcome_words};

const GAP: &str = "  ";
/// The widest verdict.
const VERDICT: usize = "no verdict".len();
/// Columns of a time: `1234.567 s`.
const TIME: usize = 10;
/// The narrowest column of names that is worth a table.
const NARROWEST_NAMES: usize = 8;

/// All that is written when a run is over.
pub(super) fn end(run: &RunModel, looks: TerminalStyle, record: Option<&Path>) -> String {
    let mut out = String::from("\n");
    if !run.boards.is_empty() {
        out += &boards(run, looks);
        out += "\n";
    }
    let before = out.len();
    for board in &run.boards {
        trouble(board, looks, &mut out);
    }
    if out.len() > before {
        out += "\n";
    }
    out += &scenarios::scenarios(run, looks);
    out += &certificate::end(run, looks);
    for note in &run.notes {
        let _ = writeln!(out, "note: {}", block(note, 6));
    }
    out += &memory::memory(run);
    if let Some(broker) = &run.broker {
        let _ = writeln!(out, "{}", words::broker(broker));
    }
    if let Some(found) = &run.broker_lost {
        let _ = writeln!(out, "{}", looks.bad(&format!("broker lost: {}", block(found, 6))));
    }
    if let Some(record) = record {
        let _ = writeln!(out, "record: {}", record.display());
    }
    out + &verdict(run, looks)
}

/// The table, or, where the terminal is too narrow for one, a paragraph for each board.
fn boards(run: &RunModel, looks: TerminalStyle) -> String {
    let heap: usize = HeapPhase::ALL.iter().map(|phase| GAP.len() + column(*phase)).sum();
    let beside = 2 * GAP.len() + VERDICT + TIME + heap;
    let longest = run.boards.iter().map(|board| clean(&board.name).chars().count()).max();
    let names = longest.unwrap_or(0).max("board".len());
    match looks.width {
        Some(width) if width < NARROWEST_NAMES + beside => paragraphs(run, looks),
        Some(width) => table(run, looks, names.min(width - beside)),
        None => table(run, looks, names),
    }
}

/// Columns of a heap phase: its name, or a figure of six digits.
fn column(phase: HeapPhase) -> usize {
    phase.name().len().max(6)
}

fn table(run: &RunModel, looks: TerminalStyle, names: usize) -> String {
    let mut out = String::new();
    let left = names + 2 * GAP.len() + VERDICT + TIME;
    let _ = writeln!(out, "{:left$}{GAP}{}", "", looks.dim("lowest free heap, bytes"));
    let mut head = format!("{:<names$}{GAP}{:<VERDICT$}{GAP}{:>TIME$}", "board", "verdict", "time");
    for phase in HeapPhase::ALL {
        let _ = write!(head, "{GAP}{:>1$}", phase.name(), column(phase));
    }
    let _ = writeln!(out, "{}", looks.bold(&head));
    for board in &run.boards {
        let verdict = looks.verdict(board.verdict(), &fit(verdict_word(board), VERDICT));
        let name = fit(&clean(&board.name), names);
        let _ = write!(out, "{name}{GAP}{verdict}{GAP}{:>TIME$}", time(board));
        for phase in HeapPhase::ALL {
            let _ = write!(out, "{GAP}{}", heap(board, phase, looks, column(phase)));
        }
        out += "\n";
    }
    out
}

fn paragraphs(run: &RunModel, looks: TerminalStyle) -> String {
    let mut out = String::new();
    for board in &run.boards {
        let verdict = looks.verdict(board.verdict(), verdict_word(board));
        let _ = writeln!(out, "{}: {verdict}, {}", clean(&board.name), time(board));
        for phase in HeapPhase::ALL {
            let _ = writeln!(out, "{GAP}{:<10} {}", phase.name(), heap(board, phase, looks, 7));
        }
    }
    let _ = writeln!(out, "{}", looks.dim("(lowest free heap, bytes)"));
    out
}

fn verdict_word(board: &BoardModel) -> &'static str {
    board.verdict().map_or("no verdict", Verdict::word)
}

fn time(board: &BoardModel) -> String {
    match &board.end {
        Some(end) if end.verdict != Verdict::Skipped => format!("{:.3} s", end.seconds),
        _ => "-".into(),
    }
}

fn heap(board: &BoardModel, phase: HeapPhase, looks: TerminalStyle, columns: usize) -> String {
    let figure = board.heap.get(phase).map_or("-".into(), |low| low.lowest_free.to_string());
    let cell = format!("{figure:>columns$}");
    let id = format!("heap.{}", phase.name());
    if board.checks_not_passed().any(|check| check.id == id) { looks.bad(&cell) } else { cell }
}

/// Why a board did not pass, and what to do where the bench is to blame.
fn trouble(board: &BoardModel, looks: TerminalStyle, out: &mut String) {
    const OUTCOME: usize = "not measured".len();
    let passed = board.verdict() == Some(Verdict::Passed);
    let mut checks = board.checks_not_passed().peekable();
    if passed && checks.peek().is_none() {
        return;
    }
    let line = match &board.end {
        Some(end) => words::end(end, looks, 4),
        None => looks.verdict(None, "no verdict") + ": the run ended before the board did",
    };
    let _ = writeln!(out, "{}: {line}", clean(&board.name));
    for check in checks {
        let outcome = format!("{:<OUTCOME$}", outcome_words(check.outcome));
        let (id, title) = (clean(&check.id), clean(&check.title));
        let _ = writeln!(out, "    {}  {id}: {title}", looks.bad(&outcome));
        let _ = writeln!(out, "    {:OUTCOME$}  found: {}", "", words::found(check));
        if check.id == "crash" {
            out.push_str(&crash::traces(board, looks));
        }
    }
    if let Some((count, why)) = board.checks_skipped() {
        let checks = counted(count, "check");
        let _ = writeln!(out, "    {:<OUTCOME$}  {checks}: {}", "skipped", clean(why));
    }
}

/// The last line: the verdict over all boards.
fn verdict(run: &RunModel, looks: TerminalStyle) -> String {
    let all = [Verdict::Passed, Verdict::Failed, Verdict::RigFault, Verdict::Skipped];
    let mut counts: Vec<String> = all
        .into_iter()
        .map(|verdict| (run.count(verdict), verdict.word()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let open = run.boards.iter().filter(|board| board.end.is_none()).count();
    if open > 0 {
        counts.push(format!("{open} without a verdict"));
    }
    // If all boards have one verdict, it is the run's, which comes before.
    let alone = |end: &RunEnd| run.count(end.verdict) == run.boards.len();
    let counts = match run.ended.as_ref().is_some_and(alone) || counts.is_empty() {
        true => String::new(),
        false => format!(" ({})", counts.join(", ")),
    };
    let of = words::boards(run.boards.len());
    match &run.ended {
        Some(end) => {
            let why = end.why.as_deref().map(|why| format!(": {}", block(why, 4)));
            let word = looks.verdict(Some(end.verdict), end.verdict.word());
            let (seconds, why) = (end.seconds, why.unwrap_or_default());
            format!("{word}: {of}{counts} in {seconds:.3} s{why}\n")
        }
        None => {
            let word = looks.verdict(None, "no verdict");
            format!("{word}: {of}{counts}: the run did not get to its end\n")
        }
    }
}
