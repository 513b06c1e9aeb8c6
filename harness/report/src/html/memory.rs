//! Where the memory went, on the page.

use hilrig_core::event::FirmwareFacts;
use maud::{Markup, html};

use super::table::{number, table, text};
use crate::heap::{at_lowest, caller_rows, lowest};
use crate::model::BoardModel;

/// Static memory of the images.
pub(super) fn sections(firmware: &[FirmwareFacts]) -> Markup {
    html! {
        @if firmware.iter().any(|firmware| !firmware.sections.is_empty()) {
            section id="static" {
                h2 { "Static memory" }
                (table("static memory", &[text("Image for"), text("Section"), text("Holds"), number("B")], html! {
                    @for firmware in firmware {
                        @for section in &firmware.sections {
                            tr {
                                td { (firmware.kind) }
                                td { code { (section.name) } }
                                td { (section.holds.words()) }
                                td.number { (section.bytes) }
                            }
                        }
                    }
                }))
            }
        }
    }
}

/// A board's heap by function, phase by phase; the phase with the least free heap is open.
pub(super) fn holders(board: &BoardModel) -> Markup {
    let open = lowest(board).map(|callers| callers.phase);
    html! {
        @if !board.callers.is_empty() {
            h3 { "Heap by function" }
            @for callers in board.callers.values() {
                details open[Some(callers.phase) == open] {
                    summary { (at_lowest(callers)) }
                    (table(&format!("heap by function, {}", callers.phase.name()), &[number("B"), number("Blocks"), text("Function"), text("Source")], html! {
                        @for row in caller_rows(callers) {
                            tr {
                                td.number { (row.bytes) }
                                td.number { (row.blocks.map(|b| b.to_string()).unwrap_or_default()) }
                                td { code { (row.name) } }
                                td { code { (row.place) } }
                            }
                        }
                    }))
                }
            }
        }
    }
}
