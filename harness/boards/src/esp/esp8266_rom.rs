//! Facts of the ESP8266's ROM loader: registers, sizes and words for its error codes.
//!
//! Protocol: Espressif, "Serial Protocol" in the documentation of esptool.

use hilrig_core::mac::Mac;

/// A register whose value identifies the chip family.
pub const MAGIC_REGISTER: u32 = 0x4000_1000;
/// Its value on an ESP8266.
pub const MAGIC: u32 = 0xFFF0_C101;
/// The fuse words with the MAC: m0, m1, m3.
pub const MAC_REGISTERS: [u32; 3] = [0x3FF0_0050, 0x3FF0_0054, 0x3FF0_005C];
/// Bytes of one FLASH_DATA block; the ROM accepts no other size.
pub const BLOCK: usize = 0x400;
/// Content of erased flash; the last block is padded with it.
pub const ERASED: u8 = 0xFF;

const SECTOR: u32 = 4096;
const SECTORS_PER_BLOCK: u32 = 16;

/// The erase size of a request that makes the ROM erase `length` bytes from `offset`.
///
/// The ROM counts the sectors up to the next 64 KiB border twice: a request for r sectors erases
/// r + min(r, head). So the request has fewer. Where the exact number is impossible, one sector more is
/// erased, never one less.
pub fn erase_size(offset: u32, length: u32) -> u32 {
    let sectors = length.div_ceil(SECTOR);
    let start = offset / SECTOR;
    let head = (SECTORS_PER_BLOCK - start % SECTORS_PER_BLOCK).min(sectors);
    let asked = if sectors < 2 * head { sectors.div_ceil(2) } else { sectors - head };
    asked * SECTOR
}

/// The MAC in the fuse words m0, m1, m3; `None` where they have none that the ROM knows.
pub fn mac([m0, m1, m3]: [u32; 3]) -> Option<Mac> {
    let vendor = match ((m1 >> 16) & 0xFF, m3) {
        (_, m3) if m3 != 0 => [(m3 >> 16) as u8, (m3 >> 8) as u8, m3 as u8],
        (0, _) => [0x18, 0xFE, 0x34],
        (1, _) => [0xAC, 0xD0, 0x74],
        _ => return None,
    };
    let [a, b, c] = vendor;
    Some(Mac([a, b, c, (m1 >> 8) as u8, m1 as u8, (m0 >> 24) as u8]))
}

/// A chip by the value of its [`MAGIC_REGISTER`] (from esptool's table).
pub fn chip_words(magic: u32) -> &'static str {
    match magic {
        MAGIC => "an ESP8266",
        0x00F0_1D83 => "an ESP32",
        0x0000_07C6 => "an ESP32-S2",
        0x0000_0009 => "an ESP32-S3",
        0x6921_506F | 0x1B31_506F | 0x4881_606F | 0x4361_606F => "an ESP32-C3",
        0 | u32::MAX => "no chip that answers reads",
        _ => "a chip that hilrig does not know",
    }
}

/// Whether lost or changed bytes may be the cause of this error. A block out of order (0x06) comes
/// after a block that was lost.
pub fn error_of_line(error: u8) -> bool {
    matches!(error, 0x05..=0x07)
}

/// The loader's error byte in words.
pub fn error_words(error: u8) -> &'static str {
    match error {
        0x00 => "no reason given",
        0x05 => "the message is invalid",
        0x06 => "the command could not be carried out",
        0x07 => "the checksum is wrong",
        0x08 => "writing the flash failed",
        0x09 => "reading the flash failed",
        0x0A => "the length of a flash read is wrong",
        0x0B => "compressed data could not be unpacked",
        _ => "an error code that the ROM's documentation does not list",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mac_is_put_together_from_its_words() {
        let tail = (0x2900_0000, 0x0000_A266);
        assert_eq!(mac([tail.0, tail.1, 0]).unwrap().to_string(), "18:fe:34:a2:66:29");
        assert_eq!(mac([tail.0, tail.1 | 1 << 16, 0]).unwrap().to_string(), "ac:d0:74:a2:66:29");
        assert_eq!(mac([tail.0, tail.1, 0x5C_CF7F]).unwrap().to_string(), "5c:cf:7f:a2:66:29");
        assert_eq!(mac([tail.0, tail.1 | 2 << 16, 0]), None);
    }

    #[test]
    fn known_erase_sizes() {
        assert_eq!(erase_size(0, 4096), 4096);
        assert_eq!(erase_size(0, 200 * 1024), 34 * 4096);
        assert_eq!(erase_size(0, 64 * 1024), 8 * 4096);
        assert_eq!(erase_size(0x1_F000, 8192), 4096);
    }

    proptest! {
        #[test]
        fn what_the_rom_erases_covers_the_image_and_at_most_one_sector_more(
            start in 0u32..1024, length in 1u32..0x10_0000,
        ) {
            let asked = erase_size(start * SECTOR, length) / SECTOR;
            let erased = asked + asked.min(16 - start % 16);
            let needed = length.div_ceil(SECTOR);
            prop_assert!((needed..=needed + 1).contains(&erased), "{needed} needed, {erased} erased");
        }
    }
}
