//! Detects the end of the ROM's boot text, when the port has to be set to the firmware's rate.
//!
//! An ESP8266 with a 26 MHz crystal prints its boot text at 74880 baud: the ROM expects 40 MHz, so its
//! 115200 are slower. The firmware that it starts sets its own rate. A port reads at one rate at a time, so
//! it has to change between the two, at one of:
//!
//! - the line `~ld`, with which the second stage of the Arduino core's images ends;
//! - a byte that is no text after the ROM's line: the firmware prints already, at its own rate;
//! - silence: a firmware needs longer to start than the ROM pauses between two lines.
//!
//! What a firmware prints before the change is garbage. A restart by the hardware watchdog or by the
//! firmware itself is read at the firmware's rate: the rig does not know of it in advance.

use std::time::Duration;

/// Silence that ends the text. The ROM pauses for a few milliseconds at most; an adapter may delay bytes
/// by 16 (FTDI's latency timer). A firmware on the SDK prints some 100 ms after it.
pub const QUIET: Duration = Duration::from_millis(40);
/// The ROM prints within a few milliseconds of EN's rise. Without its text by then, the rate is not the
/// ROM's, or the chip's ROM prints nothing.
pub const START: Duration = Duration::from_millis(500);

const START_LINE: &[u8] = b"rst cause:";
const LAST_LINE: &[u8] = b"~ld";
/// The part of a line that is kept.
const LINE_MOST: usize = 120;

/// Follows the text of one start.
#[derive(Debug, Default)]
pub struct RomText {
    line: Vec<u8>,
    started: bool,
}

impl RomText {
    /// Whether the ROM has printed why it starts.
    pub fn has_started(&self) -> bool {
        self.started
    }

    /// Processes bytes. True when the text is over.
    pub fn feed(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| self.byte(*byte))
    }

    fn byte(&mut self, byte: u8) -> bool {
        if byte == b'\n' || byte == b'\r' {
            let last = self.started && self.line == LAST_LINE;
            self.line.clear();
            return last;
        }
        // The firmware's last output before the reset had another rate: garbage before the start does not count.
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
