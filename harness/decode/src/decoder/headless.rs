//! Stack dumps whose first lines are lost: rows, or their head, with no crash in front.

use super::{Found, State};
use crate::finding::{Finding, Kind};
use crate::stack::{self, Chip, Row};

/// Lines behind the bounds of a stack in which a row is one of it.
const BOUNDS_HOLD: u32 = 3;

/// What was seen of a dump that is not certain yet.
#[derive(Debug, Default)]
pub struct Headless {
    /// The last row, its line, and the address that the next one has.
    row: Option<(u64, Row, u32)>,
    /// Line of the stack's bounds, and lines since.
    bounds: Option<(u64, u32)>,
}

impl State {
    /// Opens a dump whose first lines are missing.
    pub(super) fn open_headless(&mut self, number: u64) {
        let mut finding = Finding::new(Kind::StackDump, number);
        finding.cut = true;
        self.open(finding);
    }

    /// Whether `text` is a row of a dump that has no head. One row may be anything; one behind the
    /// bounds of a stack, or two whose addresses follow each other, are a dump.
    pub(super) fn headless_row(&mut self, number: u64, text: &str, found: Found<'_>) -> bool {
        if text.trim().is_empty() {
            return false;
        }
        if self.open.is_some() {
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
        let chip = |row: &Row| row.address.filter(|at| Chip::of(*at).is_some());
        let Some((row, address)) = row.and_then(|row| chip(&row).map(|at| (row, at))) else {
            self.headless.row = None;
            return false;
        };
        let before = self.headless.row.take().filter(|(_, _, next)| *next == address);
        if before.is_none() && bounds.is_none() {
            let next = address.wrapping_add(row.bytes());
            self.headless.row = row.is_whole().then_some((number, row, next));
            return false;
        }
        let first = before.as_ref().map(|(line, _, _)| *line);
        self.close(None, found);
        self.open_headless(bounds.map(|(line, _)| line).or(first).unwrap_or(number));
        if let Some(open) = &mut self.open {
            open.place = super::Place::Stack;
            if let Some((line, row, _)) = before {
                open.row(line, row);
            }
            open.row(number, row);
        }
        self.spoke = Some(0);
        true
    }

    /// `<<<stack<<<` behind a single row is the end of a dump of which nothing else came through.
    pub(super) fn headless_ends(&mut self, number: u64) {
        if let Some((line, row, _)) = self.headless.row.take() {
            self.open_headless(line);
            if let Some(open) = &mut self.open {
                open.row(line, row);
                open.detail(number, &crate::crash_line::CrashLine::StackEnds);
            }
            self.spoke = Some(0);
        }
    }
}

/// A row that the end of the log cut.
fn is_cut(row: &Row) -> bool {
    row.address.is_some_and(|at| at % 16 == 0) && row.words.len() >= 2 && row.words.len() < 8
}
