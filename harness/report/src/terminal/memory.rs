//! Where the memory went, at the end of a run.

use std::fmt::Write as _;

use hilrig_core::event::FirmwareFacts;

use super::words::clean;
use crate::heap::{at_lowest, caller_rows, lowest};
use crate::model::{BoardModel, RunModel};

/// Boards whose holders are told: those of a farm are alike, and all are in the summary.
const MOST_BOARDS: usize = 3;

/// Static memory of each image, and who held the heaps when they were lowest.
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
    let Some(told) = lowest(board) else { return String::new() };
    let mut out = format!("{}: who held the heap ({}):\n", clean(&board.name), at_lowest(told));
    for row in caller_rows(told) {
        let place = match row.place.is_empty() {
            true => String::new(),
            false => format!(", {}", clean(&row.place)),
        };
        let _ = writeln!(out, "    {:>6} B  {}{place}", row.bytes, clean(&row.name));
    }
    out
}
