//! The results of the scenarios, at the end: also of boards that passed.

use std::fmt::Write as _;

use hilrig_core::scenario::Scenario;

use super::style::TerminalStyle;
use super::words::{self, clean};
use crate::model::RunModel;

/// A line for each scenario of each board.
pub(super) fn scenarios(run: &RunModel, looks: TerminalStyle) -> String {
    let mut out = String::new();
    for board in &run.boards {
        let of = |check: &&hilrig_core::check::Check| {
            Scenario::ALL.iter().any(|scenario| scenario.check() == check.id)
        };
        // What did not pass is among the board's troubles already.
        for check in board.checks.iter().filter(of).filter(|check| check.held()) {
            let (name, id) = (clean(&board.name), clean(&check.id));
            let outcome = looks.bold("passed");
            let _ = writeln!(out, "{name}, {id} {outcome}: {}", words::found(check));
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}
