//! Tests of the checks of all image formats.

use super::esp8266::{SECOND, check};
use super::*;
use proptest::prelude::*;

/// A small image that passes.
fn small() -> Vec<u8> {
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
    let mut image = Image::parse(Path::new("f.bin"), bytes, ImageFormat::Esp8266, None).unwrap();
    assert_eq!(image.identity(), image.sha256);
    image.add(0x20_0000, vec![1; 5000]).unwrap();
    let one = image.identity();
    image.add(0x1000, vec![2]).unwrap();
    assert!(one != image.identity() && one != image.sha256);
    assert_eq!((image.data[0].offset, image.length()), (0x1000, 32 + 5001));
    let mut refused = |offset, length| image.add(offset, vec![0; length]).unwrap_err();
    assert!(refused(0, 1).contains("overlap with the image"));
    assert!(refused(0x20_1000, 1).contains("overlap with the data at 0x200000"));
    assert!(refused(0x1F_F000, 4097).contains("overlap with the data"));
    assert!(refused(0x3F_F000, 4097).contains("exceed the flash"));
    assert!(refused(u32::MAX - 4095, 1).contains("exceed the flash"));
    assert!(refused(0x0003_0001, 1).contains("no multiple"));
    assert!(refused(0x30_0000, 0).contains("it is empty"));
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
        let image = Image::parse(Path::new("f.bin"), bytes, ImageFormat::Esp8266, None).unwrap();
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
