//! The line from the board to the port, and the trouble that can be put on it.
//!
//! The port may have no reader. As with a real UART, bytes without room are lost (and counted); the
//! firmware never waits.

use std::io;

/// Bytes that wait here, in addition to the 64 KiB of the pseudo terminal.
const WAITING_MOST: usize = 64 * 1024;
/// A flood is generated in pieces of this many bytes.
const PIECE: usize = 16 * 1024;
/// Length of a flood's line with its line end, bytes.
pub const FLOOD_LINE: usize = 64;
/// Digits of the number in a flood's line.
const FLOOD_DIGITS: std::ops::Range<usize> = 6..14;

/// Bytes that are put on the line in addition to the firmware's. Unlike those, they wait for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineTrouble {
    /// Random bytes, the same for the same seed.
    Garbage {
        /// Bytes to send.
        bytes: u64,
        /// Seed of the bytes.
        seed: u64,
    },
    /// Numbered lines of [`FLOOD_LINE`] bytes: `flood 00000000 ...`, or the same without line end.
    Flood {
        /// Bytes to send.
        bytes: u64,
        /// With line ends.
        newline: bool,
    },
}

/// The board's end of the line to the port.
#[derive(Debug, Default)]
pub struct PortLine {
    waiting: Vec<u8>,
    /// Bytes of `waiting` that are sent.
    sent: usize,
    source: Option<Source>,
    /// Bytes without room.
    lost: u64,
    /// The firmware's bytes are dropped.
    pub silent: bool,
}

#[derive(Debug)]
struct Source {
    left: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Garbage(SplitMix64),
    Flood { piece: Vec<u8>, line: u32 },
}

impl PortLine {
    /// Sends bytes, as far as `port` accepts them now; the rest waits as far as there is room.
    pub fn send(&mut self, bytes: &[u8], port: impl FnOnce(&[u8]) -> io::Result<usize>) {
        let mut rest = bytes;
        if self.waiting.is_empty() {
            match port(bytes) {
                Ok(taken) => rest = &bytes[taken..],
                Err(error) => log_error(&error),
            }
        }
        let room = WAITING_MOST - (self.waiting.len() - self.sent).min(WAITING_MOST);
        let (kept, lost) = rest.split_at(rest.len().min(room));
        if self.sent > 0 && !kept.is_empty() {
            self.waiting.drain(..self.sent);
            self.sent = 0;
        }
        self.waiting.extend_from_slice(kept);
        self.lost += lost.len() as u64;
    }

    /// Starts a trouble, in place of a current one.
    pub fn start(&mut self, trouble: LineTrouble) {
        self.source = Some(match trouble {
            LineTrouble::Garbage { bytes, seed } => {
                Source { left: bytes, kind: Kind::Garbage(SplitMix64(seed)) }
            }
            LineTrouble::Flood { bytes, newline } => {
                Source { left: bytes, kind: Kind::Flood { piece: flood_piece(newline), line: 0 } }
            }
        });
    }

    /// Ends trouble and silence.
    pub fn normal(&mut self) {
        self.source = None;
        self.silent = false;
    }

    /// Bytes that were lost since the start.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Bytes of a trouble that are not sent yet.
    pub fn trouble_left(&self) -> u64 {
        self.source.as_ref().map_or(0, |source| source.left)
    }

    /// Whether there is something to send when the port accepts bytes.
    pub fn has_more(&self) -> bool {
        !self.waiting.is_empty() || self.source.is_some()
    }

    /// Sends waiting bytes, as far as the port accepts them.
    pub fn flush(&mut self, port: impl FnOnce(&[u8]) -> io::Result<usize>) {
        if self.waiting.is_empty() {
            self.refill();
        }
        match port(&self.waiting[self.sent..]) {
            Ok(taken) => self.sent += taken,
            Err(error) => log_error(&error),
        }
        if self.sent == self.waiting.len() {
            self.waiting.clear();
            self.sent = 0;
            // Frees a burst's memory; the next one may be far away.
            self.waiting.shrink_to(PIECE);
        }
    }

    fn refill(&mut self) {
        let Some(source) = &mut self.source else { return };
        let length = source.left.min(PIECE as u64) as usize;
        match &mut source.kind {
            Kind::Garbage(random) => {
                self.waiting.extend(std::iter::repeat_with(|| random.next() as u8).take(length));
            }
            Kind::Flood { piece, line } => {
                for text in piece.chunks_exact_mut(FLOOD_LINE) {
                    let mut number = *line;
                    for digit in text[FLOOD_DIGITS].iter_mut().rev() {
                        *digit = b'0' + (number % 10) as u8;
                        number /= 10;
                    }
                    *line = line.wrapping_add(1);
                }
                self.waiting.extend_from_slice(&piece[..length]);
            }
        }
        source.left -= length as u64;
        if source.left == 0 {
            self.source = None;
        }
    }
}

fn log_error(error: &io::Error) {
    if error.kind() != io::ErrorKind::WouldBlock {
        tracing::warn!(%error, "writing to the pseudo terminal failed");
    }
}

fn flood_piece(newline: bool) -> Vec<u8> {
    let mut line = *b"flood 00000000 the quick brown fox jumps over the lazy dog 0123\r\n";
    let [.., a, b] = &mut line;
    if !newline {
        (*a, *b) = (b'.', b' ');
    }
    // One letter less, so that lines divide a piece evenly.
    let mut text = line.to_vec();
    text.remove(15);
    text.repeat(PIECE / FLOOD_LINE)
}

/// Random numbers from a seed (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number
/// Generators"): small, and the same on all machines.
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(line: &mut PortLine) -> Vec<u8> {
        let mut out = Vec::new();
        while line.has_more() {
            line.flush(|bytes| {
                let taken = bytes.len().min(1000);
                out.extend_from_slice(&bytes[..taken]);
                Ok(taken)
            });
        }
        out
    }

    fn full(_: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    #[test]
    fn what_finds_no_room_is_counted_and_nothing_is_reordered() {
        let mut line = PortLine::default();
        line.send(b"ab", |bytes| Ok(bytes.len() - 1));
        line.send(&[b'c'; WAITING_MOST], full);
        assert_eq!(line.lost(), 1);
        line.flush(|_| Ok(10));
        line.send(&[b'd'; 20], full);
        assert_eq!(line.lost(), 11);
        let rest = all(&mut line);
        assert_eq!(rest.len(), WAITING_MOST);
        assert_eq!((rest[0], &rest[WAITING_MOST - 11..]), (b'c', b"cdddddddddd".as_slice()));
    }

    #[test]
    fn a_flood_is_numbered_lines_and_ends() {
        let mut line = PortLine::default();
        line.start(LineTrouble::Flood { bytes: 100_000, newline: true });
        let flood = all(&mut line);
        assert_eq!(flood.len(), 100_000);
        for (number, text) in flood.chunks_exact(FLOOD_LINE).enumerate() {
            assert!(text.starts_with(format!("flood {number:08} ").as_bytes()));
            assert!(text.ends_with(b"\r\n"));
        }
        line.start(LineTrouble::Flood { bytes: 100_000, newline: false });
        assert!(!all(&mut line).contains(&b'\n'));
    }

    #[test]
    fn garbage_is_the_same_for_a_seed() {
        let garbage = |seed| {
            let mut line = PortLine::default();
            line.start(LineTrouble::Garbage { bytes: 40_000, seed });
            all(&mut line)
        };
        assert_eq!(garbage(1), garbage(1));
        assert_ne!(garbage(1), garbage(2));
        assert_eq!(garbage(1).len(), 40_000);
    }
}
