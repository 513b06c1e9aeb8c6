//! Text from outside, made safe to show.
//!
//! What a board or a broker sends is untrusted. Before a byte of it reaches a terminal, an event
//! or a report, it passes through here: control bytes (an ESC would drive the terminal) and bytes
//! that are no UTF-8 come out as `\xNN`, and the length is bounded.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The most of one foreign text that an event or a message carries, in bytes.
pub const MOST: usize = 2048;

/// `bytes` as printable text of bounded length.
pub fn printable(bytes: &[u8]) -> String {
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
        let _ = write!(out, "... ({cut} bytes more)");
    }
    out
}

/// Whether a character can be shown as it is.
pub fn is_plain(c: char) -> bool {
    // Besides the control characters proper: the marks that reorder the text around them, so that
    // a line could read as something that it is not.
    let steers =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c == '\t' || !(c.is_control() || steers)
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

/// Values that must be in no log, event or report.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Empty values are dropped: they would match everywhere.
    pub fn new(values: impl IntoIterator<Item = String>) -> Secrets {
        let mut values: Vec<String> = values.into_iter().filter(|v| !v.is_empty()).collect();
        // The longest first, so that a secret that contains another is masked whole.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
        Secrets(values)
    }

    /// `text` with every secret replaced.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), "***"));
            }
        }
        text
    }

    /// The values themselves, for masking raw bytes.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|value| value.as_bytes())
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
    fn secrets_are_masked_and_an_empty_one_is_none() {
        let secrets = Secrets::new(["hunter2".into(), String::new(), "hunter2hunter2".into()]);
        assert_eq!(secrets.mask("pw hunter2hunter2, hunter2"), "pw ***, ***");
        assert_eq!(secrets.mask("nothing"), "nothing");
    }

    proptest! {
        #[test]
        fn whatever_comes_nothing_but_print_comes_out(bytes: Vec<u8>) {
            prop_assert!(printable(&bytes).chars().all(|c| c == '\t' || !c.is_control()));
        }
    }
}
