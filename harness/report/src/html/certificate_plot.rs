//! The lowest free heap of each case as a picture (SVG): a row a case.

use hilrig_core::certify::CaseResult;
use hilrig_core::heap::HeapPhase;
use maud::{Markup, html};

use super::plot::{mark, px, short, step};
use super::table::wide;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 230.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 6.0;
const ROW: f64 = 18.0;
const BOTTOM: f64 = 24.0;

/// A row for each case that has figures: its lowest free heap in the handshake and while connected.
/// `required` is what the profile's case must leave, where that is judged.
pub(super) fn plot(cases: &[CaseResult], broker: &str, required: Option<u64>) -> Markup {
    let figures = |case: &CaseResult| {
        [
            (HeapPhase::Handshake, case.cost.heap_handshake),
            (HeapPhase::Connected, case.cost.heap_connected),
        ]
    };
    let rows: Vec<&CaseResult> = cases
        .iter()
        .filter(|case| figures(case).iter().any(|(_, bytes)| bytes.is_some()))
        .collect();
    let largest = rows.iter().flat_map(|case| figures(case)).filter_map(|(_, bytes)| bytes).max();
    let Some(largest) = largest.map(|largest| largest.max(required.unwrap_or(0))) else {
        return html! { p { "No case reported any." } };
    };
    let end = (largest as f64 * 1.05).max(1.0);
    let x = |bytes: f64| LEFT + (bytes / end).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT);
    let bottom = TOP + rows.len() as f64 * ROW;
    let kib = step(end / 1024.0, 6.0) * 1024.0;
    html! {
        (wide(&format!("plot of the cases of {}", broker), html! {
            svg viewBox={ "0 0 " (WIDTH) " " (bottom + BOTTOM) } role="img"
                aria-label="Lowest free heap by case; the figures are in the table below." {
                    g.scale {
                        @for n in 0..=(end / kib) as u32 {
                            @let at = px(x(f64::from(n) * kib));
                            line x1=(at) x2=(at) y1=(TOP) y2=(bottom) {}
                            text x=(at) y=(bottom + 16.0) text-anchor="middle" { (short(f64::from(n) * kib / 1024.0)) " KiB" }
                        }
                    }
                    @if let Some(required) = required {
                        @let at = px(x(required as f64));
                        line class="floor handshake" x1=(at) x2=(at) y1=(TOP) y2=(bottom) {
                            title { "required of the profile: " (required) " B" }
                        }
                    }
                    @for (row, case) in rows.iter().enumerate() {
                        @let y = TOP + (row as f64 + 0.5) * ROW;
                        text x=(LEFT - 10.0) y=(px(y)) dy="4" text-anchor="end" { (case.id) }
                        @for (phase, bytes) in figures(case) {
                            @if let Some(bytes) = bytes {
                                g {
                                    title { (case.id) ": lowest free in " (phase.name()) " " (bytes) " B" }
                                    (mark(phase, x(bytes as f64), y))
                                }
                            }
                        }
                    }
                }
        }))
        p.legend {
            @for phase in [HeapPhase::Handshake, HeapPhase::Connected] {
                span {
                    svg viewBox="-8 -8 16 16" width="16" height="16" aria-hidden="true" { (mark(phase, 0.0, 0.0)) }
                    "lowest free in " (phase.name())
                }
            }
            @if required.is_some() {
                span {
                    svg viewBox="-8 -8 16 16" width="16" height="16" aria-hidden="true" {
                        line.floor.handshake y1="-8" y2="8" {}
                    }
                    "required of the profile"
                }
            }
        }
    }
}
