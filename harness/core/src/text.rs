//! Text from outside, made safe to show.
//!
//! Output of boards and brokers is untrusted. Before it reaches a terminal, an event or a report, it is
//! escaped here: control bytes (an ESC would control the terminal) and bytes that are no UTF-8 become
//! `\xNN`, and the length is bounded.

use crate::plural::counted;
use std::borrow::Cow;
use std::fmt::Write as _;

use crate::secrets::{self, Ends};
pub use crate::secrets::{Secrets, hidden, hide, without_hidden};

/// The most bytes of one text from outside in an event or a message.
pub const MOST: usize = 2048;

/// `bytes` as printable text of bounded length, without secrets. Masked before it is cut: otherwise a part
/// of a secret could stay.
pub fn printable(bytes: &[u8]) -> String {
    match secrets::hidden() {
        None => escaped(bytes),
        // The text itself may be a piece of a longer one.
        Some(hidden) => escaped(&hidden.mask_bytes(bytes, Ends::Cut)),
    }
}

/// The same with secrets, for comparisons only.
pub fn escaped(bytes: &[u8]) -> String {
    let (shown, cut) = match bytes.len() {
        n if n > MOST => (&bytes[..MOST], n - MOST),
        _ => (bytes, 0),
    };
    let mut out = String::with_capacity(shown.len());
    for chunk in shown.utf8_chunks() {
        for c in chunk.valid().chars() {
            push(&mut out, c);
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    if cut > 0 {
        let _ = write!(out, "... ({} more)", counted(cut, "byte"));
    }
    out
}

/// Whether a character can be shown as it is. Not shown are control characters, and characters that are
/// invisible or change others: marks that end or reorder a line (which could make it read differently),
/// characters without width, tags.
pub fn is_plain(c: char) -> bool {
    let unseen = matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}'
            | '\u{ffff}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    c == '\t' || !(c.is_control() || unseen)
}

/// A text of several lines, with everything that is not plain as `\xNN`.
pub fn plain_lines(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c == '\n' || is_plain(c);
    if text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        match plain(c) {
            true => out.push(c),
            false => push(&mut out, c),
        }
    }
    Cow::Owned(out)
}

/// A JSON text with everything that is not plain in its strings as `\uNNNN`: it has the same meaning, and
/// no hidden characters.
pub fn plain_json(json: &str) -> Cow<'_, str> {
    let plain = |c: char| c == '\n' || is_plain(c);
    if json.chars().all(plain) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if plain(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    Cow::Owned(out)
}

fn push(out: &mut String, c: char) {
    if is_plain(c) {
        out.push(c);
        return;
    }
    let mut buffer = [0; 4];
    for byte in c.encode_utf8(&mut buffer).bytes() {
        let _ = write!(out, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_escape_sequence_does_not_reach_the_terminal() {
        assert_eq!(printable(b"a\x1b[31mred\x07\r"), "a\\x1b[31mred\\x07\\x0d");
        assert_eq!(printable("Type \u{2013} SDK".as_bytes()), "Type \u{2013} SDK");
        assert_eq!(printable("x\u{202e}y\u{9b}".as_bytes()), "x\\xe2\\x80\\xaey\\xc2\\x9b");
        assert_eq!(printable(b"\xff\xfe"), "\\xff\\xfe");
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        let text = printable(&[b'x'; MOST + 10]);
        assert!(text.ends_with("... (10 bytes more)"), "{text}");
    }

    #[test]
    fn what_is_not_seen_or_steers_is_shown_as_escapes() {
        let odd = "\u{2028}\u{2029}\u{202a}\u{2066}\u{2069}\u{200e}\u{61c}\u{85}\u{9b}\u{200b}\u{feff}\u{e0041}\u{ad}";
        for c in odd.chars() {
            let text = format!("a{c}b");
            let shown = printable(text.as_bytes());
            assert!(shown.starts_with("a\\x") && shown.is_ascii(), "{shown}");
            assert_eq!(plain_lines(&text), shown);
            let json = serde_json::to_string(&text).unwrap();
            let plain = plain_json(&json);
            assert!(plain.is_ascii(), "{plain}");
            assert_eq!(serde_json::from_str::<String>(&plain).unwrap(), text);
        }
        assert_eq!(plain_lines("gr\u{fc}n \u{2013}\n\u{6e29}"), "gr\u{fc}n \u{2013}\n\u{6e29}");
    }

    #[test]
    fn a_hidden_value_is_masked_before_the_text_is_cut() {
        let secret = "a-secret-of-the-text-tests";
        secrets::hide(&Secrets::new([secret.into()]));
        for before in MOST - 30..=MOST {
            let text = "x".repeat(before) + secret + "and more";
            let shown = printable(text.as_bytes());
            assert!(!shown.contains("a-se"), "{shown}");
        }
        assert_eq!(
            printable(b"text-tests\r"),
            "***\\x0d",
            "the end of one, at a piece's beginning"
        );
        assert_eq!(escaped(secret.as_bytes()), secret);
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_but_print_comes_out(bytes: Vec<u8>) {
            prop_assert!(printable(&bytes).chars().all(|c| c == '\t' || !c.is_control()));
        }
    }
}
