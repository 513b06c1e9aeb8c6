//! The headers of an ELF file (System V ABI, 32 bits, little-endian), so that a file that is cut short is
//! refused before a board is touched.

use std::ops::Range;

use super::ElfMachine;

const HELP: &str = "Name the firmware's ELF file under `image` in the configuration.";
const CUT: &str = "It was cut short, as by a download that broke off: get or build it again.";

const HEADER: usize = 52;
const PT_LOAD: u32 = 1;
const SHT_NULL: u32 = 0;
const SHT_NOBITS: u32 = 8;

/// A loadable segment that has bytes in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub address: u32,
    pub bytes: Range<usize>,
}

/// Checks that the headers and everything that they describe are inside the file.
pub(super) fn check(bytes: &[u8], machine: ElfMachine) -> Result<(), (String, &'static str)> {
    if bytes.is_empty() {
        return Err(("the file is empty".into(), HELP));
    }
    if !bytes.starts_with(b"\x7fELF") {
        return Err(("it is no ELF file".into(), HELP));
    }
    if bytes.len() < HEADER {
        return Err((format!("it ends at byte {}, inside the header", bytes.len()), CUT));
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
    whole(bytes)
}

/// Checks that everything that the headers of a 32-bit ELF file describe is inside the file.
pub(super) fn whole(bytes: &[u8]) -> Result<(), (String, &'static str)> {
    inside(bytes, "the program headers", table(bytes, 28, 42, 44))?;
    for load in loads(bytes) {
        inside(bytes, &format!("the segment for {:#010x}", load.address), load.bytes)?;
    }
    inside(bytes, "the section headers", table(bytes, 32, 46, 48))?;
    for section in entries(bytes, 32, 46, 48) {
        let word = |at| word(section, at);
        let kind = word(4);
        if !matches!(kind, Some(SHT_NULL | SHT_NOBITS) | None) {
            let range = range(word(16).unwrap_or(0), word(20).unwrap_or(0));
            inside(bytes, "a section", range)?;
        }
    }
    Ok(())
}

/// The loadable segments; some may exceed the file.
pub(super) fn loads(bytes: &[u8]) -> Vec<Load> {
    let load = |program: &[u8]| {
        let size = word(program, 16).filter(|size| *size > 0)?;
        (word(program, 0)? == PT_LOAD)
            .then_some(Load { address: word(program, 8)?, bytes: range(word(program, 4)?, size) })
    };
    entries(bytes, 28, 42, 44).filter_map(load).collect()
}

fn inside(bytes: &[u8], what: &str, range: Range<usize>) -> Result<(), (String, &'static str)> {
    match range.end > bytes.len() {
        true => Err((
            format!("{what} ends at byte {}, and the file at byte {}", range.end, bytes.len()),
            CUT,
        )),
        false => Ok(()),
    }
}

/// The range of a table whose offset, entry size and count are at these offsets of the header.
fn table(bytes: &[u8], offset: usize, size: usize, count: usize) -> Range<usize> {
    let half = |at: usize| bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
    let length = u32::from(half(size)) * u32::from(half(count));
    range(word(bytes, offset).filter(|_| length > 0).unwrap_or(0), length)
}

fn entries(bytes: &[u8], offset: usize, size: usize, count: usize) -> impl Iterator<Item = &[u8]> {
    let whole = bytes.get(table(bytes, offset, size, count)).unwrap_or_default();
    let size = bytes.get(size..size + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
    whole.chunks_exact(usize::from(size.max(1)))
}

fn range(start: u32, length: u32) -> Range<usize> {
    start as usize..start as usize + length as usize
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
