//! Crashes on the terminal: a line when one happens, the traces at the end.

use std::fmt::Write as _;

use hilrig_core::crash::Crash;

use super::style::TerminalStyle;
use super::words::clean;
use crate::model::{BoardModel, came_again};
use crate::text_table::wrapped;

/// Columns of a terminal that does not report its width.
const COLUMNS: usize = 100;
/// Traces that are shown; the others are in the record.
const MOST: usize = 3;
/// Crashes of a board that get a line when they happen.
pub(super) const MOST_LINES: usize = 3;
/// Frames of a trace that are shown.
const MOST_FRAMES: usize = 16;
/// Columns of the longest function's name.
const FUNCTION: usize = 36;
/// Blanks before each line.
const INDENT: usize = 6;

/// What happened and where.
pub(super) fn in_a_line(crash: &Crash) -> String {
    format!("crash, boot log line {}: {}", crash.line, clean(&crash.in_a_line()))
}

/// The traces of a board's crashes.
pub(super) fn traces(board: &BoardModel, looks: TerminalStyle) -> String {
    let columns = looks.width.unwrap_or(COLUMNS).min(COLUMNS).saturating_sub(INDENT + 2).max(20);
    let distinct = board.distinct_crashes();
    let mut out = String::new();
    for (crash, again) in distinct.iter().take(MOST) {
        trace(crash, columns, looks, &mut out);
        if *again > 0 {
            print(came_again(*again).trim(), columns, &mut out);
        }
    }
    if let more @ 1.. = distinct.len().saturating_sub(MOST) {
        let _ = writeln!(out, "{:INDENT$}{more} more in summary.json", "");
    }
    out
}

fn trace(crash: &Crash, columns: usize, looks: TerminalStyle, out: &mut String) {
    let head = format!("line {}: {}", crash.line, clean(&crash.headline()));
    for (at, line) in wrapped(&head, columns).into_iter().enumerate() {
        let indent = if at == 0 { INDENT } else { INDENT + 2 };
        let _ = writeln!(out, "{:indent$}{}", "", looks.bad(&line));
    }
    for detail in crash.details() {
        print(&detail, columns, out);
    }
    let rows = crash.rows();
    let shown = &rows[..rows.len().min(MOST_FRAMES)];
    let width = |column: usize| {
        shown.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let (role, function) = (width(0), width(2).min(FUNCTION));
    let place = columns.saturating_sub(role + "  0x40201f23  ".len() + function + 2);
    for [of, address, name, at] in shown {
        let (name, at) = (end_cut(&clean(name), function), front_cut(&clean(at), place));
        let row = format!("{of:role$}  {address}  {name:function$}  {at}");
        let _ = writeln!(out, "{:1$}{2}", "", INDENT + 2, row.trim_end());
    }
    if let more @ 1.. = rows.len() - shown.len() {
        print(&format!("{more} frames more in summary.json"), columns, out);
    }
    for remark in crash.remarks() {
        print(&remark, columns, out);
    }
}

fn print(text: &str, columns: usize, out: &mut String) {
    for line in wrapped(&clean(text), columns) {
        let _ = writeln!(out, "{:1$}{line}", "", INDENT + 2);
    }
}

/// The beginning matters most.
fn end_cut(text: &str, columns: usize) -> String {
    match text.chars().count() > columns {
        true => text.chars().take(columns.saturating_sub(1)).chain(['\u{2026}']).collect(),
        false => text.into(),
    }
}

/// In a path with a line number, the end matters most.
fn front_cut(text: &str, columns: usize) -> String {
    let length = text.chars().count();
    match length > columns {
        true => {
            let kept = text.chars().skip(length - columns.saturating_sub(1));
            std::iter::once('\u{2026}').chain(kept).collect()
        }
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_stay_whole_where_they_can() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("one two", 7), ["one two"]);
        assert_eq!(wrapped("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(front_cut("firmware/core/fault.c:11", 10), "\u{2026}ault.c:11");
        assert_eq!(end_cut("write_through_null", 6), "write\u{2026}");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_line_is_too_long(text in "[ab ]{0,60}", columns in 1usize..20) {
            let lines = wrapped(&text, columns);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= columns), "{:?}", lines);
            let bare = |text: &str| text.replace(' ', "");
            prop_assert_eq!(bare(&lines.concat()), bare(&text));
        }
    }
}
