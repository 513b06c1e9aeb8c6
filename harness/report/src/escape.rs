//! Texts for Markdown: a verdict's sign, and what a board or a broker sent as code.

use hilrig_core::verdict::Verdict;

/// The sign of a verdict.
pub(crate) fn sign(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Passed) => "✅",
        Some(Verdict::Failed) => "❌",
        Some(Verdict::RigFault) | None => "⚠️",
        Some(Verdict::Skipped) => "⏭️",
    }
}

/// Text from outside as code, in which neither links, mentions nor HTML count. Its fence is longer
/// than any run of backticks in it.
pub(crate) fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    let runs = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(runs + 1);
    // Backticks at an end need a space, which Markdown takes off again.
    let pad =
        if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// The same in a table, where a `|` ends a cell even in code.
pub(crate) fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}
