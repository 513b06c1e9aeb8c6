//! The frame of a page, and what several of its sections use.

use hilrig_core::verdict::Verdict;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::record::folder_of;

const STYLE: &str = include_str!("page.css");

/// Nothing may be loaded and nothing may run: not even something that got past the escaping.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// A page of this title with its look and its policy.
pub(super) fn whole(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
}

/// A verdict that does not need its colour to be read.
pub(super) fn badge(verdict: Option<Verdict>) -> Markup {
    let (class, sign, word) = match verdict {
        Some(Verdict::Passed) => ("passed", "✓", "passed"),
        Some(Verdict::Failed) => ("failed", "✗", "failed"),
        Some(Verdict::RigFault) => ("rig-fault", "!", "rig fault"),
        Some(Verdict::Skipped) => ("skipped", "–", "skipped"),
        None => ("skipped", "…", "no verdict"),
    };
    html! { span class={ "badge " (class) } { span aria-hidden="true" { (sign) } " " (word) } }
}

/// A board's name as an anchor: its folder's name is unique and holds no space.
pub(super) fn anchor(name: &str) -> String {
    format!("board-{}", folder_of(name))
}
