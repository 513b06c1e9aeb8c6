//! Where the memory went, on the page.

use hilrig_core::event::FirmwareFacts;
use maud::{Markup, html};

use crate::heap::{at_lowest, held, lowest};
use crate::model::BoardModel;

/// Static memory of the images.
pub(super) fn sections(firmware: &[FirmwareFacts]) -> Markup {
    html! {
        @if firmware.iter().any(|firmware| !firmware.sections.is_empty()) {
            section id="static" {
                h2 { "Static memory" }
                div.wide tabindex="0" role="region" aria-label="static memory" {
                    table {
                        thead { tr { th { "Image for" } th { "Section" } th { "Holds" } th.number { "B" } } }
                        tbody {
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
                        }
                    }
                }
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
                    div.wide tabindex="0" role="region" aria-label={ "who held the heap, " (told.phase.name()) } {
                        table {
                            thead { tr { th.number { "B" } th.number { "Blocks" } th { "Function" } th { "Source" } } }
                            tbody {
                                @for row in held(told) {
                                    tr {
                                        td.number { (row.bytes) }
                                        td.number { (row.blocks.map(|b| b.to_string()).unwrap_or_default()) }
                                        td { code { (row.name) } }
                                        td { code { (row.place) } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
