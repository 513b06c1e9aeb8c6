//! From a stream of bytes to numbered lines, the same ones however the stream is cut.

/// The most of one line that is looked at, bytes. The longest crash text is a `Backtrace:` of 100
/// entries, 2,200 bytes; what stands behind is passed over.
pub const MOST: usize = 4096;

/// Cuts a stream into lines.
#[derive(Debug, Default)]
pub struct Lines {
    held: Vec<u8>,
    number: u64,
}

impl Lines {
    /// Takes a chunk and hands on each line that ends in it, with its number.
    pub fn feed(&mut self, chunk: &[u8], mut line: impl FnMut(u64, &[u8])) {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match piece {
                [text @ .., b'\n'] => (text, true),
                text => (text, false),
            };
            let room = MOST - self.held.len();
            self.held.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                self.number += 1;
                line(self.number, &self.held);
                self.held.clear();
            }
        }
    }

    /// Lines that were handed on.
    pub fn count(&self) -> u64 {
        self.number
    }

    /// Hands on what stands there without a line end.
    pub fn finish(&mut self, mut line: impl FnMut(u64, &[u8])) {
        if !self.held.is_empty() {
            self.number += 1;
            line(self.number, &self.held);
            self.held.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_never_ends_is_held_to_its_bound() {
        for chunk in [1, 7, MOST, 3 * MOST] {
            let mut lines = Lines::default();
            let mut seen = Vec::new();
            let mut bytes = vec![b'x'; 3 * MOST];
            bytes.extend(b"\nshort");
            for chunk in bytes.chunks(chunk) {
                lines.feed(chunk, |number, line| seen.push((number, line.len())));
                assert!(lines.held.len() <= MOST);
            }
            lines.finish(|number, line| seen.push((number, line.len())));
            assert_eq!(seen, [(1, MOST), (2, 5)], "in chunks of {chunk}");
            assert_eq!(lines.count(), 2);
        }
    }
}
