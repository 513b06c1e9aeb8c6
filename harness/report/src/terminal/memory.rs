//! Where the memory went, at the end of a run.

use std::fmt::Write as _;

use hilrig_core::event::FirmwareFacts;

use super::words::clean;
use crate::heap::{at_lowest, caller_rows, lowest};
use crate::model::{BoardModel, RunModel};

/// Boards whose callers are shown: those of a farm are alike, and all are in the summary.
const MOST_BOARDS: usize = 3;

/// Static memory of each image, and the heaps by function when they were lowest.
pub(super) fn memory(run: &RunModel) -> String {
    let mut out = String::new();
    for firmware in run.started.iter().flat_map(|started| &started.firmware) {
        if !firmware.sections.is_empty() {
            let _ = writeln!(out, "{}", sections(firmware));
        }
    }
    let boards = run.boards.iter().filter(|board| !board.callers.is_empty());
    for board in boards.take(MOST_BOARDS) {
        out += &holders(board);
    }
    out
}

fn sections(firmware: &FirmwareFacts) -> String {
    let sizes = firmware.sections.iter().map(|s| format!("{} {} B", clean(&s.name), s.bytes));
    let sizes: Vec<String> = sizes.collect();
    format!("static memory, {}: {}", clean(&firmware.kind), sizes.join(", "))
}

fn holders(board: &BoardModel) -> String {
    let Some(callers) = lowest(board) else { return String::new() };
    let mut out = format!("{}: heap by function ({}):\n", clean(&board.name), at_lowest(callers));
    for row in caller_rows(callers) {
        let place = match row.place.is_empty() {
            true => String::new(),
            false => format!(", {}", clean(&row.place)),
        };
        let _ = writeln!(out, "    {:>6} B  {}{place}", row.bytes, clean(&row.name));
    }
    out
}
