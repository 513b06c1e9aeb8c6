//! From a stream of bytes to numbered lines, the same ones however the stream is cut.
//!
//! LF, CRLF and CRCRLF end a line. So do a CR without an LF after it, NEL (U+0085) and the
//! separators U+2028 and U+2029. Lines are numbered by their LF, as `grep -n` and a run's record
//! number them; a stream is numbered by its other line ends until its first LF comes.

/// The most of one line that is looked at, bytes. The longest crash text is a `Backtrace:` of 100
/// entries, 2,200 bytes; what follows is passed over.
pub const MOST: usize = 4096;

/// The line ends of Unicode, in UTF-8.
const ENDS: [&[u8]; 3] = [b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9"];

/// Cuts a stream into lines.
#[derive(Debug, Default)]
pub struct LineSplitter {
    line: Vec<u8>,
    /// The last bytes of a chunk, where they may begin one of [`ENDS`].
    begun: Vec<u8>,
    /// CRs that came last: only the next byte shows whether they belong to an LF.
    returns: u64,
    feeds: u64,
    /// Line ends of other kinds.
    others: u64,
}

impl LineSplitter {
    /// Takes a chunk and hands on each line that ends in it, with its number.
    pub fn feed(&mut self, chunk: &[u8], mut line: impl FnMut(u64, &[u8])) {
        if self.begun.is_empty() {
            return self.take(chunk, &mut line);
        }
        let mut whole = std::mem::take(&mut self.begun);
        whole.extend_from_slice(chunk);
        self.take(&whole, &mut line);
    }

    fn take(&mut self, mut bytes: &[u8], line: &mut dyn FnMut(u64, &[u8])) {
        while let Some(&first) = bytes.first() {
            if self.returns > 0 && first != b'\r' && first != b'\n' {
                self.end_by_returns(line);
            }
            let end = memchr::memchr2(b'\n', b'\r', bytes);
            let (text, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            let text = self.end_by_unicode(text, line);
            match rest.first() {
                None => {
                    let begun = text.len() - unfinished(text);
                    self.push(&text[..begun]);
                    self.begun.extend_from_slice(&text[begun..]);
                    return;
                }
                Some(b'\n') => {
                    self.push(text);
                    self.returns = 0;
                    line(self.number(), &self.line);
                    self.line.clear();
                    self.feeds += 1;
                }
                Some(_) => {
                    self.push(text);
                    self.returns += 1;
                }
            }
            bytes = &rest[1..];
        }
    }

    fn push(&mut self, text: &[u8]) {
        let room = MOST - self.line.len();
        self.line.extend_from_slice(&text[..text.len().min(room)]);
    }

    /// Ends a line at each of [`ENDS`] in `text`, and returns what follows the last.
    fn end_by_unicode<'t>(&mut self, text: &'t [u8], line: &mut dyn FnMut(u64, &[u8])) -> &'t [u8] {
        let (mut rest, mut from) = (text, 0);
        while let Some(at) = memchr::memchr2(0xc2, 0xe2, &rest[from..]) {
            let at = from + at;
            match ENDS.iter().find(|end| rest[at..].starts_with(end)) {
                None => from = at + 1,
                Some(end) => {
                    self.push(&rest[..at]);
                    self.end_by_other(line);
                    rest = &rest[at + end.len()..];
                    from = 0;
                }
            }
        }
        rest
    }

    fn end_by_returns(&mut self, line: &mut dyn FnMut(u64, &[u8])) {
        for _ in 0..std::mem::take(&mut self.returns) {
            self.end_by_other(line);
        }
    }

    fn end_by_other(&mut self, line: &mut dyn FnMut(u64, &[u8])) {
        line(self.number(), &self.line);
        self.line.clear();
        self.others += 1;
    }

    /// The number of the line that is coming.
    fn number(&self) -> u64 {
        1 + if self.feeds > 0 { self.feeds } else { self.others }
    }

    /// Lines that were handed on, by the numbers that they have.
    pub fn count(&self) -> u64 {
        self.number() - 1
    }

    /// Hands on what has no line end.
    pub fn finish(&mut self, mut line: impl FnMut(u64, &[u8])) {
        let begun = std::mem::take(&mut self.begun);
        self.push(&begun);
        self.end_by_returns(&mut line);
        // In UTF-16 half a character may follow the last line end.
        if !matches!(self.line[..], [] | [0]) {
            line(self.number(), &self.line);
            self.line.clear();
            // It counts as a line, too.
            match self.feeds {
                0 => self.others += 1,
                _ => self.feeds += 1,
            }
        }
    }
}

/// How many bytes at the end of `text` may begin one of [`ENDS`].
fn unfinished(text: &[u8]) -> usize {
    (1..=2.min(text.len()))
        .rev()
        .find(|n| {
            let last = &text[text.len() - n..];
            ENDS.iter().any(|end| end.len() > *n && end.starts_with(last))
        })
        .unwrap_or(0)
}

/// The lines within `line`, which has no LF: see [`LineSplitter`].
pub fn within(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut from = 0;
        while let Some(at) = memchr::memchr3(b'\r', 0xc2, 0xe2, &text[from..]) {
            let at = from + at;
            let end = match text[at] {
                // CRs that end the line belong to its LF.
                b'\r' if text[at..].iter().any(|byte| *byte != b'\r') => 1,
                b'\r' => {
                    rest = None;
                    return Some(&text[..at]);
                }
                _ => ENDS.iter().find(|end| text[at..].starts_with(end)).map_or(0, |end| end.len()),
            };
            if end > 0 {
                rest = Some(&text[at + end..]);
                return Some(&text[..at]);
            }
            from = at + 1;
        }
        rest = None;
        Some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(chunks: &[&[u8]]) -> (Vec<(u64, String)>, u64) {
        let mut lines = LineSplitter::default();
        let mut seen = Vec::new();
        let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
        for chunk in chunks {
            lines.feed(chunk, |number, line| seen.push((number, text(line))));
        }
        lines.finish(|number, line| seen.push((number, text(line))));
        (seen, lines.count())
    }

    fn texts(log: &[u8]) -> Vec<String> {
        lines(&[log]).0.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn a_line_that_never_ends_is_cut_at_its_bound() {
        for chunk in [1, 7, MOST, 3 * MOST] {
            let mut lines = LineSplitter::default();
            let mut seen = Vec::new();
            let mut bytes = vec![b'x'; 3 * MOST];
            bytes.extend(b"\nshort");
            for chunk in bytes.chunks(chunk) {
                lines.feed(chunk, |number, line| seen.push((number, line.len())));
                assert!(lines.line.len() <= MOST);
            }
            lines.finish(|number, line| seen.push((number, line.len())));
            assert_eq!(seen, [(1, MOST), (2, 5)], "in chunks of {chunk}");
            assert_eq!(lines.count(), 2);
        }
    }

    #[test]
    fn every_kind_of_line_end_ends_a_line() {
        for end in ["\n", "\r\n", "\r\r\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"] {
            let log = format!("a{end}b{end}c");
            let (seen, count) = lines(&[log.as_bytes()]);
            let expected = [(1, "a".to_owned()), (2, "b".to_owned()), (3, "c".to_owned())];
            assert_eq!((seen, count), (expected.to_vec(), 3), "{end:?}");
        }
        assert_eq!(texts(b"a\r\rb\r"), ["a", "", "b"]);
        assert_eq!(texts(b"\r\n\r\n"), ["", ""]);
        assert_eq!(texts("a \u{b0} \u{2192} b".as_bytes()), ["a \u{b0} \u{2192} b"]);
    }

    #[test]
    fn lines_are_numbered_by_their_lf_where_there_are_some() {
        let numbers = |log: &[u8]| lines(&[log]).0.into_iter().map(|(n, _)| n).collect::<Vec<_>>();
        assert_eq!(numbers(b"one\n10 %\r20 %\r\nthree"), [1, 2, 2, 3]);
        assert_eq!(numbers(b"one\rtwo\rthree\r"), [1, 2, 3]);
        assert_eq!(numbers(b"\rnoise\none\n"), [1, 2, 2]);
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_the_stream_is_cut(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    &b"a"[..], b"text", b"\r", b"\n", b"\xc2", b"\x85", b"\xe2", b"\x80", b"\xa8",
                    b"\xc2\x85", b"\xe2\x80\xa9",
                ]),
                0..30,
            ),
        ) {
            let log = pieces.concat();
            let whole = lines(&[&log]);
            prop_assert_eq!(&lines(&pieces), &whole);
            let bytes: Vec<&[u8]> = log.chunks(1).collect();
            prop_assert_eq!(&lines(&bytes), &whole);
            // A line of a run, which is cut at its LF before, has the same lines within.
            let mut within_lines: Vec<String> = Vec::new();
            for line in log.split_inclusive(|byte| *byte == b'\n') {
                let ended = line.ends_with(b"\n");
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                let all = within(line).map(|line| String::from_utf8_lossy(line).into_owned());
                within_lines.extend(all);
                if !ended && within_lines.last().is_some_and(String::is_empty) {
                    within_lines.pop();
                }
            }
            let blank = |lines: Vec<String>| {
                lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>()
            };
            let texts = whole.0.into_iter().map(|(_, text)| text).collect();
            prop_assert_eq!(blank(within_lines), blank(texts));
        }
    }
}
