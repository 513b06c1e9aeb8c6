//! The history as a plot in the terminal.

use std::collections::BTreeSet;

use anstyle::{AnsiColor, Style};
use hilrig_core::heap::HeapPhase;
use hilrig_core::plural::counted;

use super::{HeapFigure, Key, Metric};
use crate::history::HistoryRow;

/// Lines of a plot.
const HEIGHT: usize = 12;
/// Runs in a plot: it fits 80 columns.
const WIDTH: usize = 66;

/// One plot for each thing that can be compared: the lowest free heap, run by run.
pub fn history_plots(rows: &[HistoryRow]) -> String {
    let keys: BTreeSet<Key> = rows.iter().map(HistoryRow::key).collect();
    keys.iter().map(|key| plot(key, rows)).collect()
}

fn plot(of: &Key, rows: &[HistoryRow]) -> String {
    let rows: Vec<&HistoryRow> =
        rows.iter().filter(|row| row.metric == Metric::LowestFree && row.key() == *of).collect();
    let runs: Vec<&[&HistoryRow]> = rows.chunk_by(|a, b| a.run == b.run).collect();
    let runs = &runs[runs.len().saturating_sub(WIDTH)..];
    let shown = || runs.iter().flat_map(|run| run.iter());
    let (Some(low), Some(high)) =
        (shown().map(|row| row.value).min(), shown().map(|row| row.value).max())
    else {
        return String::new();
    };
    // At least 1 KiB high: a flat line is in the middle, and noise of a few bytes stays small.
    let room = 1024_u64.saturating_sub(high - low) / 2;
    let (low, high) = (low.saturating_sub(room), high + room);
    let line_of =
        |bytes: u64| ((high - bytes) * (HEIGHT as u64 - 1) / (high - low).max(1)) as usize;

    let mut lines = vec![vec![None; runs.len()]; HEIGHT];
    for (column, run) in runs.iter().enumerate() {
        for phase in HeapPhase::ALL {
            let values = run.iter().filter(|row| row.phase == phase).map(|row| row.value).collect();
            if let Some(figure) = HeapFigure::of(values) {
                lines[line_of(figure.median)][column] = Some(phase);
            }
        }
    }
    let mut text = format!("{of}: lowest free heap, KiB\n");
    for (number, line) in lines.iter().enumerate() {
        let bytes = high - (high - low) * number as u64 / (HEIGHT as u64 - 1);
        text.push_str(&format!("{:>7.1} │", bytes as f64 / 1024.0));
        for cell in line {
            match cell {
                None => text.push(' '),
                Some(phase) => {
                    let (letter, style) = mark(*phase);
                    text.push_str(&format!("{style}{letter}{style:#}"));
                }
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    let ends = match (runs.first(), runs.last()) {
        (Some([first, ..]), Some([last, ..])) if runs.len() > 1 => {
            format!("{}, {} to {}", counted(runs.len(), "run"), first.run, last.run)
        }
        _ => "1 run".into(),
    };
    let legend: Vec<String> =
        HeapPhase::ALL.iter().map(|phase| format!("{} {}", mark(*phase).0, phase.name())).collect();
    text.push_str(&format!(
        "        └{}\n        {ends}; {}\n",
        "─".repeat(runs.len()),
        legend.join(", ")
    ));
    text
}

fn mark(phase: HeapPhase) -> (char, Style) {
    let (letter, color) = match phase {
        HeapPhase::Boot => ('b', AnsiColor::Blue),
        HeapPhase::Page => ('p', AnsiColor::Green),
        HeapPhase::Handshake => ('h', AnsiColor::Red),
        HeapPhase::Connected => ('c', AnsiColor::Magenta),
    };
    (letter, Style::new().fg_color(Some(color.into())))
}
