//! A firmware image, checked before a byte of it goes to a board.

mod elf;
mod esp8266;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use esp8266::CHECKSUM_SEED;

/// A firmware image that a board can boot.
#[derive(Clone, Debug)]
pub struct Image {
    /// Where it was read from.
    pub path: PathBuf,
    /// The bytes: a flat image for flash offset 0, or an ELF file whose segments say where they go.
    /// Shared: each board is flashed by a thread of its own.
    pub bytes: Arc<[u8]>,
    /// SHA-256 of the bytes, hex.
    pub sha256: String,
    /// Build id that the contract's pattern found in the bytes.
    pub build: Option<String>,
    /// Further data, in the order of their offsets.
    pub data: Vec<Data>,
}

/// Data with an offset of their own in the flash.
#[derive(Clone, Debug)]
pub struct Data {
    /// Flash offset, bytes; a multiple of [`SECTOR`].
    pub offset: u32,
    /// The data. Never shown: there may be secrets in them.
    pub bytes: Arc<[u8]>,
}

/// Smallest erasable unit of a flash, bytes.
pub const SECTOR: u32 = 4096;

/// Why a file is no firmware image.
#[derive(Debug, thiserror::Error)]
#[error("{path} is no firmware image for {format}: {found}. {help}", path = path.display())]
pub struct ImageError {
    path: PathBuf,
    format: ImageFormat,
    found: String,
    help: &'static str,
}

impl Image {
    /// Checks `bytes` as the chip's ROM does, and computes their digest.
    pub fn parse(
        path: &Path,
        bytes: Vec<u8>,
        format: ImageFormat,
        build: Option<&regex::bytes::Regex>,
    ) -> Result<Image, ImageError> {
        let checked = match format {
            ImageFormat::Esp8266 => esp8266::check(&bytes),
            ImageFormat::Elf(machine) => elf::check(&bytes, machine),
        };
        if let Err((found, help)) = checked {
            return Err(ImageError { path: path.into(), format, found, help });
        }
        let build = build
            .and_then(|pattern| pattern.captures(&bytes))
            .and_then(|found| found.get(1))
            .map(|id| crate::text::printable(id.as_bytes()));
        let sha256 = hex(&Sha256::digest(&bytes));
        Ok(Image { path: path.into(), bytes: bytes.into(), sha256, build, data: Vec::new() })
    }

    /// Adds data to a flat image.
    ///
    /// # Errors
    /// In words: they do not start at a sector, are empty, overlap with the image or other data, or exceed
    /// the flash size in the image's header.
    pub fn add(&mut self, offset: u32, bytes: Vec<u8>) -> Result<(), String> {
        if bytes.is_empty() {
            return Err("it is empty".into());
        }
        if !offset.is_multiple_of(SECTOR) {
            return Err(format!(
                "its offset {offset:#x} is no multiple of {SECTOR:#x}: the flash is erased in sectors of that"
            ));
        }
        let (start, length) = (u64::from(offset), bytes.len() as u64);
        let end = (start + length).next_multiple_of(u64::from(SECTOR));
        let flash = esp8266::flash_size(&self.bytes);
        if end > flash {
            return Err(format!(
                "{length} bytes at {offset:#x} exceed the flash, which has {flash} bytes by the image's header"
            ));
        }
        let image_end = (self.bytes.len() as u64).next_multiple_of(u64::from(SECTOR));
        let others = std::iter::once((0, image_end, "the image".to_owned())).chain(
            self.data.iter().map(|other| {
                let start = u64::from(other.offset);
                let end = (start + other.bytes.len() as u64).next_multiple_of(u64::from(SECTOR));
                (start, end, format!("the data at {start:#x}"))
            }),
        );
        for (other_start, other_end, other) in others {
            if start < other_end && other_start < end {
                return Err(format!(
                    "{length} bytes at {offset:#x} overlap with {other}, which uses the sectors up to {other_end:#x}"
                ));
            }
        }
        let at = self.data.partition_point(|other| other.offset < offset);
        self.data.insert(at, Data { offset, bytes: bytes.into() });
        Ok(())
    }

    /// Identifies the image together with its data: the image's SHA-256, or one over both.
    pub fn identity(&self) -> String {
        if self.data.is_empty() {
            return self.sha256.clone();
        }
        let mut digest = Sha256::new().chain_update(&self.sha256);
        for data in &self.data {
            let length = data.bytes.len() as u64;
            digest.update(data.offset.to_le_bytes());
            digest.update(length.to_le_bytes());
            digest.update(&data.bytes);
        }
        hex(&digest.finalize())
    }

    /// Whether a flat image is cut short in the mapped part of the flash, which no checksum covers, by
    /// comparison with its ELF file: what is missing, in words. `None` also for an ELF of another build.
    pub fn is_cut_by(&self, elf: &[u8]) -> Option<String> {
        esp8266::is_cut_by(&self.bytes, elf)
    }

    /// Bytes to be written in all.
    pub fn length(&self) -> u64 {
        self.bytes.len() as u64 + self.data.iter().map(|data| data.bytes.len() as u64).sum::<u64>()
    }
}

/// What is missing from an ELF file that is cut short, in words.
pub fn elf_is_cut(bytes: &[u8]) -> Option<String> {
    // 64 bits have another layout, and no chip has them.
    let is_read = bytes.starts_with(b"\x7fELF\x01\x01");
    elf::whole(bytes).err().filter(|_| is_read).map(|(found, help)| format!("{found}. {help}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What an image has to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// The ESP8266's, version 1.
    Esp8266,
    /// A 32-bit ELF file for this machine.
    Elf(ElfMachine),
}

/// `e_machine` of an ELF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum ElfMachine {
    /// EM_ARM.
    Arm = 40,
    /// EM_XTENSA.
    Xtensa = 94,
    /// EM_RISCV.
    RiscV = 243,
}

impl std::fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ImageFormat::Esp8266 => "an ESP8266",
            ImageFormat::Elf(ElfMachine::Arm) => "an Arm chip",
            ImageFormat::Elf(ElfMachine::Xtensa) => "an Xtensa chip of the ESP32 family",
            ImageFormat::Elf(ElfMachine::RiscV) => "a RISC-V chip of the ESP32 family",
        })
    }
}

#[cfg(test)]
mod tests;
