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

/// Who held a board's heap, phase by phase; the phase in which least was free is open.
pub(super) fn holders(board: &BoardModel) -> Markup {
    let open = lowest(board).map(|told| told.phase);
    html! {
        @if !board.callers.is_empty() {
            h3 { "Who held the heap" }
            @for told in board.callers.values() {
                details open[Some(told.phase) == open] {
                    summary { (at_lowest(told)) }
                    (table(&format!("who held the heap, {}", told.phase.name()), &[number("B"), number("Blocks"), text("Function"), text("Source")], html! {
                        @for row in caller_rows(told) {
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
