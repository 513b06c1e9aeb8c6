//! A firmware image, checked before a byte of it goes to a board.
//!
//! Layout of the ESP8266's (Espressif's "ESP8266 firmware image format", version 1): a header `E9, segment count,
//! flash mode, flash size << 4 | frequency, entry point u32`, then for each segment `address u32,
//! length u32, data`; then zeros so that the checksum is the last byte of a multiple of 16 bytes.
//! The checksum is 0xEF XORed over all segment data. What stands behind (the part that is mapped
//! at 0x40200000) is not covered by it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// First byte of a version 1 image.
const MAGIC_V1: u8 = 0xE9;
/// First byte of a version 2 image, which needs a second-stage boot loader.
const MAGIC_V2: u8 = 0xEA;
/// Start value of the image's checksum and of the loader's.
pub const CHECKSUM_SEED: u8 = 0xEF;
/// The loader's image count is small; the ROM refuses more than 16.
const MOST_SEGMENTS: u8 = 16;
/// A larger image does not fit the 1 MiB that the ROM maps.
const LARGEST: usize = 1024 * 1024;

/// A firmware image that a board can boot.
#[derive(Clone, Debug)]
pub struct Image {
    /// Where it was read from.
    pub path: PathBuf,
    /// The bytes: a flat image for flash offset 0, or an ELF file whose segments say where they go.
    /// Shared: each board is flashed by a thread of its
    /// own.
    pub bytes: Arc<[u8]>,
    /// SHA-256 of the bytes, hex.
    pub sha256: String,
    /// Build id that the contract's pattern found in the bytes.
    pub build: Option<String>,
    /// What is written beside it, in the order of its places.
    pub data: Vec<Data>,
}

/// Data with a place of its own in the flash.
#[derive(Clone, Debug)]
pub struct Data {
    /// Flash offset, bytes; a sector's.
    pub offset: u32,
    /// The data. Never shown: there may be secrets in them.
    pub bytes: Arc<[u8]>,
}

/// Smallest part of a flash that is erased, bytes.
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

const REBUILD: &str =
    "Build it again (`make firmware`), or name another file under `image` in the configuration.";

impl Image {
    /// Checks `bytes` as the chip's ROM would, and takes their digest.
    pub fn parse(
        path: &Path,
        bytes: Vec<u8>,
        format: ImageFormat,
        build: Option<&regex::bytes::Regex>,
    ) -> Result<Image, ImageError> {
        let checked = match format {
            ImageFormat::Esp8266 => check(&bytes),
            ImageFormat::Elf(machine) => check_elf(&bytes, machine),
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

    /// Puts data beside a flat image.
    ///
    /// # Errors
    /// In words: they do not start with a sector, are empty, lie over the image or over others, or
    /// reach behind the end of the flash that the image's header tells.
    pub fn add(&mut self, offset: u32, bytes: Vec<u8>) -> Result<(), String> {
        if bytes.is_empty() {
            return Err("there is nothing in it".into());
        }
        if !offset.is_multiple_of(SECTOR) {
            return Err(format!(
                "its offset {offset:#x} is no multiple of {SECTOR:#x}: the flash is erased in sectors of that"
            ));
        }
        let (start, length) = (u64::from(offset), bytes.len() as u64);
        let end = (start + length).next_multiple_of(u64::from(SECTOR));
        let flash = flash_size(&self.bytes);
        if end > flash {
            return Err(format!(
                "{length} bytes at {offset:#x} reach behind the end of the flash, which the image's header says has {flash} bytes"
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
                    "{length} bytes at {offset:#x} lie over {other}, which takes the sectors up to {other_end:#x}"
                ));
            }
        }
        let at = self.data.partition_point(|other| other.offset < offset);
        self.data.insert(at, Data { offset, bytes: bytes.into() });
        Ok(())
    }

    /// What tells whether all of it is on a board already: the image's SHA-256, or one over the image
    /// and all that stands beside it.
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

    /// Bytes to be written in all.
    pub fn length(&self) -> u64 {
        self.bytes.len() as u64 + self.data.iter().map(|data| data.bytes.len() as u64).sum::<u64>()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The flash size in an ESP8266 image's header, bytes (esptool's table for this chip).
fn flash_size(image: &[u8]) -> u64 {
    const KIB: u64 = 1024;
    match image.get(3).map(|byte| byte >> 4) {
        Some(0) => 512 * KIB,
        Some(1) => 256 * KIB,
        Some(2 | 5) => 1024 * KIB,
        Some(3 | 6) => 2048 * KIB,
        Some(8) => 8192 * KIB,
        Some(9) => 16384 * KIB,
        _ => 4096 * KIB,
    }
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

/// The header only (System V ABI, "ELF header"): what it describes is read by the flashers.
fn check_elf(bytes: &[u8], machine: ElfMachine) -> Result<(), (String, &'static str)> {
    const HELP: &str = "Name the firmware's ELF file under `image` in the configuration.";
    const HEADER: usize = 52;
    if bytes.is_empty() {
        return Err(("the file is empty".into(), HELP));
    }
    if !bytes.starts_with(b"\x7fELF") {
        return Err(("it is no ELF file".into(), HELP));
    }
    if bytes.len() < HEADER {
        return Err((format!("it ends at byte {}, inside the header", bytes.len()), HELP));
    }
    // EI_CLASS and EI_DATA.
    if (bytes[4], bytes[5]) != (1, 1) {
        return Err(("it is no 32-bit little-endian ELF file".into(), HELP));
    }
    let found = u16::from_le_bytes([bytes[18], bytes[19]]);
    if found != machine as u16 {
        let wanted = machine as u16;
        return Err((format!("it is for machine {found} of ELF's list, not {wanted}"), HELP));
    }
    Ok(())
}

fn check(bytes: &[u8]) -> Result<(), (String, &'static str)> {
    let word = |at: usize| -> Option<usize> {
        let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(four) as usize)
    };
    match bytes.first() {
        None => return Err(("the file is empty".into(), REBUILD)),
        Some(&MAGIC_V1) => {}
        Some(&MAGIC_V2) => {
            return Err((
                "it is a version 2 image (EA), which boots through a second-stage loader".into(),
                "Give the whole flash image, with that loader at offset 0.",
            ));
        }
        Some(b'\x7f') if bytes.starts_with(b"\x7fELF") => {
            return Err((
                "it is an ELF file".into(),
                "Name the flat image beside it (.bin) as `image`; the ELF goes under `elf`.",
            ));
        }
        Some(other) => {
            return Err((format!("its first byte is {other:#04x}, not the magic 0xe9"), REBUILD));
        }
    }
    if bytes.len() > LARGEST {
        return Err((
            format!("{} bytes do not fit the 1 MiB that the ROM maps", bytes.len()),
            REBUILD,
        ));
    }
    let cut = |what: &str| (format!("it ends at byte {}, inside {what}", bytes.len()), REBUILD);
    let segments = *bytes.get(1).ok_or_else(|| cut("the header"))?;
    if segments == 0 || segments > MOST_SEGMENTS {
        return Err((format!("the header says {segments} segments"), REBUILD));
    }
    word(4).ok_or_else(|| cut("the header"))?;
    let mut at = 8;
    let mut sum = CHECKSUM_SEED;
    for number in 1..=segments {
        let segment = || format!("segment {number} of {segments}");
        let length = word(at + 4).ok_or_else(|| cut(&segment()))?;
        let data = at + 8;
        let data = data
            .checked_add(length)
            .and_then(|end| bytes.get(data..end))
            .ok_or_else(|| cut(&segment()))?;
        sum = data.iter().fold(sum, |sum, byte| sum ^ byte);
        at += 8 + length;
    }
    let last = at / 16 * 16 + 15;
    let stored = *bytes.get(last).ok_or_else(|| cut("the padding before the checksum"))?;
    if stored != sum {
        return Err((format!("its checksum is {stored:#04x}, its data say {sum:#04x}"), REBUILD));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A small image that passes.
    pub(crate) fn small() -> Vec<u8> {
        let mut bytes = vec![0xE9, 1, 0, 0, 0x00, 0x01, 0x10, 0x40];
        bytes.extend_from_slice(&0x4010_0000u32.to_le_bytes());
        bytes.extend_from_slice(&8u32.to_le_bytes());
        bytes.extend_from_slice(b"firmware");
        let sum = b"firmware".iter().fold(CHECKSUM_SEED, |sum, byte| sum ^ byte);
        bytes.resize(31, 0);
        bytes.push(sum);
        bytes
    }

    #[test]
    fn data_beside_an_image_have_a_place_of_their_own() {
        let mut bytes = small();
        bytes[3] = 0x40;
        let mut image =
            Image::parse(Path::new("f.bin"), bytes, ImageFormat::Esp8266, None).unwrap();
        assert_eq!(image.identity(), image.sha256);
        image.add(0x20_0000, vec![1; 5000]).unwrap();
        let one = image.identity();
        image.add(0x1000, vec![2]).unwrap();
        assert!(one != image.identity() && one != image.sha256);
        assert_eq!((image.data[0].offset, image.length()), (0x1000, 32 + 5001));
        let mut refused = |offset, length| image.add(offset, vec![0; length]).unwrap_err();
        assert!(refused(0, 1).contains("over the image"));
        assert!(refused(0x20_1000, 1).contains("over the data at 0x200000"));
        assert!(refused(0x1F_F000, 4097).contains("over the data"));
        assert!(refused(0x3F_F000, 4097).contains("behind the end of the flash"));
        assert!(refused(u32::MAX - 4095, 1).contains("behind the end"));
        assert!(refused(0x0003_0001, 1).contains("no multiple"));
        assert!(refused(0x30_0000, 0).contains("nothing in it"));
    }

    fn found(bytes: Vec<u8>) -> String {
        Image::parse(Path::new("f.bin"), bytes, ImageFormat::Esp8266, None).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_image_passes_and_tells_its_build() {
        let mut bytes = small();
        bytes.extend_from_slice(b"....BUILD=00ff\0");
        let pattern = regex::bytes::Regex::new("BUILD=([0-9a-f]+)").unwrap();
        let image =
            Image::parse(Path::new("f.bin"), bytes, ImageFormat::Esp8266, Some(&pattern)).unwrap();
        assert_eq!(image.build.as_deref(), Some("00ff"));
        assert_eq!(image.sha256.len(), 64);
    }

    #[test]
    fn each_kind_of_wrong_file_is_told_apart() {
        assert!(found(vec![]).contains("empty"));
        assert!(found(b"\x7fELF....".to_vec()).contains("ELF"));
        assert!(found(b"<html>".to_vec()).contains("0x3c"));
        assert!(found(vec![0xEA; 64]).contains("version 2"));
        assert!(found(small()[..20].to_vec()).contains("inside segment 1 of 1"));
        assert!(found(small()[..28].to_vec()).contains("padding"));
        let mut flipped = small();
        flipped[17] ^= 1;
        assert!(found(flipped).contains("checksum"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = check(&bytes);
            let mut with_magic = vec![0xE9];
            with_magic.extend(bytes);
            let _ = check(&with_magic);
        }
    }
}
