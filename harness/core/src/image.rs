//! A firmware image, checked before a byte of it goes to a board.
//!
//! Layout of the ESP8266's (Espressif's "ESP8266 firmware image format", version 1): a header `E9, segment count,
//! flash mode, flash size << 4 | frequency, entry point u32`, then for each segment `address u32,
//! length u32, data`; then zeros so that the checksum is the last byte of a multiple of 16 bytes.
//! The checksum is 0xEF XORed over all segment data. What stands behind (the part that is mapped
//! at 0x40200000) is not covered by it.

mod elf;

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
/// Where the chip maps the first MiB of its flash.
const MAPPED: std::ops::Range<u32> = 0x4020_0000..0x4030_0000;
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

    /// Whether a flat image lacks the end of what its ELF file has in the mapped part of the flash, which no
    /// checksum covers: what is missing, in words. `None` for an ELF of another build, too.
    pub fn is_cut_by(&self, elf: &[u8]) -> Option<String> {
        if self.bytes.first() != Some(&MAGIC_V1) || !elf.starts_with(b"\x7fELF") {
            return None;
        }
        let loads = elf::loads(elf);
        let mapped = |address: u32| MAPPED.contains(&address);
        let place = |load: &elf::Load| (load.address - MAPPED.start) as usize;
        let last = loads.iter().filter(|load| mapped(load.address)).max_by_key(|l| l.address)?;
        let (start, part) = (place(last), elf.get(last.bytes.clone())?);
        let end = start + part.len();
        if self.bytes.len() >= end {
            return None;
        }
        // Of the same build as far as both go: by the mapped part, or by what is loaded.
        let there = self.bytes.get(start..).unwrap_or_default();
        let same = match there.len() {
            0..16 => loads.iter().filter(|load| !mapped(load.address)).all(|load| {
                let piece = elf.get(load.bytes.clone()).unwrap_or_default();
                let piece = &piece[..piece.len().min(64)];
                self.bytes.windows(piece.len().max(1)).any(|window| window == piece)
            }),
            _ => part.starts_with(there),
        };
        same.then(|| {
            format!(
                "it ends at byte {}, and by its ELF file the code in the mapped flash ends at byte {end}. {CUT}",
                self.bytes.len()
            )
        })
    }

    /// Bytes to be written in all.
    pub fn length(&self) -> u64 {
        self.bytes.len() as u64 + self.data.iter().map(|data| data.bytes.len() as u64).sum::<u64>()
    }
}

/// What is missing of an ELF file that was cut, in words.
pub fn elf_is_cut(bytes: &[u8]) -> Option<String> {
    // 64 bits are another layout, and no chip's.
    let is_read = bytes.starts_with(b"\x7fELF\x01\x01");
    elf::whole(bytes).err().filter(|_| is_read).map(|(found, help)| format!("{found}. {help}"))
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

fn check(bytes: &[u8]) -> Result<(), (String, &'static str)> {
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
    let first = check_part(bytes, 0, "")?;
    if first.end > SECOND {
        return Ok(());
    }
    // The Arduino core's boot loader is an image of its own, and the firmware the one behind it.
    match bytes.get(SECOND) {
        Some(&MAGIC_V1) => check_part(bytes, SECOND, " of the second image").map(drop),
        Some(_) if !first.is_boot_loader => Ok(()),
        None if !first.is_boot_loader => Ok(()),
        found => Err((
            match found {
                Some(byte) => format!(
                    "it begins with the Arduino core's boot loader, and at {SECOND:#x}, where the firmware begins with 0xe9, is {byte:#04x}"
                ),
                None => format!(
                    "it begins with the Arduino core's boot loader and ends at byte {}; the firmware begins at byte {SECOND}",
                    bytes.len()
                ),
            },
            CUT,
        )),
    }
}

/// Where the Arduino core's boot loader finds the firmware.
const SECOND: usize = 0x1000;
/// Where it runs itself: nothing else is linked there (its link.ld).
const BOOT_LOADER: std::ops::Range<usize> = 0x4010_F000..0x4011_0000;

const CUT: &str = "It was cut short, as by a download that broke off: get or build it again.";

/// An image that was checked.
struct Part {
    /// Where it ends, its checksum included.
    end: usize,
    /// All of it is loaded to where the Arduino core's boot loader runs.
    is_boot_loader: bool,
}

/// Checks the image at `start`; `of` says which it is.
fn check_part(bytes: &[u8], start: usize, of: &str) -> Result<Part, (String, &'static str)> {
    let word = |at: usize| -> Option<usize> {
        let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(u32::from_le_bytes(four) as usize)
    };
    let cut = |what: &str| (format!("it ends at byte {}, inside {what}{of}", bytes.len()), CUT);
    let segments = *bytes.get(start + 1).ok_or_else(|| cut("the header"))?;
    if segments == 0 || segments > MOST_SEGMENTS {
        return Err((format!("the header{of} says {segments} segments"), REBUILD));
    }
    word(start + 4).ok_or_else(|| cut("the header"))?;
    let mut at = start + 8;
    let mut sum = CHECKSUM_SEED;
    let mut is_boot_loader = true;
    for number in 1..=segments {
        let segment = || format!("segment {number} of {segments}");
        let length = word(at + 4).ok_or_else(|| cut(&segment()))?;
        is_boot_loader &= word(at).is_some_and(|address| BOOT_LOADER.contains(&address));
        let data = at + 8;
        let data = data
            .checked_add(length)
            .and_then(|end| bytes.get(data..end))
            .ok_or_else(|| cut(&segment()))?;
        sum = data.iter().fold(sum, |sum, byte| sum ^ byte);
        at += 8 + length;
    }
    let last = start + (at - start) / 16 * 16 + 15;
    let stored = *bytes.get(last).ok_or_else(|| cut("the padding before the checksum"))?;
    if stored != sum {
        return Err((
            format!("the checksum{of} is {stored:#04x}, and its data come to {sum:#04x}"),
            REBUILD,
        ));
    }
    Ok(Part { end: last + 1, is_boot_loader })
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

    /// An image at `start` of a file: one segment for `address`.
    fn part(address: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xE9, 1, 0, 0, 0x00, 0x01, 0x10, 0x40];
        bytes.extend_from_slice(&address.to_le_bytes());
        bytes.extend_from_slice(&(data.len() as u32).to_le_bytes());
        bytes.extend_from_slice(data);
        let sum = data.iter().fold(CHECKSUM_SEED, |sum, byte| sum ^ byte);
        bytes.resize(bytes.len() / 16 * 16 + 15, 0);
        bytes.push(sum);
        bytes
    }

    #[test]
    fn an_arduino_layout_that_was_cut_anywhere_is_refused() {
        let mut whole = part(0x4010_F000, b"the boot loader");
        whole.resize(SECOND, 0xAA);
        whole.extend(part(0x4020_1010, &[7; 300]));
        let parse = |length: usize| {
            Image::parse(Path::new("f.bin"), whole[..length].to_vec(), ImageFormat::Esp8266, None)
        };
        parse(whole.len()).unwrap();
        for length in 0..whole.len() {
            let error = parse(length).unwrap_err().to_string();
            assert!(length == 0 || error.contains(&format!("byte {length}")), "{length}: {error}");
        }
        assert!(found(whole[..SECOND].to_vec()).contains("the firmware begins at byte 4096"));
        let mut flipped = whole.clone();
        flipped[SECOND + 100] ^= 1;
        assert!(found(flipped).contains("checksum of the second image"));
        whole[SECOND] = 0;
        assert!(found(whole).contains("is 0x00"));
    }

    /// An ELF file with a loaded and a mapped segment, a section and its header at the end.
    fn elf_of(loaded: &[u8], mapped: &[u8]) -> Vec<u8> {
        let words = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
        let (first, second) = (52 + 64, 52 + 64 + loaded.len() as u32);
        let end = second + mapped.len() as u32;
        let mut elf = b"\x7fELF\x01\x01\x01".to_vec();
        elf.resize(16, 0);
        elf.extend_from_slice(&[2, 0, 94, 0]);
        elf.extend(words(&[1, 0x4010_0000, 52, end, 0]));
        elf.extend([52, 0, 32, 0, 2, 0, 40, 0, 1, 0, 0, 0]);
        for (offset, address, size) in
            [(first, 0x4010_0000, loaded.len() as u32), (second, 0x4021_0000, mapped.len() as u32)]
        {
            elf.extend(words(&[1, offset, address, address, size, size, 5, 4]));
        }
        elf.extend_from_slice(loaded);
        elf.extend_from_slice(mapped);
        elf.extend(words(&[0, 1, 0, 0, second, mapped.len() as u32, 0, 0, 4, 0]));
        elf
    }

    #[test]
    fn an_elf_that_was_cut_anywhere_is_refused() {
        let whole = elf_of(b"loaded", b"mapped");
        let format = ImageFormat::Elf(ElfMachine::Xtensa);
        let parse =
            |length: usize| Image::parse(Path::new("f.elf"), whole[..length].into(), format, None);
        parse(whole.len()).unwrap();
        for length in 0..whole.len() {
            let error = parse(length).unwrap_err().to_string();
            assert!(length < 4 || error.contains(&format!("byte {length}")), "{length}: {error}");
        }
    }

    #[test]
    fn a_mapped_part_that_was_cut_is_known_by_the_elf() {
        let mapped: Vec<u8> = (0..200).collect();
        let mut whole = part(0x4010_0000, b"loaded");
        whole.resize(0x1_0000, 0xFF);
        whole.extend_from_slice(&mapped);
        let elf = elf_of(b"loaded", &mapped);
        let cut_at = |length: usize, elf: &[u8]| {
            let bytes = whole[..length].to_vec();
            let image =
                Image::parse(Path::new("f.bin"), bytes, ImageFormat::Esp8266, None).unwrap();
            image.is_cut_by(elf)
        };
        assert_eq!(cut_at(whole.len(), &elf), None);
        for length in [whole.len() - 1, 0x1_0040, 0x1_0001, 0x1_0000, 0x800] {
            let found = cut_at(length, &elf).unwrap();
            assert!(found.contains(&format!("byte {length},")), "{found}");
            assert!(found.contains(&format!("byte {}. ", 0x1_0000 + 200)), "{found}");
        }
        // Another build's ELF says nothing of this image.
        assert_eq!(cut_at(whole.len(), &elf_of(b"loaded", &[9; 300])), None);
        assert_eq!(cut_at(0x1_0000, &elf_of(b"others", &[9; 300])), None);
        assert_eq!(cut_at(0x800, b"\x7fELF"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = check(&bytes);
            let mut with_magic = vec![0xE9];
            with_magic.extend(&bytes);
            let _ = check(&with_magic);
            let mut with_header = elf_of(b"loaded", b"mapped");
            for (at, byte) in bytes.iter().enumerate() {
                let at = 20 + at % (with_header.len() - 20);
                with_header[at] = *byte;
            }
            let _ = elf::check(&with_header, ElfMachine::Xtensa);
        }
    }
}
