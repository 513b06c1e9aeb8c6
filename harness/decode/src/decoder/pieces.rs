//! What is read of a line that is no crash text as a whole: its pieces, a build, an exception after other text.

use std::sync::LazyLock;

use regex::Regex;

use crate::scan::Scan;

/// The build that a line names: `Build: 0123456789abcdef`, as the bundled firmware prints it.
pub fn build(text: &str) -> Option<&str> {
    let id = text.strip_prefix("Build: ")?.trim();
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
    ((4..=64).contains(&id.len()) && id.bytes().all(named)).then_some(id)
}

/// `text` in the pieces that were lines before a page took the line ends out.
pub fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (piece, after) = match next_mark(text) {
            Some(at) => (&text[..at], Some(&text[at..])),
            None => (text, None),
        };
        rest = after;
        Some(piece)
    })
}

/// Where the next piece of `text` begins: at a mark, or after one that `text` begins with.
pub fn next_mark(text: &str) -> Option<usize> {
    // One search for all of them: a line that is full of one mark is not read to its end again and
    // again for the others.
    static BEGINS: LazyLock<Regex> = LazyLock::new(|| {
        let marks = r">>>stack>>>|<<<stack<<<|epc1=0x|last failed alloc call:|ctx: |Backtrace:0x";
        Regex::new(marks).expect("a constant pattern compiles")
    });
    for mark in [">>>stack>>>", "<<<stack<<<"] {
        if text.starts_with(mark) && text.len() > mark.len() {
            return Some(mark.len());
        }
    }
    let skipped = text.chars().next()?.len_utf8();
    BEGINS.find_at(text, skipped).map(|mark| mark.start())
}

/// The cause of an exception that stands at the end of `text`, after something else.
pub fn mentioned_exception(text: &str) -> Option<u32> {
    let at = text.rfind("xception (")?;
    let mut scan = Scan(&text.trim_end().as_bytes()[at + "xception (".len()..]);
    let cause = scan.decimal()?;
    (scan.0 == b"):").then_some(cause)
}
