//! Decoded crashes on the page.

use hilrig_core::crash::Crash;
use maud::{Markup, html};

use super::table::{table, text};

/// Crashes that are shown whole; a boot loop has hundreds that are alike.
const MOST: usize = 20;

/// The crashes of a board, each with a link to its line of the boot log.
pub(super) fn crashes(crashes: &[Crash], name: &str) -> Markup {
    html! {
        @if !crashes.is_empty() {
            h3 { "Crashes" }
            @for (number, crash) in crashes.iter().take(MOST).enumerate() {
                // One is seen at once; the others are mostly its like.
                details.crash open[number == 0] {
                    summary { "Line " (crash.line) ": " (crash.headline()) }
                    p { a href={ "#" (name) "-line-" (crash.line) } { "to the line in the boot log" } }
                    @for detail in crash.details() { p.small { (detail) } }
                    @if !crash.frames.is_empty() { (frames(crash)) }
                    @for remark in crash.remarks() { p.small { (remark) } }
                }
            }
            @if crashes.len() > MOST {
                p.small { (crashes.len() - MOST) " more are in summary.json." }
            }
        }
    }
}

fn frames(crash: &Crash) -> Markup {
    html! {
        (table(&format!("frames of the crash in line {}", crash.line), &[text("From"), text("Address"), text("Function"), text("Source")], html! {
            @for [role, address, function, place] in crash.rows() {
                tr {
                    td { (role) }
                    td { code { (address) } }
                    td { code { (function) } }
                    td { code { (place) } }
                }
            }
        }))
    }
}
