//! The ESP8266's flat image.
//!
//! Layout (Espressif's "ESP8266 firmware image format", version 1): a header `E9, segment count,
//! flash mode, flash size << 4 | frequency, entry point u32`, then for each segment `address u32,
//! length u32, data`; then zeros so that the checksum is the last byte of a multiple of 16 bytes.
//! The checksum is 0xEF XORed over all segment data. It does not cover what follows (the part that is
//! mapped at 0x40200000).

use std::ops::Range;

use super::elf::{Load, loads};

/// First byte of a version 1 image.
const MAGIC_V1: u8 = 0xE9;
/// First byte of a version 2 image, which needs a second-stage boot loader.
const MAGIC_V2: u8 = 0xEA;
/// Start value of the image's checksum and of the loader's.
pub const CHECKSUM_SEED: u8 = 0xEF;
/// The ROM refuses more segments.
const MOST_SEGMENTS: u8 = 16;
/// Where the chip maps the first MiB of its flash.
const MAPPED: Range<u32> = 0x4020_0000..0x4030_0000;
/// A larger image does not fit the 1 MiB that the ROM maps.
const LARGEST: usize = 1024 * 1024;

const REBUILD: &str =
    "Build it again (`make firmware`), or name another file under `image` in the configuration.";

/// Checks a flat image as the ROM would, and the second image of the Arduino core's layout.
pub(super) fn check(bytes: &[u8]) -> Result<(), (String, &'static str)> {
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
    // The Arduino core's boot loader is an image of its own, and the firmware the one after it.
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
pub(super) const SECOND: usize = 0x1000;
/// Where that loader runs: nothing else is linked there (its link.ld).
const BOOT_LOADER: Range<usize> = 0x4010_F000..0x4011_0000;

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
        return Err((format!("the header{of} has a count of {segments} segments"), REBUILD));
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
            format!("the checksum{of} is {stored:#04x}, and that of its data {sum:#04x}"),
            REBUILD,
        ));
    }
    Ok(Part { end: last + 1, is_boot_loader })
}

/// The flash size in an ESP8266 image's header, bytes (esptool's table for this chip).
pub(super) fn flash_size(image: &[u8]) -> u64 {
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

/// See [`super::Image::is_cut_by`].
pub(super) fn is_cut_by(image: &[u8], elf: &[u8]) -> Option<String> {
    if image.first() != Some(&MAGIC_V1) || !elf.starts_with(b"\x7fELF") {
        return None;
    }
    let loads = loads(elf);
    let mapped = |address: u32| MAPPED.contains(&address);
    let place = |load: &Load| (load.address - MAPPED.start) as usize;
    let last = loads.iter().filter(|load| mapped(load.address)).max_by_key(|l| l.address)?;
    let (start, part) = (place(last), elf.get(last.bytes.clone())?);
    let end = start + part.len();
    if image.len() >= end {
        return None;
    }
    // Of the same build, as far as both go: by the mapped part, or by the loaded segments.
    let there = image.get(start..).unwrap_or_default();
    let same = match there.len() {
        0..16 => loads.iter().filter(|load| !mapped(load.address)).all(|load| {
            let piece = elf.get(load.bytes.clone()).unwrap_or_default();
            let piece = &piece[..piece.len().min(64)];
            image.windows(piece.len().max(1)).any(|window| window == piece)
        }),
        _ => part.starts_with(there),
    };
    same.then(|| {
        format!(
            "it ends at byte {}, and by its ELF file the code in the mapped flash ends at byte {end}. {CUT}",
            image.len()
        )
    })
}
