//! The addresses that the ROM's loader reads and writes: fuses, registers that serial tools read, data and
//! instruction memory.
//!
//! Addresses and fields are those of `esptool` (its `targets/esp8266.py` and `loader.py`).

use std::io;
use std::ops::Range;

use hilrig_core::mac::Mac;

/// A flash chip, for the loader and the chip's SPI controller. Addresses and lengths in bytes.
pub trait Nor {
    /// Sets whole 4 KiB sectors to 0xFF. `sectors` is inside the flash.
    fn erase(&mut self, sectors: Range<u32>) -> io::Result<()>;

    /// Clears the bits that are clear in `data`; it sets none. Inside the flash.
    fn program(&mut self, address: u32, data: &[u8]) -> io::Result<()>;

    /// Reads; inside the flash.
    fn read(&self, address: u32, data: &mut [u8]) -> io::Result<()>;
}

/// Smallest erasable unit, bytes.
pub const SECTOR: u32 = 0x1000;
/// Size of the flash, bytes: the usual 4 MiB, which QEMU's lx60 has as well.
pub const FLASH_SIZE: u32 = 4 * 1024 * 1024;

/// The register by which tools identify the chip.
const MAGIC_ADDRESS: u32 = 0x4000_1000;
const MAGIC: u32 = 0xFFF0_C101;
const FUSES: u32 = 0x3FF0_0050;
/// Divider of the UART's clock, from which tools compute the crystal: 26 MHz, doubled.
const UART_CLKDIV: u32 = 0x6000_0014;
const UART_CLOCK: u32 = 2 * 26_000_000;
const UART_CLKDIV_MASK: u32 = 0xF_FFFF;

/// The controller on whose bus the flash is.
const SPI: Range<u32> = 0x6000_0200..0x6000_0280;
const SPI_CMD: usize = 0x00;
const SPI_ADDR: usize = 0x04;
const SPI_USER: usize = 0x1C;
const SPI_USER1: usize = 0x20;
const SPI_USER2: usize = 0x24;
const SPI_W0: usize = 0x40;
const SPI_CMD_USER: u32 = 1 << 18;
const SPI_USER_ADDR: u32 = 1 << 30;
const SPI_USER_MISO: u32 = 1 << 28;

/// JEDEC id of a 4 MiB Winbond W25Q32, which most ESP-12 modules have; first byte lowest.
const FLASH_ID: [u8; 3] = [0xEF, 0x40, 0x16];

const DRAM: Range<u32> = 0x3FFE_8000..0x4000_0000;
/// Its upper half caches the flash while firmware runs, and is memory in the loader.
const IRAM: Range<u32> = 0x4010_0000..0x4011_0000;

/// The chip as its loader reads it.
#[derive(Debug)]
pub struct ChipRegisters {
    fuses: [u32; 4],
    uart_clkdiv: u32,
    spi: [u32; (SPI.end - SPI.start) as usize / 4],
    /// Empty until the first write.
    dram: Vec<u8>,
    iram: Vec<u8>,
}

impl ChipRegisters {
    /// A chip with `mac` in its fuses.
    pub fn new(mac: Mac) -> ChipRegisters {
        let [oui @ .., d, e, f] = mac.0;
        // Two of the vendor's prefixes have a short form in word 1; word 3 has any other.
        let (short, long) = match oui {
            [0x18, 0xFE, 0x34] => (0, 0),
            [0xAC, 0xD0, 0x74] => (1, 0),
            [a, b, c] => (0, u32::from_be_bytes([0, a, b, c])),
        };
        // Bit 4 of word 0 and bit 16 of word 2 would make it an ESP8285.
        let fuses = [u32::from(f) << 24, u32::from_be_bytes([0x02, short, d, e]), 0, long];
        ChipRegisters { fuses, uart_clkdiv: 0, spi: [0; _], dram: Vec::new(), iram: Vec::new() }
    }

    /// The loader measured the client's rate by a SYNC.
    pub fn set_baud(&mut self, baud: u32) {
        self.uart_clkdiv = (UART_CLOCK / baud.max(1)) & UART_CLKDIV_MASK;
    }

    /// The word at `address`; 0 where nothing is modelled.
    pub fn read(&self, address: u32) -> u32 {
        match address {
            MAGIC_ADDRESS => MAGIC,
            UART_CLKDIV => self.uart_clkdiv,
            _ if (FUSES..FUSES + 16).contains(&address) => {
                self.fuses[((address - FUSES) / 4) as usize]
            }
            _ if SPI.contains(&address) => self.spi[((address - SPI.start) / 4) as usize],
            _ => match self.memory(address, 4) {
                Some((memory, at)) => memory
                    .get(at..at + 4)
                    .and_then(|word| word.try_into().ok())
                    .map_or(0, u32::from_le_bytes),
                None => 0,
            },
        }
    }

    /// Writes the word at `address`; lost where nothing is modelled. A write to the flash's controller acts
    /// on `flash`.
    pub fn write(&mut self, address: u32, value: u32, flash: &impl Nor) -> io::Result<()> {
        if SPI.contains(&address) {
            let register = (address - SPI.start) as usize;
            self.spi[register / 4] = value;
            if register == SPI_CMD && value & SPI_CMD_USER != 0 {
                self.run_spi(flash)?;
            }
        } else {
            self.load(address, &value.to_le_bytes());
        }
        Ok(())
    }

    /// Whether `length` bytes from `address` are memory that a client may load code or data into.
    pub fn is_memory(address: u32, length: u32) -> bool {
        let inside =
            |region: &Range<u32>| region.contains(&address) && length <= region.end - address;
        inside(&DRAM) || inside(&IRAM)
    }

    /// Puts bytes into memory; lost where there is none.
    pub fn load(&mut self, address: u32, bytes: &[u8]) {
        let Ok(length) = u32::try_from(bytes.len()) else { return };
        if !ChipRegisters::is_memory(address, length) {
            return;
        }
        let (memory, region) =
            if DRAM.contains(&address) { (&mut self.dram, DRAM) } else { (&mut self.iram, IRAM) };
        memory.resize((region.end - region.start) as usize, 0);
        let at = (address - region.start) as usize;
        memory[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn memory(&self, address: u32, length: u32) -> Option<(&[u8], usize)> {
        ChipRegisters::is_memory(address, length).then(|| {
            if DRAM.contains(&address) {
                (self.dram.as_slice(), (address - DRAM.start) as usize)
            } else {
                (self.iram.as_slice(), (address - IRAM.start) as usize)
            }
        })
    }

    /// Runs the command in the controller's registers on the flash, by which tools read the flash's id.
    /// Commands that change it are not modelled.
    fn run_spi(&mut self, flash: &impl Nor) -> io::Result<()> {
        let register = |at: usize| self.spi[at / 4];
        let user = register(SPI_USER);
        // The address is the upper 24 bits of the register.
        let address = if user & SPI_USER_ADDR != 0 { register(SPI_ADDR) >> 8 } else { 0 };
        let bits = ((register(SPI_USER1) >> 8) & 0x1FF) + 1;
        let length =
            if user & SPI_USER_MISO != 0 { (bits as usize).div_ceil(8).min(64) } else { 0 };
        let mut reply = [0xFF; 64];
        match register(SPI_USER2) & 0xFF {
            0x9F => reply[..3].copy_from_slice(&FLASH_ID),
            // Status registers: never busy, nothing protected.
            0x05 | 0x35 | 0x15 => reply.fill(0),
            0x5A if address == 0 => reply[..4].copy_from_slice(b"SFDP"),
            0x03 => {
                let end = FLASH_SIZE.min(address.saturating_add(length as u32));
                if let Some(room) = end.checked_sub(address) {
                    flash.read(address, &mut reply[..room as usize])?;
                }
            }
            _ => {}
        }
        reply[length..].fill(0);
        for (word, bytes) in self.spi[SPI_W0 / 4..].iter_mut().zip(reply.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        self.spi[SPI_CMD / 4] &= !SPI_CMD_USER;
        Ok(())
    }
}
