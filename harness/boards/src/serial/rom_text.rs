//! When the ROM's boot text is over, and the port has to be set to the firmware's rate.
//!
//! An ESP8266 with a 26 MHz crystal prints its boot text at 74880 baud: the ROM counts on 40 MHz, so
//! that its 115200 come out slower. The firmware that it starts sets a rate of its own. One port reads at one
//! rate only, so it has to be changed between the two, by what is seen:
//!
//! - the line `~ld`, with which the second stage of the Arduino core's images ends;
//! - a byte that is no text behind the ROM's line: the firmware speaks already, at its own rate;
//! - silence: a chip needs longer to start its firmware than the ROM pauses between two lines.
//!
//! What a firmware says before the change is garbage. One that is reset by its hardware watchdog, or restarts by itself, is read at its own rate
//! throughout: nothing tells the rig beforehand.

use std::time::Duration;

/// Silence that ends the text. The ROM pauses for a few milliseconds at most; an adapter may hold
/// bytes back for 16 (FTDI's latency timer). A firmware on the SDK speaks some 100 ms after it.
pub const QUIET: Duration = Duration::from_millis(40);
/// The ROM speaks within a few milliseconds of EN's rise. Where nothing that is its text came by
/// then, the rate is not the ROM's or the chip is none that speaks.
pub const START: Duration = Duration::from_millis(500);

const START_LINE: &[u8] = b"rst cause:";
const LAST_LINE: &[u8] = b"~ld";
/// Of a line, as much as tells it.
const LINE_MOST: usize = 120;

/// Follows the text of one start.
#[derive(Debug, Default)]
pub struct RomText {
    line: Vec<u8>,
    started: bool,
}

impl RomText {
    /// Whether the ROM has told why it starts.
    pub fn has_started(&self) -> bool {
        self.started
    }

    /// Takes what came. True when the text is over.
    pub fn feed(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| self.byte(*byte))
    }

    fn byte(&mut self, byte: u8) -> bool {
        if byte == b'\n' || byte == b'\r' {
            let last = self.started && self.line == LAST_LINE;
            self.line.clear();
            return last;
        }
        // The firmware's last words before the reset came at another rate: garbage before the start is nobody's.
        let text = byte == b'\t' || (0x20..0x7F).contains(&byte);
        if self.started {
            self.keep(byte);
            return !text;
        }
        self.keep(byte);
        self.started = self.line.ends_with(START_LINE);
        false
    }

    fn keep(&mut self, byte: u8) {
        if self.line.len() == LINE_MOST {
            self.line.drain(..LINE_MOST / 2);
        }
        self.line.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOOT: &[u8] = b"\x8f\xff\n ets Jan  8 2013,rst cause:2, boot mode:(3,6)\r\n\r\n\
        load 0x4010f000, len 1384, room 16 \r\ntail 8\r\nchksum 0x2d\r\ncsum 0x2d\r\nvffff\r\n~ld\r\n";

    /// How many bytes were taken when the text was over.
    fn over_at(bytes: &[u8], cut: usize) -> Option<usize> {
        let mut text = RomText::default();
        let mut taken = 0;
        for piece in bytes.chunks(cut) {
            taken += piece.len();
            if text.feed(piece) {
                return Some(taken);
            }
        }
        None
    }

    #[test]
    fn it_ends_with_the_second_stage_wherever_it_is_cut() {
        assert_eq!(over_at(BOOT, 1), Some(BOOT.len() - 1));
        for cut in 1..BOOT.len() {
            assert!(over_at(BOOT, cut).is_some(), "cut at {cut}");
        }
    }

    #[test]
    fn it_ends_where_the_firmware_speaks_and_not_with_garbage_before_the_start() {
        let csum = BOOT.windows(4).position(|at| at == b"vfff").unwrap();
        assert_eq!(over_at(&BOOT[..csum], 1), None);
        let spoken = [&BOOT[..csum], b"\xf1 more"].concat();
        assert_eq!(over_at(&spoken, 1), Some(csum + 1));
        assert_eq!(over_at(b"\x00\xff~ld\r\n\x80 no start", 1), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_grow(bytes: Vec<u8>) {
            let mut text = RomText::default();
            for _ in 0..20 {
                text.feed(&bytes);
                prop_assert!(text.line.len() <= LINE_MOST);
            }
        }
    }
}
