//! The chip on which the fake loader works: its registers and its flash.

use std::collections::HashMap;

use md5::{Digest, Md5};

use super::{BEGIN, CHANGE_BAUDRATE, DATA, END, MD5, READ_REG, SECURITY_INFO, SYNC};

/// Contents of the flash before the first write: neither erased nor an image.
pub const OLD: u8 = 0x5A;
pub const FLASH: usize = 4 * 1024 * 1024;
const SECTOR: usize = 4096;
pub const MAC: &str = "7c:df:a1:00:c0:db";
/// Its last bytes are such that SLIP has to escape them.
const MAC_WORDS: [u32; 2] = [0xA100_C0DB, 0x0000_7CDF];
/// GET_SECURITY_INFO's error where the ROM has no such command, and that of a wrong length.
const INVALID: [u8; 2] = [1, 5];

/// The chips that it can emulate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Xtensa; its ROM has no GET_SECURITY_INFO.
    Esp32,
    /// RISC-V.
    Esp32c3,
    /// As far as its identification.
    Esp32s3,
    /// An ESP8266, as far as its identification.
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

    pub fn registers(self) -> HashMap<u32, u32> {
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

/// The state of the chip, with a record of its commands.
#[derive(Debug)]
pub struct Esp32Chip {
    pub kind: Kind,
    pub flash: Vec<u8>,
    /// Commands in the order in which they came; each once for each run of it.
    pub commands: Vec<u8>,
    /// What was wrong with the loader's input.
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

pub fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |four| u32::from_le_bytes(four.try_into().unwrap()))
}

const DONE: [u8; 2] = [0, 0];

impl Esp32Chip {
    pub fn new(
        kind: Kind,
        flash: Vec<u8>,
        registers: HashMap<u32, u32>,
        stuck: Option<usize>,
    ) -> Esp32Chip {
        Esp32Chip {
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
        }
    }

    pub fn carry_out(
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
