//! The ROM loader of an ESP32 or ESP32-C3 on a pty, as far as flashing without a stub needs it,
//! that misbehaves on demand.
//!
//! Written from Espressif's description of the serial protocol ("Serial Protocol", esptool's
//! documentation) and held against esptool itself by the end-to-end tests. It checks lengths,
//! checksums and order, its flash only ever clears bits and is erased by sectors, its MD5 is that of
//! what its flash holds, and the flash's id goes through the SPI controller's registers.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod elf;

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use md5::{Digest, Md5};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::rom::pty;

/// Content of the flash before anything is written: neither erased nor anybody's image.
pub const OLD: u8 = 0x5A;
pub const FLASH: usize = 4 * 1024 * 1024;
const SECTOR: usize = 4096;
pub const MAC: &str = "7c:df:a1:00:c0:db";
/// Its last bytes are such that SLIP has to escape them.
const MAC_WORDS: [u32; 2] = [0xA100_C0DB, 0x0000_7CDF];
/// GET_SECURITY_INFO's error where the ROM has no such command, and that of a wrong length.
const INVALID: [u8; 2] = [1, 5];

pub const BEGIN: u8 = 0x02;
pub const DATA: u8 = 0x03;
pub const END: u8 = 0x04;
pub const SYNC: u8 = 0x08;
pub const READ_REG: u8 = 0x0A;
pub const CHANGE_BAUDRATE: u8 = 0x0F;
pub const MD5: u8 = 0x13;
pub const SECURITY_INFO: u8 = 0x14;

/// The chips that it can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Xtensa; its ROM has no GET_SECURITY_INFO.
    Esp32,
    /// RISC-V.
    Esp32c3,
    /// As far as it is told from the others.
    Esp32s3,
    /// An ESP8266, as far as it is told from the others.
    Esp8266,
}

impl Kind {
    fn magic(self) -> u32 {
        match self {
            Kind::Esp32 => 0x00F0_1D83,
            Kind::Esp32c3 => 0x6921_506F,
            Kind::Esp32s3 => 0x0000_0009,
            Kind::Esp8266 => 0xFFF0_C101,
        }
    }

    fn id(self) -> Option<u32> {
        match self {
            Kind::Esp32 | Kind::Esp8266 => None,
            Kind::Esp32c3 => Some(5),
            Kind::Esp32s3 => Some(9),
        }
    }

    /// Base of the SPI controller, and offsets of USR2 and W0.
    fn spi(self) -> (u32, u32, u32) {
        match self {
            Kind::Esp32 => (0x3FF4_2000, 0x24, 0x80),
            _ => (0x6000_2000, 0x20, 0x58),
        }
    }

    fn registers(self) -> HashMap<u32, u32> {
        let mac = match self {
            Kind::Esp32 => 0x3FF5_A004,
            _ => 0x6000_8844,
        };
        HashMap::from([
            (0x4000_1000, self.magic()),
            (mac, MAC_WORDS[0]),
            (mac + 4, MAC_WORDS[1]),
            // UART_CLKDIV at 115200 baud from a crystal of 40 MHz.
            (0x3FF4_0014, 347),
        ])
    }
}

/// How the loader misbehaves. Commands by their number.
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
    /// Goes away when it gets this block.
    DieAtBlock(u32),
    /// This cell of its flash keeps what it holds.
    Stuck(usize),
    /// Hears nothing after a change of the rate, until it is reset.
    DeafAtRate,
    /// A crystal that overflows espflash's arithmetic.
    Crystal(u32),
    /// In secure download mode.
    Secure,
    /// No loader: a firmware that prints this over and over.
    Firmware(&'static str),
}

/// What the chip went through.
#[derive(Debug)]
pub struct Chip {
    pub kind: Kind,
    pub flash: Vec<u8>,
    /// Commands in the order in which they came; each once for each run of it.
    pub commands: Vec<u8>,
    /// What the loader found wrong with what it was sent.
    pub complaints: Vec<String>,
    /// Blocks written, over all flashings.
    pub written: usize,
    /// What was erased, over all flashings.
    pub erased: Vec<std::ops::Range<usize>>,
    registers: HashMap<u32, u32>,
    attached: bool,
    sized: bool,
    blocks: u32,
    next: u32,
    at: usize,
    stuck: Option<usize>,
}

/// Blocks that were written, and who waits for more.
type Blocks = (Mutex<usize>, Condvar);

/// The running fake.
pub struct Rom {
    pub port: PathBuf,
    /// Raised by one for each reset into the loader.
    pub resets: Arc<AtomicU32>,
    blocks: Arc<Blocks>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Chip>,
}

impl Rom {
    pub fn start(kind: Kind, trick: Trick) -> Rom {
        Rom::with_flash(kind, trick, vec![OLD; FLASH])
    }

    /// With what another one's flash held.
    pub fn with_flash(kind: Kind, trick: Trick, flash: Vec<u8>) -> Rom {
        let (master, port, held) = pty();
        let stop = Arc::new(AtomicBool::new(false));
        let resets = Arc::new(AtomicU32::new(0));
        let (told, reset) = (Arc::clone(&stop), Arc::clone(&resets));
        let blocks = Arc::new(Blocks::default());
        let counted = Arc::clone(&blocks);
        let thread = std::thread::spawn(move || {
            let _held = held;
            let mut registers = kind.registers();
            if let Trick::Crystal(divider) = trick {
                registers.insert(0x3FF4_0014, divider);
            }
            let stuck = match trick {
                Trick::Stuck(cell) => Some(cell),
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
            let mut chip = Chip {
                kind,
                flash,
                commands: Vec::new(),
                complaints: Vec::new(),
                written: 0,
                erased: Vec::new(),
                registers,
                attached: false,
                sized: false,
                blocks: 0,
                next: 0,
                at: 0,
                stuck,
            };
            loader.run(&mut chip);
            chip
        });
        Rom { port, resets, blocks, stop, thread }
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

    /// Switches the chip off and looks into it.
    pub fn off(self) -> Chip {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

struct Loader {
    line: File,
    trick: Trick,
    stop: Arc<AtomicBool>,
    resets: Arc<AtomicU32>,
    blocks: Arc<Blocks>,
    /// Resets that were seen.
    reset: u32,
    /// It went deaf; a reset mends that.
    deaf: bool,
    /// It went silent; a reset mends that, too.
    silent: bool,
}

impl Loader {
    fn run(&mut self, chip: &mut Chip) {
        let mut frame = Vec::new();
        let (mut inside, mut escaped) = (false, false);
        let mut buffer = [0; 4096];
        while !self.stop.load(Ordering::Relaxed) {
            if let Trick::Firmware(text) = self.trick {
                let _ = self.line.write_all(text.as_bytes());
            }
            if !self.ready(PollFlags::IN) {
                continue;
            }
            let read = self.line.read(&mut buffer).unwrap();
            let resets = self.resets.load(Ordering::Relaxed);
            if std::mem::replace(&mut self.reset, resets) != resets {
                (self.deaf, self.silent) = (false, false);
            }
            if self.deaf {
                (inside, escaped) = (false, false);
                frame.clear();
                continue;
            }
            for byte in &buffer[..read] {
                match (*byte, std::mem::take(&mut escaped)) {
                    (0xC0, _) if inside && !frame.is_empty() => {
                        inside = false;
                        if !self.take(&std::mem::take(&mut frame), chip) {
                            return;
                        }
                    }
                    (0xC0, _) => inside = true,
                    (0xDB, false) => escaped = true,
                    (0xDC, true) => frame.push(0xC0),
                    (0xDD, true) => frame.push(0xDB),
                    (other, true) => chip.complaints.push(format!("escaped {other:#x}")),
                    (other, false) if inside => frame.push(other),
                    (other, false) => chip.complaints.push(format!("stray {other:#x}")),
                }
            }
        }
    }

    fn ready(&self, flags: PollFlags) -> bool {
        let mut fds = [PollFd::new(&self.line, flags)];
        let slice = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        poll(&mut fds, Some(&slice)).unwrap() > 0
    }

    /// One request; false when the chip dies of it.
    fn take(&mut self, frame: &[u8], chip: &mut Chip) -> bool {
        if matches!(self.trick, Trick::Firmware(_)) {
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
            Trick::SilentFrom(first) if self.silent || *first == command => {
                self.silent = true;
                return true;
            }
            Trick::Refuse(which, error) if *which == command => {
                self.answer(command, 0, &[], [1, *error]);
                return true;
            }
            Trick::Late(which, by) if *which == command => std::thread::sleep(*by),
            Trick::Flood(which, bytes) if *which == command => {
                let bytes = bytes.repeat(64);
                while !self.stop.load(Ordering::Relaxed) {
                    if self.ready(PollFlags::OUT) {
                        let _ = self.line.write(&bytes);
                    }
                }
                return false;
            }
            Trick::LyingLength(which) if *which == command => {
                let mut reply = vec![1, command, 0xFF, 0xFF, 0, 0, 0, 0];
                reply.extend([0; 20]);
                self.send(&reply);
                return true;
            }
            Trick::DieAtBlock(block) if command == DATA && word(payload, 4) == *block => {
                return false;
            }
            _ => {}
        }
        let (value, data, status) =
            chip.carry_out(command, word(frame, 4), payload, self.trick == Trick::Secure);
        if command == SYNC {
            for _ in 0..7 {
                self.answer(SYNC, value, &[], [0, 0]);
            }
        }
        *self.blocks.0.lock().unwrap() = chip.written;
        self.blocks.1.notify_all();
        self.answer(command, value, &data, status);
        if command == CHANGE_BAUDRATE && self.trick == Trick::DeafAtRate {
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
        if self.trick == Trick::Twice {
            self.send(&reply);
        }
    }

    fn send(&mut self, frame: &[u8]) {
        let mut bytes = vec![0xC0];
        for byte in frame {
            match byte {
                0xC0 => bytes.extend([0xDB, 0xDC]),
                0xDB => bytes.extend([0xDB, 0xDD]),
                other => bytes.push(*other),
            }
        }
        bytes.push(0xC0);
        self.line.write_all(&bytes).unwrap();
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |four| u32::from_le_bytes(four.try_into().unwrap()))
}

const DONE: [u8; 2] = [0, 0];

impl Chip {
    fn carry_out(
        &mut self,
        command: u8,
        sum: u32,
        payload: &[u8],
        secure: bool,
    ) -> (u32, Vec<u8>, [u8; 2]) {
        let plain = |status| (0, Vec::new(), status);
        let lengths: &[usize] = match command {
            // One word more where the chip can encrypt.
            BEGIN => match self.kind {
                Kind::Esp32 => &[16],
                _ => &[20],
            },
            END => &[4],
            SYNC => &[36],
            0x09 => &[16],
            READ_REG => &[4],
            0x0B => &[24],
            0x0D | CHANGE_BAUDRATE => &[8],
            MD5 => &[16],
            SECURITY_INFO => &[0],
            _ => &[],
        };
        if !lengths.is_empty() && !lengths.contains(&payload.len()) {
            self.complaints.push(format!("command {command:#x} with {} bytes", payload.len()));
            return plain(INVALID);
        }
        if secure && matches!(command, 0x09 | READ_REG | MD5) {
            return plain(INVALID);
        }
        match command {
            SYNC => {
                let mut expected = vec![0x07, 0x07, 0x12, 0x20];
                expected.extend([0x55; 32]);
                if payload != expected {
                    self.complaints.push("SYNC with wrong bytes".into());
                }
                plain(DONE)
            }
            READ_REG => {
                let value = self.registers.get(&word(payload, 0)).copied().unwrap_or(0);
                (value, Vec::new(), DONE)
            }
            0x09 => {
                self.write_register(word(payload, 0), word(payload, 4), word(payload, 8));
                plain(DONE)
            }
            0x0D => {
                self.attached = true;
                plain(DONE)
            }
            0x0B => {
                if word(payload, 4) as usize != FLASH {
                    self.complaints.push(format!("a flash of {:#x} bytes", word(payload, 4)));
                }
                self.sized = true;
                plain(DONE)
            }
            CHANGE_BAUDRATE => plain(DONE),
            SECURITY_INFO => match self.kind.id() {
                Some(id) => {
                    let mut info = vec![0; 20];
                    info[0] = if secure { 1 << 2 } else { 0 };
                    info[12..16].copy_from_slice(&id.to_le_bytes());
                    (0, info, DONE)
                }
                None => plain(INVALID),
            },
            MD5 => {
                let (start, length) = (word(payload, 0) as usize, word(payload, 4) as usize);
                match self.flash.get(start..start.saturating_add(length)) {
                    Some(held) if self.attached => {
                        let digest = Md5::digest(held);
                        let text: String = digest.iter().map(|b| format!("{b:02x}")).collect();
                        (0, text.into_bytes(), DONE)
                    }
                    _ => plain([1, 6]),
                }
            }
            BEGIN => plain(self.begin(payload)),
            DATA => plain(self.data(sum, payload)),
            END => plain(DONE),
            _ => plain(INVALID),
        }
    }

    /// The SPI controller's "user" commands, of which the flash knows RDID.
    fn write_register(&mut self, address: u32, value: u32, mask: u32) {
        const RDID: u32 = 0x9F;
        /// Winbond, 32 Mbit.
        const ID: u32 = 0x0016_40EF;
        const USER: u32 = 1 << 18;
        let (base, usr2, w0) = self.kind.spi();
        let cell = self.registers.entry(address).or_default();
        *cell = (*cell & !mask) | (value & mask);
        if address == base && value & USER != 0 {
            let command = self.registers.get(&(base + usr2)).copied().unwrap_or(0);
            let id = match (self.attached, command & 0xFF) {
                (false, _) => u32::MAX,
                (true, RDID) => ID,
                (true, _) => 0,
            };
            self.registers.insert(base + w0, id);
            self.registers.insert(base, value & !USER);
        }
    }

    fn begin(&mut self, payload: &[u8]) -> [u8; 2] {
        let [size, blocks, block, offset] = [0, 4, 8, 12].map(|at| word(payload, at));
        // esptool leaves the loader with one that erases nothing.
        if (size, offset) == (0, 0) {
            return [0, 0];
        }
        if block != 0x400 || !offset.is_multiple_of(SECTOR as u32) || !self.attached || !self.sized
        {
            self.complaints.push(format!("FLASH_BEGIN block {block:#x} at {offset:#x}"));
            return [1, 5];
        }
        let start = offset as usize;
        let end = start + (size as usize).next_multiple_of(SECTOR);
        let Some(cells) = self.flash.get_mut(start..end) else { return [1, 8] };
        cells.fill(0xFF);
        self.erased.push(start..end);
        (self.blocks, self.next, self.at) = (blocks, 0, start);
        [0, 0]
    }

    fn data(&mut self, sum: u32, payload: &[u8]) -> [u8; 2] {
        let Some(data) = payload.get(16..) else { return [1, 5] };
        if word(payload, 0) as usize != data.len() || data.len() != 0x400 {
            let said = word(payload, 0);
            self.complaints.push(format!("block of {} bytes, said {said}", data.len()));
            return [1, 5];
        }
        if data.iter().fold(0xEF, |sum, byte| sum ^ byte) != sum as u8 || sum > 0xFF {
            self.complaints.push(format!("block {} has a wrong checksum", word(payload, 4)));
            return [1, 7];
        }
        if word(payload, 4) != self.next || self.next >= self.blocks {
            let block = word(payload, 4);
            self.complaints.push(format!("block {block} instead of {}", self.next));
            return [1, 6];
        }
        let stuck = self.stuck.map(|cell| (cell, self.flash[cell]));
        for (cell, byte) in self.flash[self.at..].iter_mut().zip(data) {
            *cell &= byte;
        }
        if let Some((cell, held)) = stuck {
            self.flash[cell] = held;
        }
        self.next += 1;
        self.written += 1;
        self.at += data.len();
        [0, 0]
    }
}
