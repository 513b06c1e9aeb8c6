//! The ROM loader of an ESP32 or ESP32-C3 on a pty, as far as flashing without a stub needs it,
//! that misbehaves on demand.
//!
//! Written from Espressif's description of the serial protocol ("Serial Protocol", esptool's
//! documentation) and checked with esptool itself by the end-to-end tests. It checks lengths,
//! checksums and order, its flash only clears bits and is erased by sectors, its MD5 is that of its flash,
//! and the flash's id is read by the SPI controller's registers.

#![allow(dead_code, reason = "each test binary uses its part")]

mod chip;
pub mod elf;

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::PollFlags;

use crate::rom::line::{self, Requests, flood, pty, ready};
use chip::word;
pub use chip::{Esp32Chip, FLASH, Kind, MAC, OLD};

pub const BEGIN: u8 = 0x02;
pub const DATA: u8 = 0x03;
pub const END: u8 = 0x04;
pub const SYNC: u8 = 0x08;
pub const READ_REG: u8 = 0x0A;
pub const CHANGE_BAUDRATE: u8 = 0x0F;
pub const MD5: u8 = 0x13;
pub const SECURITY_INFO: u8 = 0x14;

/// How the loader misbehaves. Commands by their number.
#[derive(Clone, Debug, PartialEq)]
pub enum Esp32Trick {
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
    /// Disappears when it gets this block.
    DieAtBlock(u32),
    /// This cell of its flash cannot be changed.
    Stuck(usize),
    /// Ignores all input after a change of the rate, until it is reset.
    DeafAtRate,
    /// A crystal that overflows espflash's arithmetic.
    Crystal(u32),
    /// In secure download mode.
    Secure,
    /// No loader: a firmware that prints this over and over.
    Firmware(&'static str),
}

/// Count of written blocks, with a condition to wait for more.
type Blocks = (Mutex<usize>, Condvar);

/// The running fake.
pub struct Esp32Rom {
    pub port: PathBuf,
    /// Incremented by each reset into the loader.
    pub resets: Arc<AtomicU32>,
    blocks: Arc<Blocks>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Esp32Chip>,
}

impl Esp32Rom {
    pub fn start(kind: Kind, trick: Esp32Trick) -> Esp32Rom {
        Esp32Rom::with_flash(kind, trick, vec![OLD; FLASH])
    }

    /// With the contents of another one's flash.
    pub fn with_flash(kind: Kind, trick: Esp32Trick, flash: Vec<u8>) -> Esp32Rom {
        let (master, port, held) = pty();
        let stop = Arc::new(AtomicBool::new(false));
        let resets = Arc::new(AtomicU32::new(0));
        let (told, reset) = (Arc::clone(&stop), Arc::clone(&resets));
        let blocks = Arc::new(Blocks::default());
        let counted = Arc::clone(&blocks);
        let thread = std::thread::spawn(move || {
            let _held = held;
            let mut registers = kind.registers();
            if let Esp32Trick::Crystal(divider) = trick {
                registers.insert(0x3FF4_0014, divider);
            }
            let stuck = match trick {
                Esp32Trick::Stuck(cell) => Some(cell),
                _ => None,
            };
            let line = File::from(master);
            let mut loader = Loader {
                line,
                trick,
                stop: told,
                resets: reset,
                reset: 0,
                blocks: counted,
                deaf: false,
                silent: false,
            };
            let mut chip = Esp32Chip::new(kind, flash, registers, stuck);
            loader.run(&mut chip);
            chip
        });
        Esp32Rom { port, resets, blocks, stop, thread }
    }

    /// Waits until this many blocks were written.
    pub fn wait_written(&self, blocks: usize) {
        let written = self.blocks.0.lock().unwrap();
        let few = |written: &mut usize| *written < blocks;
        let (written, waited) =
            self.blocks.1.wait_timeout_while(written, Duration::from_secs(300), few).unwrap();
        drop(written);
        assert!(!waited.timed_out(), "waited 300 s for {blocks} blocks");
    }

    /// Stops the chip and returns its state.
    pub fn off(self) -> Esp32Chip {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

struct Loader {
    line: File,
    trick: Esp32Trick,
    stop: Arc<AtomicBool>,
    resets: Arc<AtomicU32>,
    blocks: Arc<Blocks>,
    /// Resets so far.
    reset: u32,
    /// It ignores input until a reset.
    deaf: bool,
    /// It does not answer until a reset.
    silent: bool,
}

impl Loader {
    fn run(&mut self, chip: &mut Esp32Chip) {
        let mut requests = Requests::default();
        let mut buffer = [0; 4096];
        while !self.stop.load(Ordering::Relaxed) {
            if let Esp32Trick::Firmware(text) = self.trick {
                let _ = self.line.write_all(text.as_bytes());
            }
            if !ready(&self.line, PollFlags::IN) {
                continue;
            }
            let read = self.line.read(&mut buffer).unwrap();
            let resets = self.resets.load(Ordering::Relaxed);
            if std::mem::replace(&mut self.reset, resets) != resets {
                (self.deaf, self.silent) = (false, false);
            }
            if self.deaf {
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

    /// One request; false when the chip disappears.
    fn take(&mut self, frame: &[u8], chip: &mut Esp32Chip) -> bool {
        if matches!(self.trick, Esp32Trick::Firmware(_)) {
            return true;
        }
        if frame.len() < 8 || frame[0] != 0 {
            chip.complaints.push(format!("no request: {frame:02x?}"));
            return true;
        }
        let (command, payload) = (frame[1], &frame[8..]);
        let length = usize::from(u16::from_le_bytes([frame[2], frame[3]]));
        if length != payload.len() {
            chip.complaints.push(format!("length {length} of {} bytes", payload.len()));
        }
        if chip.commands.last() != Some(&command) {
            chip.commands.push(command);
        }
        match &self.trick {
            Esp32Trick::SilentFrom(first) if self.silent || *first == command => {
                self.silent = true;
                return true;
            }
            Esp32Trick::Refuse(which, error) if *which == command => {
                self.answer(command, 0, &[], [1, *error]);
                return true;
            }
            Esp32Trick::Late(which, by) if *which == command => std::thread::sleep(*by),
            Esp32Trick::Flood(which, bytes) if *which == command => {
                flood(&mut self.line, bytes, &self.stop);
                return false;
            }
            Esp32Trick::LyingLength(which) if *which == command => {
                let mut reply = vec![1, command, 0xFF, 0xFF, 0, 0, 0, 0];
                reply.extend([0; 20]);
                self.send(&reply);
                return true;
            }
            Esp32Trick::DieAtBlock(block) if command == DATA && word(payload, 4) == *block => {
                return false;
            }
            _ => {}
        }
        let (value, data, status) =
            chip.carry_out(command, word(frame, 4), payload, self.trick == Esp32Trick::Secure);
        if command == SYNC {
            for _ in 0..7 {
                self.answer(SYNC, value, &[], [0, 0]);
            }
        }
        *self.blocks.0.lock().unwrap() = chip.written;
        self.blocks.1.notify_all();
        self.answer(command, value, &data, status);
        if command == CHANGE_BAUDRATE && self.trick == Esp32Trick::DeafAtRate {
            self.deaf = true;
        }
        true
    }

    fn answer(&mut self, command: u8, value: u32, data: &[u8], status: [u8; 2]) {
        let length = data.len() as u16 + 4;
        let mut reply = vec![1, command];
        reply.extend(length.to_le_bytes());
        reply.extend(value.to_le_bytes());
        reply.extend(data);
        reply.extend(status);
        // "ESP32 ROM: 4 status bytes, of which the last two are reserved."
        reply.extend([0, 0]);
        self.send(&reply);
        if self.trick == Esp32Trick::Twice {
            self.send(&reply);
        }
    }

    fn send(&mut self, frame: &[u8]) {
        line::send(&mut self.line, frame);
    }
}
