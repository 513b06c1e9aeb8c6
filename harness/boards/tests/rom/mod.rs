//! An ESP8266's ROM loader on a pty, as far as flashing needs it, that misbehaves on demand.
//!
//! Written from the protocol's description and not from the code under test: it checks lengths,
//! checksums and order itself, its flash only clears bits, and it erases too much, as the real ROM does.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod line;
pub mod wiring;

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::termios::tcgetattr;

pub use line::pty;
use line::{Requests, flood, ready};
use wiring::Wiring;

/// Contents of the flash before the first write: neither erased nor an image.
pub const OLD: u8 = 0x5A;
const FLASH: usize = 1024 * 1024;
const SECTOR: usize = 4096;
/// What a wired chip's firmware prints.
pub const FIRMWARE: &str = "the firmware runs\r\n";
pub const MAC: &str = "18:fe:34:a2:66:29";

/// How the loader misbehaves. Commands by their number: 8 SYNC, 0xA READ_REG, 2 FLASH_BEGIN,
/// 3 FLASH_DATA.
#[derive(Clone, Debug, PartialEq)]
pub enum Trick {
    /// It does not.
    None,
    /// Answers everything up to this command, then nothing.
    SilentFrom(u8),
    /// Refuses this command with this error byte.
    Refuse(u8, u8),
    /// Answers this command this late.
    Late(u8, Duration),
    /// Sends every answer twice.
    Twice,
    /// Answers this command with an endless stream of this.
    Flood(u8, &'static [u8]),
    /// Answers this command with a frame whose length field lies.
    LyingLength(u8),
    /// Another chip's magic.
    Magic(u32),
    /// An ESP32 with a MAC that ends in this: its answers end in four status bytes.
    Esp32(u8),
    /// Another board: its MAC ends in this.
    Mac(u8),
    /// Disappears when it gets this block.
    DieAtBlock(u32),
    /// At rates above this one it answers everything up to this command, then nothing.
    SilentAbove(u32, u8),
    /// No loader: a firmware that prints this over and over.
    Firmware(&'static str),
}

/// The state of the chip, with a record of its commands.
#[derive(Debug)]
pub struct Chip {
    pub flash: Vec<u8>,
    /// Commands in the order in which they came; FLASH_DATA once for each run of them.
    pub commands: Vec<u8>,
    /// What was wrong with the loader's input.
    pub complaints: Vec<String>,
    pub erased: std::ops::Range<usize>,
    /// Rates at which a SYNC came, in order, each once.
    pub rates: Vec<u32>,
    /// Blocks written, over all flashings.
    pub written: usize,
    blocks: u32,
    next: u32,
    at: usize,
}

/// The running fake.
pub struct Rom {
    pub port: PathBuf,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Chip>,
}

impl Rom {
    pub fn start(trick: Trick) -> Rom {
        Rom::on(trick, None)
    }

    /// A chip that prints [`FIRMWARE`] until its pins put it into its loader.
    pub fn wired(wiring: Arc<Wiring>) -> Rom {
        Rom::on(Trick::None, Some(wiring))
    }

    fn on(trick: Trick, wiring: Option<Arc<Wiring>>) -> Rom {
        let (master, port, held) = pty();
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut loader =
                Loader { line: File::from(master), port: held, trick, stop: told, wiring };
            let mut chip = Chip {
                flash: vec![OLD; FLASH],
                commands: Vec::new(),
                complaints: Vec::new(),
                erased: 0..0,
                rates: Vec::new(),
                written: 0,
                blocks: 0,
                next: 0,
                at: 0,
            };
            loader.run(&mut chip);
            chip
        });
        Rom { port, stop, thread }
    }

    /// Stops the chip and returns its state.
    pub fn off(self) -> Chip {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

struct Loader {
    line: File,
    /// The other side, which stays open; its rate is the one that the rig has set.
    port: File,
    trick: Trick,
    stop: Arc<AtomicBool>,
    wiring: Option<Arc<Wiring>>,
}

impl Loader {
    fn run(&mut self, chip: &mut Chip) {
        let mut requests = Requests::default();
        let mut buffer = [0; 4096];
        while !self.stop.load(Ordering::Relaxed) {
            let firmware = self.firmware();
            if let Some(text) = firmware {
                let _ = self.line.write_all(text.as_bytes());
            }
            if !ready(&self.line, PollFlags::IN) {
                continue;
            }
            let read = self.line.read(&mut buffer).unwrap();
            if firmware.is_some() {
                // A firmware takes no requests.
                requests = Requests::default();
                continue;
            }
            for byte in &buffer[..read] {
                if let Some(frame) = requests.feed(*byte, &mut chip.complaints)
                    && !self.take(&frame, chip)
                {
                    return;
                }
            }
        }
    }

    /// What the firmware prints, if one runs.
    fn firmware(&self) -> Option<&'static str> {
        match (&self.trick, &self.wiring) {
            (Trick::Firmware(text), _) => Some(text),
            (_, Some(wiring)) if !wiring.in_loader() => Some(FIRMWARE),
            _ => None,
        }
    }

    /// One request; false when the chip disappears.
    fn take(&mut self, frame: &[u8], chip: &mut Chip) -> bool {
        let word = |at: usize| u32::from_le_bytes(frame[at..at + 4].try_into().unwrap());
        if frame.len() < 8 || frame[0] != 0 {
            chip.complaints.push(format!("no request: {frame:02x?}"));
            return true;
        }
        let command = frame[1];
        let length = usize::from(u16::from_le_bytes([frame[2], frame[3]]));
        if length != frame.len() - 8 {
            chip.complaints.push(format!("length {length} of {} bytes", frame.len() - 8));
        }
        if chip.commands.last() != Some(&command) {
            chip.commands.push(command);
        }
        let baud = tcgetattr(&self.port).unwrap().output_speed();
        if command == 8 && chip.rates.last() != Some(&baud) {
            chip.rates.push(baud);
            // As after the reset that goes before another rate.
            chip.commands = vec![8];
        }
        match &self.trick {
            Trick::SilentAbove(most, first) if baud > *most && chip.commands.contains(first) => {
                return true;
            }
            Trick::SilentFrom(first) if chip.commands.contains(first) => return true,
            Trick::Refuse(which, error) if *which == command => {
                self.answer(command, 0, [1, *error]);
                return true;
            }
            Trick::Late(which, by) if *which == command => std::thread::sleep(*by),
            Trick::Flood(which, bytes) if *which == command => {
                flood(&mut self.line, bytes, &self.stop);
                return false;
            }
            Trick::LyingLength(which) if *which == command => {
                let mut reply = vec![1, command, 0xFF, 0xFF, 0, 0, 0, 0];
                reply.extend([0; 20]);
                self.send(&reply);
                return true;
            }
            Trick::DieAtBlock(block) if command == 3 && word(12) == *block => return false,
            _ => {}
        }
        let (value, status) = match command {
            8 => {
                let mut expected = vec![0x07, 0x07, 0x12, 0x20];
                expected.extend([0x55; 32]);
                if frame[8..] != expected {
                    chip.complaints.push("SYNC with wrong bytes".into());
                }
                for _ in 0..7 {
                    self.answer(8, 0, [0, 0]);
                }
                (0, [0, 0])
            }
            0xA => (self.register(word(8)), [0, 0]),
            2 => (0, chip.begin(word(8), word(12), word(16), word(20))),
            3 => (0, chip.data(word(4), &frame[8..])),
            _ => (0, [1, 5]),
        };
        self.answer(command, value, status);
        true
    }

    fn register(&self, address: u32) -> u32 {
        match address {
            0x4000_1000 => match self.trick {
                Trick::Magic(magic) => magic,
                Trick::Esp32(_) => 0x00F0_1D83,
                _ => 0xFFF0_C101,
            },
            // 18:fe:34:a2:66:29, by the vendor number 0 in m1.
            0x3FF0_0050 => match self.trick {
                Trick::Mac(last) => u32::from(last) << 24,
                _ => 0x2900_0000,
            },
            0x3FF0_0054 => 0x0000_A266,
            // 24:0a:c4:00:01:xx, with the checksum above it.
            0x3FF5_A004 => match self.trick {
                Trick::Esp32(last) => 0xC400_0100 | u32::from(last),
                _ => 0,
            },
            0x3FF5_A008 => 0x00A5_240A,
            _ => 0,
        }
    }

    fn answer(&mut self, command: u8, value: u32, status: [u8; 2]) {
        let mut reply = vec![1, command, 2, 0];
        reply.extend(value.to_le_bytes());
        reply.extend(status);
        if let Trick::Esp32(_) = self.trick {
            reply[2] = 4;
            reply.extend([0, 0]);
        }
        self.send(&reply);
        if self.trick == Trick::Twice {
            self.send(&reply);
        }
    }

    fn send(&mut self, frame: &[u8]) {
        line::send(&mut self.line, frame);
    }
}

impl Chip {
    fn begin(&mut self, size: u32, blocks: u32, block_size: u32, offset: u32) -> [u8; 2] {
        if block_size != 0x400 || !offset.is_multiple_of(SECTOR as u32) {
            self.complaints.push(format!("FLASH_BEGIN block {block_size:#x} at {offset:#x}"));
            return [1, 5];
        }
        let start = offset as usize / SECTOR;
        let asked = (size as usize).div_ceil(SECTOR);
        // The ROM's fault: sectors up to the next 64 KiB border count twice.
        let erased = asked + asked.min(16 - start % 16);
        self.erased = start * SECTOR..(start + erased) * SECTOR;
        self.flash[self.erased.clone()].fill(0xFF);
        (self.blocks, self.next, self.at) = (blocks, 0, offset as usize);
        [0, 0]
    }

    fn data(&mut self, sum: u32, payload: &[u8]) -> [u8; 2] {
        let word = |at: usize| u32::from_le_bytes(payload[at..at + 4].try_into().unwrap());
        let data = &payload[16..];
        if word(0) as usize != data.len() || data.len() != 0x400 {
            self.complaints.push(format!("block of {} bytes, said {}", data.len(), word(0)));
            return [1, 5];
        }
        if data.iter().fold(0xEF, |sum, byte| sum ^ byte) != sum as u8 || sum > 0xFF {
            self.complaints.push(format!("block {} has a wrong checksum", word(4)));
            return [1, 7];
        }
        if word(4) != self.next || self.next >= self.blocks {
            self.complaints.push(format!("block {} instead of {}", word(4), self.next));
            return [1, 6];
        }
        for (cell, byte) in self.flash[self.at..].iter_mut().zip(data) {
            *cell &= byte;
        }
        self.next += 1;
        self.written += 1;
        self.at += data.len();
        [0, 0]
    }
}
