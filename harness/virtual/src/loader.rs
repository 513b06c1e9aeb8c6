//! The serial loader of the ESP8266's ROM: bytes in, bytes out, no I/O of its own.
//!
//! Protocol as Espressif documents it ("Serial Protocol", ESP8266) and as `esptool` speaks it.
//! Where the two leave something open, this is strict, so that a client that works here did not rely on
//! luck:
//! - frames that are no request (too short, a reply) are ignored, as noise;
//! - a flash block may be 0x400 bytes, one for memory 0x1800, and blocks come in order;
//! - FLASH_END always leaves the loader: 0 resets, 1 runs the flashed image. A client that wants to stay
//!   in the loader does not send it (nor does `esptool`);
//! - memory that a client loads can be read back, but not run: there is only a CPU when firmware runs
//!   from flash. MEM_END with an entry point is refused (06), with a line of text that explains it.

use std::ops::{ControlFlow, Range};

use hilrig_core::image::CHECKSUM_SEED;
use hilrig_core::mac::Mac;
use hilrig_core::slip;

use crate::chip::{ChipRegisters, FLASH_SIZE, Nor, SECTOR};

const FLASH_BEGIN: u8 = 0x02;
const FLASH_DATA: u8 = 0x03;
const FLASH_END: u8 = 0x04;
const MEM_BEGIN: u8 = 0x05;
const MEM_END: u8 = 0x06;
const MEM_DATA: u8 = 0x07;
const SYNC: u8 = 0x08;
const WRITE_REG: u8 = 0x09;
const READ_REG: u8 = 0x0A;

/// Payload of SYNC: a pattern from whose edges the rate is measured.
const SYNC_PATTERN: [u8; 36] = {
    let mut pattern = [0x55; 36];
    [pattern[0], pattern[1], pattern[2], pattern[3]] = [0x07, 0x07, 0x12, 0x20];
    pattern
};
/// Replies to one SYNC.
const SYNC_REPLIES: usize = 8;
/// The ROM leaves this in the value of its SYNC replies; a stub loader's is 0.
const SYNC_VALUE: u32 = 0x2012_0707;
/// A client that has loaded code waits for its output, `esptool` without a deadline. Text ends that wait.
const RUNS_NO_MEMORY: &[u8] =
    b"\r\nA virtual board runs no code from memory. With esptool, give --no-stub.\r\n";
/// Largest block for the flash and for memory, bytes.
const FLASH_BLOCK: u32 = 0x400;
const MEM_BLOCK: u32 = 0x1800;
/// Sectors of the ROM's larger erase unit.
const SECTORS_A_BLOCK: u32 = 16;

/// Why the loader refused a command: the second status byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// Unknown command, or its parameters or its length are wrong.
    InvalidMessage = 0x05,
    /// The command makes no sense now, or failed.
    FailedToAct = 0x06,
    /// The data's checksum is wrong.
    Checksum = 0x07,
    /// The flash (here: its file) could not be written.
    FlashWrite = 0x08,
}

/// How a client left the loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It asked for a reset.
    Reset,
    /// It asked to run what is flashed.
    Run,
}

/// Blocks that were announced and did not come yet.
#[derive(Debug)]
struct Download {
    next: u32,
    sequence: u32,
    blocks: u32,
    block_size: u32,
}

impl Download {
    /// Checks a DATA command's place in the sequence and moves on. Returns its address.
    fn take(&mut self, sequence: u32, length: u32) -> Result<u32, Refusal> {
        if length > self.block_size {
            return Err(Refusal::InvalidMessage);
        }
        if sequence != self.sequence || sequence >= self.blocks {
            return Err(Refusal::FailedToAct);
        }
        let address = self.next;
        self.next += length;
        self.sequence += 1;
        Ok(address)
    }
}

/// The loader, from one reset to the next.
#[derive(Debug)]
pub struct RomLoader {
    frames: slip::FrameDecoder,
    rom: Rom,
}

#[derive(Debug)]
struct Rom {
    chip: ChipRegisters,
    flash: Option<Download>,
    memory: Option<Download>,
}

impl RomLoader {
    /// The loader of a chip with this MAC address.
    pub fn new(mac: Mac) -> RomLoader {
        RomLoader {
            frames: slip::FrameDecoder::default(),
            rom: Rom { chip: ChipRegisters::new(mac), flash: None, memory: None },
        }
    }

    /// Processes bytes from the serial port and appends the answers to `out`. `baud` is the client's rate,
    /// when the loader measures it. Bytes after a command that leaves the loader are dropped.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        flash: &mut impl Nor,
        baud: impl Fn() -> u32,
        out: &mut Vec<u8>,
    ) -> Option<Left> {
        let RomLoader { frames, rom } = self;
        frames.feed(bytes, |frame| match frame {
            Ok(frame) => rom.frame(frame, flash, &baud, out),
            Err(slip::Spoilt) => ControlFlow::Continue(()),
        })
    }
}

impl Rom {
    fn frame(
        &mut self,
        frame: &[u8],
        flash: &mut impl Nor,
        baud: &impl Fn() -> u32,
        out: &mut Vec<u8>,
    ) -> ControlFlow<Left> {
        let Some((&[0x00, command, low, high, c0, c1, c2, c3], data)) = frame.split_first_chunk()
        else {
            return ControlFlow::Continue(());
        };
        let checksum = u32::from_le_bytes([c0, c1, c2, c3]);
        let whole = data.len() == usize::from(u16::from_le_bytes([low, high]));
        let done = if whole {
            self.command(command, data, checksum, flash, baud)
        } else {
            Err(Refusal::InvalidMessage)
        };
        let (value, status, times) = match done {
            Ok(_) if command == SYNC => (SYNC_VALUE, [0, 0], SYNC_REPLIES),
            Ok((value, _)) => (value, [0, 0], 1),
            Err(refusal) => (0, [1, refusal as u8], 1),
        };
        let [v0, v1, v2, v3] = value.to_le_bytes();
        for _ in 0..times {
            slip::encode(&[0x01, command, 2, 0, v0, v1, v2, v3, status[0], status[1]], out);
        }
        if command == MEM_END && done == Err(Refusal::FailedToAct) {
            out.extend_from_slice(RUNS_NO_MEMORY);
        }
        match done {
            Ok((_, Some(left))) => ControlFlow::Break(left),
            _ => ControlFlow::Continue(()),
        }
    }

    fn command(
        &mut self,
        command: u8,
        data: &[u8],
        checksum: u32,
        flash: &mut impl Nor,
        baud: &impl Fn() -> u32,
    ) -> Result<(u32, Option<Left>), Refusal> {
        let mut value = 0;
        let mut left = None;
        match command {
            SYNC => {
                if data != SYNC_PATTERN {
                    return Err(Refusal::InvalidMessage);
                }
                self.chip.set_baud(baud());
            }
            READ_REG => {
                let [address] = words(data)?;
                value = self.chip.read(aligned(address)?);
            }
            WRITE_REG => {
                let [address, value, mask, _delay] = words(data)?;
                let address = aligned(address)?;
                let kept = self.chip.read(address) & !mask;
                self.chip
                    .write(address, kept | (value & mask), flash)
                    .map_err(|_| Refusal::FailedToAct)?;
            }
            FLASH_BEGIN => self.flash_begin(words(data)?, flash)?,
            FLASH_DATA => {
                let (length, sequence, block) = block(data, checksum)?;
                let address = self.flash.as_mut().ok_or(Refusal::FailedToAct)?;
                let address = address.take(sequence, length)?;
                flash.program(address, block).map_err(|_| Refusal::FlashWrite)?;
            }
            FLASH_END => {
                let [stay] = words(data)?;
                self.flash = None;
                left = Some(if stay == 0 { Left::Reset } else { Left::Run });
            }
            MEM_BEGIN => {
                let [size, blocks, block_size, address] = words(data)?;
                if block_size > MEM_BLOCK {
                    return Err(Refusal::InvalidMessage);
                }
                if !ChipRegisters::is_memory(address, size)
                    || !fits(blocks, block_size, MEMORY_MOST)
                {
                    return Err(Refusal::FailedToAct);
                }
                self.memory = Some(Download { next: address, sequence: 0, blocks, block_size });
            }
            MEM_DATA => {
                let (length, sequence, block) = block(data, checksum)?;
                let download = self.memory.as_mut().ok_or(Refusal::FailedToAct)?;
                let address = download.take(sequence, length)?;
                if !ChipRegisters::is_memory(address, length) {
                    return Err(Refusal::FailedToAct);
                }
                self.chip.load(address, block);
            }
            MEM_END => {
                let [stay, _entry] = words(data)?;
                self.memory = None;
                if stay == 0 {
                    return Err(Refusal::FailedToAct);
                }
            }
            _ => return Err(Refusal::InvalidMessage),
        }
        Ok((value, left))
    }

    fn flash_begin(
        &mut self,
        [erase, blocks, block_size, offset]: [u32; 4],
        flash: &mut impl Nor,
    ) -> Result<(), Refusal> {
        self.flash = None;
        if block_size > FLASH_BLOCK {
            return Err(Refusal::InvalidMessage);
        }
        let room = FLASH_SIZE.checked_sub(offset).ok_or(Refusal::FailedToAct)?;
        if erase > room || !fits(blocks, block_size, room) {
            return Err(Refusal::FailedToAct);
        }
        let sectors = rom_erases(offset / SECTOR, erase.div_ceil(SECTOR));
        if !sectors.is_empty() {
            flash.erase(sectors).map_err(|_| Refusal::FlashWrite)?;
        }
        self.flash = Some(Download { next: offset, sequence: 0, blocks, block_size });
        Ok(())
    }
}

/// More than the size of any region of memory: a bound for block counts.
const MEMORY_MOST: u32 = 0x2_0000;

fn fits(blocks: u32, block_size: u32, room: u32) -> bool {
    u64::from(blocks) * u64::from(block_size) <= u64::from(room)
}

fn aligned(address: u32) -> Result<u32, Refusal> {
    if address.is_multiple_of(4) { Ok(address) } else { Err(Refusal::InvalidMessage) }
}

/// The parameters of a command that has exactly `N` of them.
fn words<const N: usize>(data: &[u8]) -> Result<[u32; N], Refusal> {
    let (words, rest) = data.as_chunks::<4>();
    let words: &[[u8; 4]; N] = words.try_into().map_err(|_| Refusal::InvalidMessage)?;
    if !rest.is_empty() {
        return Err(Refusal::InvalidMessage);
    }
    Ok(words.map(u32::from_le_bytes))
}

/// A DATA command's length, sequence number and block, with its checksum checked.
fn block(data: &[u8], checksum: u32) -> Result<(u32, u32, &[u8]), Refusal> {
    let (head, block) = data.split_at_checked(16).ok_or(Refusal::InvalidMessage)?;
    let [length, sequence, _, _] = words(head)?;
    if length as usize != block.len() {
        return Err(Refusal::InvalidMessage);
    }
    let sum = block.iter().fold(CHECKSUM_SEED, |sum, byte| sum ^ byte);
    if u32::from(sum) != checksum {
        return Err(Refusal::Checksum);
    }
    Ok((length, sequence, block))
}

/// The sectors that the ROM erases at a request for `asked` sectors from `start` on: too many. It first
/// erases up to the next 64 KiB boundary, and then the whole count, without subtracting the first part. A
/// client has to request less (see `esptool`'s `get_erase_size`). The range ends with the flash.
pub fn rom_erases(start: u32, asked: u32) -> Range<u32> {
    let head = asked.min(SECTORS_A_BLOCK - start % SECTORS_A_BLOCK);
    let end = start.saturating_add(head).saturating_add(asked).min(FLASH_SIZE / SECTOR);
    start..end
}

#[cfg(test)]
#[path = "loader_tests.rs"]
mod tests;
