//! What a firmware takes of the chip's memory, by its ELF file.

use hilrig_core::sections::{Holds, Section};
use hilrig_core::text;
use object::{Object as _, ObjectSection as _, SectionFlags, SectionKind, elf};

use crate::firmware::FirmwareError;

/// So many are reported: a linker script that gives each variable its own section is of no use here.
const MOST: usize = 32;
/// The longest name that is reported, in characters.
const MOST_NAME: usize = 40;

/// The sections that lie in the chip's memory, in the file's order.
///
/// # Errors
/// It is no ELF file.
pub fn sections(elf: &[u8]) -> Result<Vec<Section>, FirmwareError> {
    let file = object::File::parse(elf).map_err(FirmwareError::NoElf)?;
    let in_memory = |section: &object::Section<'_, '_>| match section.flags() {
        SectionFlags::Elf { sh_flags, .. } => sh_flags.0 & elf::SHF_ALLOC.0 != 0,
        _ => false,
    };
    let sections = file.sections().filter(in_memory).filter(|section| section.size() > 0);
    let sections = sections.filter_map(|section| {
        Some(Section {
            name: text::printable(section.name_bytes().ok()?).chars().take(MOST_NAME).collect(),
            holds: match section.kind() {
                SectionKind::Text => Holds::Code,
                SectionKind::ReadOnlyData | SectionKind::ReadOnlyString => Holds::Constants,
                SectionKind::UninitializedData => Holds::Bss,
                _ => Holds::Data,
            },
            bytes: section.size(),
        })
    });
    Ok(sections.take(MOST).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_elf::{LENGTH, elf};

    #[test]
    fn sections_in_memory_are_reported_and_debug_information_is_not() {
        let sections = sections(&elf(true)).unwrap();
        let told: Vec<_> = sections.iter().map(|s| (s.name.as_str(), s.holds, s.bytes)).collect();
        assert_eq!(told, [(".text", Holds::Code, u64::from(LENGTH))]);
        assert!(super::sections(b"\xe9\x03").is_err());
    }
}
