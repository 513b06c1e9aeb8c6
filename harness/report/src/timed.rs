//! A boot log for people: each line with its time, and nothing in it that drives a terminal.

use hilrig_core::text::is_plain;

/// Turns a stream of bytes into printable lines. Lines are those of the raw log: one for each
/// `\n`, so that a line number holds for both.
#[derive(Debug, Default)]
pub(crate) struct TimedPrinter {
    /// Something of the current line was written.
    open: bool,
    /// Carriage returns whose meaning the next byte decides.
    returns: usize,
    /// The beginning of a character that the next chunk goes on with.
    part: Vec<u8>,
    /// The stamp of a line of the time `stamped`.
    stamp: String,
    stamped: f64,
}

/// A board that sends nothing but carriage returns must not pile them up here.
const MOST_RETURNS: usize = 64;

impl TimedPrinter {
    /// Adds what `bytes`, which came at `seconds`, become.
    pub fn feed(&mut self, seconds: f64, bytes: &[u8], out: &mut Vec<u8>) {
        if self.part.is_empty() {
            self.lines(seconds, bytes, out);
        } else {
            let mut joined = std::mem::take(&mut self.part);
            joined.extend_from_slice(bytes);
            self.lines(seconds, &joined, out);
        }
    }

    /// Ends the stream: what was kept back is written, and the last line is closed.
    pub fn finish(&mut self, seconds: f64, out: &mut Vec<u8>) {
        let part = std::mem::take(&mut self.part);
        if !part.is_empty() {
            self.text(seconds, &part, out);
        }
        self.shown_returns(seconds, out);
        if self.open {
            out.push(b'\n');
            self.open = false;
        }
    }

    fn lines(&mut self, seconds: f64, mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.piece(seconds, &bytes[..end], out);
            // The returns before a line end are part of it: `\r\n`, and the `\r\r\n` of some cores.
            self.returns = 0;
            self.begin(seconds, out);
            out.push(b'\n');
            self.open = false;
            bytes = &bytes[end + 1..];
        }
        let part = unfinished(bytes);
        let (whole, part) = bytes.split_at(bytes.len() - part);
        self.piece(seconds, whole, out);
        self.part.extend_from_slice(part);
    }

    /// A piece of a line.
    fn piece(&mut self, seconds: f64, bytes: &[u8], out: &mut Vec<u8>) {
        let returns = bytes.iter().rev().take_while(|b| **b == b'\r').count();
        let text = &bytes[..bytes.len() - returns];
        if !text.is_empty() {
            self.shown_returns(seconds, out);
            self.text(seconds, text, out);
        }
        self.returns += returns;
        if self.returns > MOST_RETURNS {
            self.shown_returns(seconds, out);
        }
    }

    fn shown_returns(&mut self, seconds: f64, out: &mut Vec<u8>) {
        if self.returns > 0 {
            self.begin(seconds, out);
            for _ in 0..std::mem::take(&mut self.returns) {
                out.extend_from_slice(b"\\x0d");
            }
        }
    }

    fn begin(&mut self, seconds: f64, out: &mut Vec<u8>) {
        if !self.open {
            self.open = true;
            // All lines of a chunk have one time; a flood of line ends would spend its time here.
            if self.stamp.is_empty() || self.stamped != seconds {
                self.stamp = format!("[{seconds:>11.6}] ");
                self.stamped = seconds;
            }
            out.extend_from_slice(self.stamp.as_bytes());
        }
    }

    fn text(&mut self, seconds: f64, bytes: &[u8], out: &mut Vec<u8>) {
        self.begin(seconds, out);
        push_printable(bytes, out);
    }
}

/// The same as `core::text::printable`, for a text of any length. Floods come through here, so what
/// is plain is copied in runs, and single bytes are written without a formatter.
fn push_printable(bytes: &[u8], out: &mut Vec<u8>) {
    let ascii = |b: u8| matches!(b, b'\t' | b' '..=b'~');
    let mut at = 0;
    while let Some(first) = bytes.get(at) {
        if ascii(*first) {
            let run = bytes[at..].iter().position(|b| !ascii(*b)).unwrap_or(bytes.len() - at);
            out.extend_from_slice(&bytes[at..at + run]);
            at += run;
            continue;
        }
        let length = match first {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        let piece = bytes.get(at..at + length).and_then(|piece| std::str::from_utf8(piece).ok());
        match piece {
            Some(c) if c.chars().all(is_plain) => out.extend_from_slice(c.as_bytes()),
            Some(c) => push_hex(c.as_bytes(), out),
            None => push_hex(&bytes[at..=at], out),
        }
        at += piece.map_or(1, str::len);
    }
}

fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        let [high, low] = [byte >> 4, byte & 15].map(|n| DIGITS[usize::from(n)]);
        out.extend_from_slice(&[b'\\', b'x', high, low]);
    }
}

/// The length of the beginning of a UTF-8 character that `bytes` end with.
fn unfinished(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    let Some(at) = tail.iter().rposition(|b| *b >= 0xc0) else { return 0 };
    let length = match tail[at] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let there = tail.len() - at;
    let goes_on = tail[at + 1..].iter().all(|b| (0x80..=0xbf).contains(b));
    if goes_on && there < length { there } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilrig_core::text::{MOST, printable};
    use proptest::prelude::*;

    fn timed(chunks: &[(f64, &[u8])]) -> String {
        let mut timed = TimedPrinter::default();
        let mut out = Vec::new();
        for (seconds, bytes) in chunks {
            timed.feed(*seconds, bytes, &mut out);
        }
        timed.finish(9.0, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_line_has_the_time_of_its_first_byte() {
        let text = timed(&[(0.1234567, b"ESP8266 I"), (0.5, b"P: 1\r\n\r\n"), (12.25, b"last")]);
        assert_eq!(text, "[   0.123457] ESP8266 IP: 1\n[   0.500000] \n[  12.250000] last\n");
    }

    #[test]
    fn returns_before_a_line_end_go_and_others_are_reported() {
        assert_eq!(
            timed(&[(0.0, b"a\r"), (0.0, b"\r\nb\rc\r")]),
            "[   0.000000] a\n[   0.000000] b\\x0dc\\x0d\n"
        );
        let flood = vec![b'\r'; 1000];
        let text = timed(&[(0.0, &flood), (0.0, &flood)]);
        assert_eq!(text.matches("\\x0d").count(), 2000);
    }

    #[test]
    fn no_escape_gets_through_and_a_character_across_chunks_stays_whole() {
        let text =
            timed(&[(0.0, b"\x1b[31mred\x07 \xe2\x80"), (0.0, b"\x93 SDK\xff\xe2"), (0.0, b"(")]);
        assert_eq!(text, "[   0.000000] \\x1b[31mred\\x07 \u{2013} SDK\\xff\\xe2(\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn cuts_change_nothing(text in prop::collection::vec(prop_oneof![
            Just(b"\r".to_vec()), Just(b"\n".to_vec()), Just("\u{2013}\u{202e}\u{1f600}".as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..8),
        ], 0..20), cut in 1usize..7) {
            let text = text.concat();
            let cuts: Vec<(f64, &[u8])> = text.chunks(cut).map(|c| (0.0, c)).collect();
            let shown = timed(&cuts);
            prop_assert_eq!(&shown, &timed(&[(0.0, &text)]));
            prop_assert!(shown.chars().all(|c| c == '\t' || c == '\n' || !c.is_control()));
            let ends = text.iter().filter(|b| **b == b'\n').count();
            let open = usize::from(!text.is_empty() && !text.ends_with(b"\n"));
            prop_assert_eq!(shown.matches('\n').count(), ends + open);
        }

        #[test]
        fn it_reads_as_every_other_text_of_a_board_does(bytes in prop::collection::vec(any::<u8>(), 0..MOST)) {
            let mut out = Vec::new();
            push_printable(&bytes, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), printable(&bytes));
        }

        #[test]
        fn a_long_text_is_not_cut(text in "[\u{80}-\u{10ffff}]{900,1200}") {
            let mut out = Vec::new();
            push_printable(text.as_bytes(), &mut out);
            let shown = String::from_utf8(out).unwrap();
            prop_assert!(!shown.contains("bytes more"));
            let whole: String = text.chars().map(|c| printable(c.to_string().as_bytes())).collect();
            prop_assert_eq!(shown, whole);
        }
    }
}
