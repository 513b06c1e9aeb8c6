//! A tiny firmware as an ELF file, with the sections that one of ESP-IDF has.

/// EM_XTENSA and EM_RISCV.
pub const XTENSA: u16 = 94;
pub const RISCV: u16 = 243;

/// A section that is loaded.
pub struct ElfSection {
    pub name: &'static str,
    pub address: u32,
    pub bytes: Vec<u8>,
    pub executable: bool,
}

/// The application descriptor (ESP-IDF, `esp_app_desc_t`): magic, version, then what the
/// second-stage loader does not read.
fn descriptor(version: &str) -> Vec<u8> {
    let mut bytes = vec![0; 256];
    bytes[..4].copy_from_slice(&0xABCD_5432u32.to_le_bytes());
    bytes[16..16 + version.len()].copy_from_slice(version.as_bytes());
    bytes
}

/// Pseudo-random bytes of a seed, with all byte values.
pub fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// The sections of a firmware for the ESP32-C3 or the ESP32, by their memory maps.
pub fn sections(machine: u16, text: usize, seed: u32) -> Vec<ElfSection> {
    let [rodata, irom, iram, dram] = match machine {
        RISCV => [0x3C00_0020, 0x4201_0020, 0x4038_0000, 0x3FC8_8000],
        _ => [0x3F40_0020, 0x400D_0020, 0x4008_0000, 0x3FFB_0000],
    };
    let section =
        |name, address, bytes, executable| ElfSection { name, address, bytes, executable };
    vec![
        section(".flash.appdesc", rodata, descriptor("v1"), false),
        section(".flash.rodata", rodata + 256, noise(3000, seed ^ 7), false),
        section(".flash.text", irom, noise(text, seed), true),
        section(".iram0.text", iram, noise(1024, seed ^ 9), true),
        section(".dram0.data", dram, noise(512, seed ^ 11), false),
    ]
}

/// The file (System V ABI, ELF-32 little-endian).
pub fn file(machine: u16, sections: &[ElfSection]) -> Vec<u8> {
    const HEADER: usize = 52;
    const PROGRAM: usize = 32;
    let entry = sections.iter().rfind(|section| section.executable).map_or(0, |s| s.address);
    let mut names = vec![0];
    let mut name_of = |name: &str| {
        let at = names.len() as u32;
        names.extend(name.as_bytes());
        names.push(0);
        at
    };
    let mut out = vec![0; HEADER + PROGRAM * sections.len()];
    let mut headers: Vec<[u32; 10]> = vec![[0; 10]];
    let mut programs: Vec<[u32; 8]> = Vec::new();
    for section in sections {
        out.resize(out.len().next_multiple_of(16), 0);
        let (offset, size) = (out.len() as u32, section.bytes.len() as u32);
        // SHT_PROGBITS; SHF_ALLOC and SHF_EXECINSTR or SHF_WRITE.
        let flags = if section.executable { 2 | 4 } else { 2 | 1 };
        headers.push([name_of(section.name), 1, flags, section.address, offset, size, 0, 0, 4, 0]);
        // PT_LOAD; PF_R and PF_X or PF_W.
        let rights = if section.executable { 4 | 1 } else { 4 | 2 };
        programs.push([1, offset, section.address, section.address, size, size, rights, 4]);
        out.extend(&section.bytes);
    }
    let strings = name_of(".shstrtab");
    // SHT_STRTAB.
    headers.push([strings, 3, 0, 0, out.len() as u32, names.len() as u32, 0, 0, 1, 0]);
    out.extend(&names);
    out.resize(out.len().next_multiple_of(4), 0);
    let table = out.len() as u32;
    out.extend(headers.iter().flatten().flat_map(|word| word.to_le_bytes()));

    let mut header = b"\x7fELF\x01\x01\x01".to_vec();
    header.resize(16, 0);
    let halves =
        |words: &[u16]| -> Vec<u8> { words.iter().flat_map(|w| w.to_le_bytes()).collect() };
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_le_bytes()).collect() };
    // ET_EXEC.
    header.extend(halves(&[2, machine]));
    header.extend(words(&[1, entry, HEADER as u32, table, 0]));
    let count = headers.len() as u16;
    header.extend(halves(&[52, 32, programs.len() as u16, 40, count, count - 1]));
    out[..HEADER].copy_from_slice(&header);
    out[HEADER..HEADER + PROGRAM * sections.len()].copy_from_slice(
        &programs.iter().flatten().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>(),
    );
    out
}

/// A firmware with `text` bytes of code that differ from seed to seed.
pub fn firmware(machine: u16, text: usize, seed: u32) -> Vec<u8> {
    file(machine, &sections(machine, text, seed))
}
