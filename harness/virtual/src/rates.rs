//! A line with a rate: bytes that are sent at one rate and read at another are garbage.
//!
//! A pseudo terminal ignores the rates of its two ends. With this between them it behaves as the line to
//! an ESP8266: the ROM's boot text comes at 74880 baud (26 MHz crystal;
//! after a hardware watchdog's reset at 115200), the firmware at its own rate, and the loader
//! measures its client's rate at the first SYNC after a reset and keeps it.

use std::time::Duration;

use tokio::time::Instant;

/// Of the boot text, baud.
pub const ROM: u32 = 74_880;
const AFTER_WATCHDOG: u32 = 115_200;
/// A UART reads bytes of a similar rate as long as it samples the last bit within that bit.
const TOLERANCE: f64 = 0.03;
/// Between the ROM's output and the firmware's, a chip starts its SDK. Here that takes until the client
/// has changed its rate, and this long at most.
const STARTING: Duration = Duration::from_secs(2);
/// Interval between checks of the client's rate: there is no event of a change.
const LOOK: Duration = Duration::from_millis(2);
/// The most bytes that wait meanwhile.
const WAITING_MOST: usize = 64 * 1024;
/// Above the highest rate of the line, this many bytes arrive and the next one does not.
const BETWEEN_LOSSES: u32 = 100;

/// The rates of a board's line.
#[derive(Debug)]
pub struct LineRates {
    /// The firmware's, baud.
    firmware: u32,
    /// The highest rate at which bytes get to the board whole.
    most: Option<u32>,
    /// The rate that the loader has measured.
    loader: Option<u32>,
    uart: Uart,
    /// The CPU's output after the boot text.
    waiting: Vec<u8>,
    /// Until when it waits.
    starting: Option<Instant>,
    since_loss: u32,
}

impl LineRates {
    /// A line to a firmware that prints at `firmware` baud. Above `most` it loses bytes.
    pub fn new(firmware: u32, most: Option<u32>) -> LineRates {
        LineRates {
            firmware,
            most,
            loader: None,
            uart: Uart::default(),
            waiting: Vec::new(),
            starting: None,
            since_loss: 0,
        }
    }

    /// The board was reset from outside or switched off: waiting output is dropped.
    pub fn reset(&mut self) {
        (self.loader, self.starting) = (None, None);
    }

    /// The loader has read a SYNC that came at `baud`.
    pub fn measured(&mut self, baud: u32) {
        self.loader.get_or_insert(baud);
    }

    /// A client's `bytes` at `baud` as the loader reads them.
    pub fn client_to_loader(&mut self, bytes: &[u8], baud: u32) -> Vec<u8> {
        let lossy = self.most.is_some_and(|most| baud > most);
        let mut got = carried(bytes, baud, self.loader.unwrap_or(baud));
        if lossy {
            got.retain(|_| {
                self.since_loss = (self.since_loss + 1) % (BETWEEN_LOSSES + 1);
                self.since_loss != 0
            });
        }
        got
    }

    /// A client's `bytes` at `baud` as the firmware reads them.
    pub fn client_to_firmware(&self, bytes: &[u8], baud: u32) -> Vec<u8> {
        carried(bytes, baud, self.firmware)
    }

    /// The loader's `bytes` as a client reads them at `baud`.
    pub fn loader_to_client(&self, bytes: &[u8], baud: u32) -> Vec<u8> {
        carried(bytes, self.loader.unwrap_or(ROM), baud)
    }

    /// The ROM's text before the loader as a client reads it at `baud`.
    pub fn rom_to_client(&self, bytes: &[u8], baud: u32) -> Vec<u8> {
        carried(bytes, ROM, baud)
    }

    /// The CPU's output, boot text and firmware, as a client reads it at `baud`.
    pub fn cpu_to_client(&mut self, bytes: &[u8], baud: u32) -> Vec<u8> {
        let room = WAITING_MOST - self.waiting.len().min(WAITING_MOST);
        self.waiting.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.waited(baud)
    }

    /// The waiting output, if the client's rate is the firmware's now or the wait took too long.
    pub fn waited(&mut self, baud: u32) -> Vec<u8> {
        let mut out = Vec::new();
        while !self.waiting.is_empty() {
            if let Some(until) = self.starting {
                if !near(baud, self.firmware) && Instant::now() < until {
                    break;
                }
                self.starting = None;
            }
            let (taken, rom) = self.uart.piece(&self.waiting);
            if taken == 0 {
                break;
            }
            let piece: Vec<u8> = self.waiting.drain(..taken).collect();
            out.extend(carried(&piece, rom.unwrap_or(self.firmware), baud));
            if self.uart.rom_is_over() {
                self.starting = Some(Instant::now() + STARTING);
            }
        }
        out
    }

    /// Waits until the next check of the waiting output; forever where there is none.
    pub async fn look(&self) {
        match self.starting {
            Some(_) if !self.waiting.is_empty() => tokio::time::sleep(LOOK).await,
            _ => std::future::pending().await,
        }
    }
}

/// Distinguishes the ROM's lines from the firmware's in the output of the CPU's UART.
#[derive(Debug, Default)]
struct Uart {
    /// The rate of the current boot text.
    rom: Option<u32>,
    over: bool,
}

impl Uart {
    /// How many of the bytes belong together, and the ROM's rate if they are the ROM's. None while a line that
    /// may be the ROM's first is not complete.
    fn piece(&mut self, bytes: &[u8]) -> (usize, Option<u32>) {
        const FIRST: &[u8] = b" ets Jan  8 2013,rst cause:";
        const LAST: [&[u8]; 2] = [b"~ld", b"ets_main.c "];
        let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let line = &bytes[..end.unwrap_or(bytes.len())];
        let may_be_first = line.starts_with(FIRST) || (end.is_none() && FIRST.starts_with(line));
        if may_be_first {
            let Some(end) = end else { return (0, None) };
            let watchdog = line[FIRST.len()..].first() == Some(&b'4');
            self.rom = Some(if watchdog { AFTER_WATCHDOG } else { ROM });
            return (end, self.rom);
        }
        let Some(rom) = self.rom else { return (line.len(), None) };
        // The boot text comes in whole lines.
        let Some(end) = end else { return (0, None) };
        if LAST.iter().any(|last| line.starts_with(last)) {
            (self.rom, self.over) = (None, true);
        }
        (end, Some(rom))
    }

    /// Whether the piece before was the last of the ROM's; once.
    fn rom_is_over(&mut self) -> bool {
        std::mem::take(&mut self.over)
    }
}

fn near(a: u32, b: u32) -> bool {
    (f64::from(a) / f64::from(b.max(1)) - 1.0).abs() < TOLERANCE
}

/// Bytes that are sent at `from`, one after the other, as read at `to`.
fn carried(bytes: &[u8], from: u32, to: u32) -> Vec<u8> {
    if near(from, to) || from == 0 || to == 0 {
        return bytes.to_vec();
    }
    // Time is counted in bits of the sender: start (low), eight from the lowest up, stop (high).
    let level = |time: f64| {
        let bit = time as usize;
        match (bytes.get(bit / 10), bit % 10) {
            (None, _) | (_, 9) => true,
            (_, 0) => false,
            (Some(byte), bit) => byte >> (bit - 1) & 1 != 0,
        }
    };
    let end = bytes.len() as f64 * 10.0;
    let bit = f64::from(from) / f64::from(to);
    // An edge is seen with the sixteenfold clock of the usual UART.
    let tick = bit / 16.0;
    let (mut time, mut out) = (0.0, Vec::new());
    while time < end {
        if level(time) {
            time += tick;
            continue;
        }
        if level(time + 0.5 * bit) {
            time += bit;
            continue;
        }
        let byte = (0..8).filter(|n| level(time + (1.5 + f64::from(*n)) * bit));
        out.push(byte.fold(0, |byte, n| byte | 1 << n));
        time += 9.5 * bit;
        // A stop bit that is low is no start of the next byte.
        while time < end && !level(time) {
            time += tick;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOOT: &[u8] = b"\n ets Jan  8 2013,rst cause:2, boot mode:(3,6)\n\nload 0x4010f000, len 1384, room 16 \n~ld\n";

    #[tokio::test(start_paused = true)]
    async fn boot_text_and_firmware_have_rates_of_their_own_however_they_are_cut() {
        let all = [BOOT, b"Build: 1\r\nno end"].concat();
        for cut in 1..all.len() {
            let mut rates = LineRates::new(115_200, None);
            // A client that changes its rate after the boot text reads all of it.
            let mut read = Vec::new();
            let mut baud = ROM;
            for piece in all.chunks(cut) {
                read.extend(rates.cpu_to_client(piece, baud));
                if read.ends_with(b"~ld\n") {
                    baud = 115_200;
                    read.extend(rates.waited(baud));
                }
            }
            // The line end before it is the ROM's as well, which cannot be known.
            assert!(read.ends_with(&all[1..]), "cut at {cut}: {read:02x?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_keeps_its_rate_reads_garbage() {
        let mut rates = LineRates::new(115_200, None);
        let before = rates.cpu_to_client(BOOT, 115_200);
        assert!(!before.windows(9).any(|at| at == b"rst cause"), "{before:02x?}");
        assert_eq!(rates.cpu_to_client(b"Build: 1\r\n", 115_200), b"Build: 1\r\n");
        let mut rates = LineRates::new(115_200, None);
        rates.cpu_to_client(BOOT, ROM);
        assert_eq!(rates.cpu_to_client(b"Build: 1\r\n", ROM), b"", "the chip still starts");
        tokio::time::advance(STARTING).await;
        let late = rates.waited(ROM);
        assert!(!late.is_empty() && late != b"Build: 1\r\n", "{late:02x?}");
        // After a hardware watchdog's reset the ROM prints at 115200.
        let mut rates = LineRates::new(115_200, None);
        let boot = String::from_utf8(BOOT.to_vec()).unwrap().replace("cause:2", "cause:4");
        assert_eq!(rates.cpu_to_client(boot.as_bytes(), 115_200), boot.as_bytes());
    }

    #[test]
    fn the_loader_keeps_to_the_rate_that_it_measured() {
        let mut rates = LineRates::new(115_200, Some(230_400));
        assert_eq!(rates.client_to_loader(b"sync", 460_800), b"sync");
        assert_eq!(rates.client_to_loader(&[7; 1000], 460_800).len(), 991);
        rates.measured(230_400);
        rates.measured(115_200);
        assert_eq!(rates.client_to_loader(&[7; 1000], 230_400), [7; 1000]);
        assert_ne!(rates.client_to_loader(b"block", 115_200), b"block");
        assert_eq!(rates.loader_to_client(b"answer", 230_400), b"answer");
        assert_ne!(rates.loader_to_client(b"answer", 115_200), b"answer");
        rates.reset();
        assert_eq!(rates.client_to_loader(b"sync", 115_200), b"sync");
    }

    proptest! {
        #[test]
        fn any_bytes_at_any_rates_come_to_an_end(
            bytes in prop::collection::vec(any::<u8>(), 0..200), from in 1u32..4_000_000, to in 300u32..4_000_000,
        ) {
            // At most one byte for each eleven bits of the reader.
            let most = bytes.len() as f64 * 10.0 * f64::from(to) / f64::from(from) / 9.5 + 1.0;
            prop_assume!(most < 1e6);
            let near = near(from, to);
            prop_assert!(near || carried(&bytes, from, to).len() as f64 <= most);
        }

        #[test]
        fn near_rates_carry_every_byte(bytes: Vec<u8>) {
            prop_assert_eq!(carried(&bytes, 115_200, 117_000), bytes);
        }
    }
}
