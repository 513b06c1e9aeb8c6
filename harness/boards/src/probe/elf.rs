//! What a probe needs from a firmware's ELF: its segments and the addresses of symbols.

use std::ops::Range;

use hilrig_core::board::BoardFault;
use hilrig_core::image::Image;
use object::elf::{FileHeader32, PT_LOAD};
use object::read::elf::{ElfFile, FileHeader as _, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSymbol as _};

type File<'a> = ElfFile<'a, FileHeader32<Endianness>>;

/// A piece of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlashSegment {
    /// Where it is written.
    pub address: u64,
    /// Its bytes in the file.
    pub bytes: Range<usize>,
}

/// The segments to write, by the program headers (System V ABI): each loadable segment goes to its
/// physical address. Segments without bytes in the file (`.bss`) are cleared by the firmware.
pub fn segments(image: &Image) -> Result<Vec<FlashSegment>, BoardFault> {
    let tried = || format!("reading {}", image.path.display());
    let cannot = |error: object::Error| {
        BoardFault::new(tried(), error).help("Build the firmware again: its ELF file is damaged.")
    };
    let data: &[u8] = &image.bytes;
    let header = FileHeader32::<Endianness>::parse(data).map_err(cannot)?;
    let endian = header.endian().map_err(cannot)?;
    let mut segments = Vec::new();
    for program in header.program_headers(endian, data).map_err(cannot)? {
        let (offset, size) = program.file_range(endian);
        if program.p_type(endian) != PT_LOAD || size == 0 {
            continue;
        }
        // Both are 32 bits wide in such a file, so nothing here overflows.
        let bytes = offset as usize..(offset + size) as usize;
        if bytes.end > data.len() {
            let found = format!("a segment ends at byte {}, the file at {}", bytes.end, data.len());
            return Err(BoardFault::new(tried(), found)
                .help("Build the firmware again: its ELF file is cut short."));
        }
        segments.push(FlashSegment { address: program.p_paddr(endian).into(), bytes });
    }
    if segments.is_empty() {
        return Err(BoardFault::new(tried(), "no segment of it is to be loaded")
            .help("Give the ELF file that the linker wrote, not an object file."));
    }
    Ok(segments)
}

/// The address of a variable. `None` where the ELF does not have it, or has several of that name.
pub fn symbol(image: &Image, name: &str) -> Option<u64> {
    let file = File::parse(&*image.bytes).ok()?;
    let mut found = file
        .symbols()
        .filter(|symbol| symbol.name() == Ok(name) && symbol.section_index().is_some())
        .map(|symbol| symbol.address());
    let address = found.next()?;
    found.all(|other| other == address).then_some(address)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn image(bytes: Vec<u8>) -> Image {
        Image {
            path: Path::new("f.elf").into(),
            bytes: bytes.into(),
            sha256: String::new(),
            build: None,
            data: Vec::new(),
        }
    }

    /// Header, then program headers `(type, offset, physical address, size)`, then 64 bytes.
    fn elf(programs: &[(u32, u32, u32, u32)]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x01\x01\x01".to_vec();
        bytes.resize(16, 0);
        for half in [2u16, 40] {
            bytes.extend(half.to_le_bytes());
        }
        for word in [1u32, 0, 52, 0, 0] {
            bytes.extend(word.to_le_bytes());
        }
        for half in [52u16, 32, programs.len() as u16, 40, 0, 0] {
            bytes.extend(half.to_le_bytes());
        }
        for (kind, offset, physical, size) in programs {
            for word in [*kind, *offset, 0x2000_0000, *physical, *size, *size, 5, 4] {
                bytes.extend(word.to_le_bytes());
            }
        }
        bytes.resize(bytes.len() + 64, 0xAB);
        bytes
    }

    #[test]
    fn what_has_bytes_goes_to_its_physical_address() {
        let image = image(elf(&[(1, 52, 0x100, 40), (6, 52, 0, 32), (1, 0, 0x2000_0000, 0)]));
        let segments = segments(&image).unwrap();
        assert_eq!(segments, [FlashSegment { address: 0x100, bytes: 52..92 }]);
    }

    #[test]
    fn a_file_that_cannot_be_loaded_says_why() {
        let found = |bytes| segments(&image(bytes)).unwrap_err().to_string();
        assert!(found(elf(&[(1, 52, 0, 4000)])).contains("a segment ends at byte 4052"));
        assert!(found(elf(&[])).contains("no segment of it"));
        assert!(found(b"\x7fELF".to_vec()).contains("damaged"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, offset: u32, size: u32) {
            let _ = segments(&image(elf(&[(1, offset, offset, size)])));
            let mut damaged = elf(&[(1, 52, 0, 4)]);
            damaged.extend(&bytes);
            let at = offset as usize % damaged.len();
            damaged[at] ^= size as u8;
            let damaged = image(damaged);
            let _ = segments(&damaged);
            let _ = symbol(&damaged, "heap");
            let _ = segments(&image(bytes));
        }
    }
}
