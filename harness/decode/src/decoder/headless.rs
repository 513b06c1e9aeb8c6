//! Stack dumps whose first lines are lost: rows, or their head, with no crash in front.

use super::DecoderState;
use crate::crash_line::CrashLine;
use crate::finding::{Finding, Kind};
use crate::stack::{self, StackChip, StackRow};

/// Lines after the bounds of a stack in which a row is one of it.
const BOUNDS_HOLD: u32 = 3;

/// Rows whose addresses follow each other that are a dump: fewer may be quoted or of another kind.
const ROWS: usize = 3;

/// What was seen of a dump that is not certain yet.
#[derive(Debug, Default)]
pub struct Headless {
    /// The last rows, with their lines.
    rows: Vec<(u64, StackRow)>,
    /// The address that the next one has.
    next: u32,
    /// Line of the stack's bounds, and lines since.
    bounds: Option<(u64, u32)>,
}

impl Headless {
    /// Passes a line that is no part of a dump.
    pub(super) fn pass(&mut self, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        if let Some((_, age)) = &mut self.bounds {
            *age = age.saturating_add(1);
        }
        self.rows.clear();
    }
}

impl DecoderState {
    /// Opens a dump whose first lines are missing.
    pub(super) fn open_headless(&mut self, number: u64) {
        let mut finding = Finding::new(Kind::StackDump, number);
        finding.cut = true;
        self.open(finding);
    }

    /// Whether `text` is a row of a dump that has no head. One row may be anything; one after the
    /// bounds of a stack, or several whose addresses follow each other, are a dump.
    pub(super) fn headless_row(&mut self, number: u64, text: &str) -> bool {
        if self.open.is_some() || text.trim().is_empty() {
            return false;
        }
        if let Some((_, age)) = &mut self.headless.bounds {
            *age += 1;
        }
        let bounds = self.headless.bounds.filter(|(_, age)| *age <= BOUNDS_HOLD);
        if stack::bounds(text) {
            self.headless.bounds = Some((number, 0));
            return false;
        }
        let row = stack::row("", text).filter(|row| row.is_whole() || is_cut(row));
        let at = row.as_ref().and_then(|row| row.address).filter(|at| StackChip::of(*at).is_some());
        let (Some(row), Some(address)) = (row, at) else {
            self.headless.rows.clear();
            return false;
        };
        if self.headless.next != address {
            self.headless.rows.clear();
        }
        self.headless.next = address.wrapping_add(row.bytes());
        self.headless.rows.push((number, row));
        if bounds.is_none() && self.headless.rows.len() < ROWS {
            return false;
        }
        self.open_rows(bounds.map(|(line, _)| line));
        true
    }

    /// Opens the dump of the rows that were seen, if there are any. `head` is the line that it begins
    /// at, where that is not the first row's.
    fn open_rows(&mut self, head: Option<u64>) {
        let rows = std::mem::take(&mut self.headless.rows);
        let Some(first) = rows.first().map(|(line, _)| *line) else { return };
        self.open_headless(head.unwrap_or(first));
        self.spoke = Some(0);
        if let Some(open) = &mut self.open {
            open.place = super::DumpPart::Stack;
            rows.into_iter().for_each(|(line, row)| open.row(line, row));
        }
    }

    /// `<<<stack<<<` after a few rows is the end of a dump of which nothing else came through.
    pub(super) fn headless_ends(&mut self, number: u64) {
        self.open_rows(None);
        if let Some(open) = &mut self.open {
            open.detail(number, &CrashLine::StackEnds);
        }
    }
}

/// A row that the end of the log cut.
fn is_cut(row: &StackRow) -> bool {
    row.address.is_some_and(|at| at % 16 == 0) && row.words.len() >= 2 && row.words.len() < 8
}
