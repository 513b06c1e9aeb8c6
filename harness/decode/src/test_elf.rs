//! A small ELF of an Xtensa, made byte by byte: what tests of a real firmware cannot do is to be
//! broken on purpose, and to stay the same from build to build.

use gimli::write::{
    Address, AttributeValue, DwarfUnit, EndianVec, LineProgram, LineString, Sections,
};
use gimli::{Encoding, Format, LineEncoding, LittleEndian};

/// Where the code is.
pub const TEXT: u32 = 0x4021_0000;
/// `Net::loop()` begins here and calls `crash` from line 12 of `net.cpp`.
pub const LOOP: u32 = TEXT + 0x20;
/// What the CALL0 in it returns to, which is line 13 already.
pub const BEHIND_CALL: u32 = LOOP + 7;
/// What its CALLX0 returns to.
pub const BEHIND_CALLX: u32 = LOOP + 0x13;
/// `memset` of the chip's ROM.
pub const MEMSET: u32 = 0x4000_e190;
/// Bytes of the code.
pub const LENGTH: u32 = 0x40;

fn code() -> Vec<u8> {
    let mut code = vec![0x3d; LENGTH as usize];
    // What LOOP begins with writes memory.
    code[0x20..0x23].copy_from_slice(&[0x32, 0x62, 0x00]);
    // From LOOP + 4: the base is the next word, 10 words after `crash`.
    let call0 = ((-10i32 as u32) << 6) | 0x05;
    code[0x24..0x27].copy_from_slice(&call0.to_le_bytes()[..3]);
    code[0x30..0x33].copy_from_slice(&[0xc0, 0x00, 0x00]);
    // Bytes like a CALL0 that goes nowhere.
    code[0x38..0x3b].copy_from_slice(&[0x05, 0x00, 0x40]);
    code
}

/// Sections of debug information: name, bytes.
fn debug() -> Vec<(&'static str, Vec<u8>)> {
    let encoding = Encoding { format: Format::Dwarf32, version: 4, address_size: 4 };
    let mut dwarf = DwarfUnit::new(encoding);
    let text = |text: &str| LineString::String(text.as_bytes().to_vec());
    let mut lines = LineProgram::new(
        encoding,
        LineEncoding::default(),
        text("/src"),
        None,
        text("net.cpp"),
        None,
    );
    let directory = lines.default_directory();
    let file = lines.add_file(text("net.cpp"), directory, None);
    lines.begin_sequence(Some(Address::Constant(LOOP.into())));
    for (offset, line) in [(0, 10), (4, 12), (7, 13)] {
        let row = lines.row();
        (row.file, row.address_offset, row.line) = (file, offset, line);
        lines.generate_row();
    }
    lines.end_sequence(0x20);
    dwarf.unit.line_program = lines;
    let range = |entry: &mut gimli::write::DebuggingInformationEntry| {
        let low = AttributeValue::Address(Address::Constant(LOOP.into()));
        entry.set(gimli::DW_AT_low_pc, low);
        entry.set(gimli::DW_AT_high_pc, AttributeValue::Udata(0x20));
    };
    let root = dwarf.unit.root();
    let name = AttributeValue::String(b"_ZN3Net4loopEv".to_vec());
    let function = dwarf.unit.add(root, gimli::DW_TAG_subprogram);
    range(dwarf.unit.get_mut(root));
    range(dwarf.unit.get_mut(function));
    dwarf.unit.get_mut(function).set(gimli::DW_AT_linkage_name, name);
    let language = AttributeValue::Language(gimli::DW_LANG_C_plus_plus);
    dwarf.unit.get_mut(root).set(gimli::DW_AT_language, language);
    let folder = AttributeValue::String(b"/src".to_vec());
    dwarf.unit.get_mut(root).set(gimli::DW_AT_comp_dir, folder);
    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    dwarf.write(&mut sections).unwrap();
    let mut all = Vec::new();
    sections
        .for_each(|id, data| -> Result<(), ()> {
            all.push((id.name(), data.slice().to_vec()));
            Ok(())
        })
        .unwrap();
    all
}

/// The ELF, with debug information or without.
pub fn elf(with_debug: bool) -> Vec<u8> {
    let strings = b"\0crash\0_ZN3Net4loopEv\0memset\0".to_vec();
    let mut symbols = vec![0; 16];
    for (name, value, size, info, section) in
        [(1u32, TEXT, 0x20u32, 0x12u8, 1u16), (7, LOOP, 0, 0x12, 1), (22, MEMSET, 0, 0x10, 0xfff1)]
    {
        for word in [name, value, size] {
            symbols.extend(word.to_le_bytes());
        }
        symbols.extend([info, 0]);
        symbols.extend(section.to_le_bytes());
    }
    // Name, type, flags, address, bytes, link, size of an entry.
    let mut sections = vec![
        ("", 0u32, 0u32, 0u32, Vec::new(), 0u32, 0u32),
        (".text", 1, 6, TEXT, code(), 0, 0),
        (".symtab", 2, 0, 0, symbols, 3, 16),
        (".strtab", 3, 0, 0, strings, 0, 0),
    ];
    if with_debug {
        sections.extend(debug().into_iter().map(|(name, data)| (name, 1, 0, 0, data, 0, 0)));
    }
    let mut names = Vec::new();
    let offsets: Vec<u32> = sections
        .iter()
        .map(|section| section.0)
        .chain([".shstrtab"])
        .map(|name| {
            let at = names.len() as u32;
            names.extend(name.bytes().chain([0]));
            at
        })
        .collect();
    sections.push((".shstrtab", 3, 0, 0, names, 0, 0));
    let mut body: Vec<u8> = Vec::new();
    let mut headers = Vec::new();
    for ((_, kind, flags, address, data, link, entry), name) in sections.iter().zip(offsets) {
        let offset = 52 + body.len() as u32;
        // Symbols: the first one that is not local.
        let info = u32::from(*kind == 2);
        let length = data.len() as u32;
        for word in [name, *kind, *flags, *address, offset, length, *link, info, 1, *entry] {
            headers.extend(word.to_le_bytes());
        }
        body.extend(data);
    }
    let mut elf = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend(2u16.to_le_bytes()); // executable
    elf.extend(94u16.to_le_bytes()); // Xtensa
    for word in [1, TEXT, 0, 52 + body.len() as u32, 0] {
        elf.extend(word.to_le_bytes());
    }
    for half in [52u16, 0, 0, 40, sections.len() as u16, sections.len() as u16 - 1] {
        elf.extend(half.to_le_bytes());
    }
    elf.extend(body);
    elf.extend(headers);
    elf
}
