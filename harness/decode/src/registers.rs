//! Register dumps: the lines that print them, and what they hold.

use std::collections::BTreeMap;

use crate::number;
use crate::scan::Scan;

/// The registers that a dump prints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// Where the program was; `PC` or `MEPC` on the ESP32 family.
    pub epc1: Option<u32>,
    /// The same of an interrupted level 2.
    pub epc2: Option<u32>,
    /// The same of level 3.
    pub epc3: Option<u32>,
    /// The address that was used, where the cause has one; `MTVAL` on RISC-V.
    pub excvaddr: Option<u32>,
    /// Where a double exception came from.
    pub depc: Option<u32>,
    /// The cause, if it is among the registers (ESP32).
    pub cause: Option<u32>,
    /// The others, by their names in lower case. Only known names, so there are not many. Those above are
    /// among them where they have 64 bits and do not fit in 32.
    pub others: BTreeMap<&'static str, u64>,
}

/// Registers beyond those with a field of their own, by their keys in [`Registers::others`].
const KEYS: &[&str] = &[
    // Xtensa, and RISC-V where the name is the same.
    "ps",
    "sar",
    "lbeg",
    "lend",
    "lcount",
    "a0",
    "a1",
    "a2",
    "a3",
    "a4",
    "a5",
    "a6",
    "a7",
    "a8",
    "a9",
    "a10",
    "a11",
    "a12",
    "a13",
    "a14",
    "a15",
    "rtn_addr",
    "excsave1",
    // RISC-V.
    "ra",
    "sp",
    "gp",
    "tp",
    "t0",
    "t1",
    "t2",
    "t3",
    "t4",
    "t5",
    "t6",
    "s0",
    "s1",
    "s2",
    "s3",
    "s4",
    "s5",
    "s6",
    "s7",
    "s8",
    "s9",
    "s10",
    "s11",
    "mstatus",
    "mtvec",
    "mcause",
    "mhartid",
    "mepc",
    "mtval",
    "fp",
    // NuttX.
    "epc",
    // Cortex-M, as Zephyr and bare handlers print them.
    "r0",
    "r1",
    "r2",
    "r3",
    "r4",
    "r5",
    "r6",
    "r7",
    "r8",
    "r9",
    "r10",
    "r11",
    "r12",
    "lr",
    "ip",
    "sb",
    "sl",
    "xpsr",
    "psp",
    "cfsr",
    "hfsr",
    "exc_return",
    "pc",
    // ARM64.
    "elr",
    "esr",
    "far",
    "spsr",
    "x0",
    "x1",
    "x2",
    "x3",
    "x4",
    "x5",
    "x6",
    "x7",
    "x8",
    "x9",
    "x10",
    "x11",
    "x12",
    "x13",
    "x14",
    "x15",
    "x16",
    "x17",
    "x18",
    "x19",
    "x20",
    "x21",
    "x22",
    "x23",
    "x24",
    "x25",
    "x26",
    "x27",
    "x28",
    "x29",
    "x30",
];

/// The key of a register by the name that a dump prints: `S0/FP`, `RA/x1`, `r14/lr`, `A15`.
fn key(name: &[u8]) -> Option<&'static str> {
    let first = name.split(|b| *b == b'/').next()?;
    let first = match first {
        b"r14" => b"lr",
        // ARM64, as Zephyr names the registers of whichever level.
        first => first.strip_suffix(b"_ELn").unwrap_or(first),
    };
    KEYS.iter().copied().find(|key| key.as_bytes().eq_ignore_ascii_case(first))
}

/// Longest name of a register, bytes.
const LONGEST: usize = 10;

impl Registers {
    /// Takes what `other` has and this lacks.
    pub fn fill(&mut self, other: &Registers) {
        self.epc1 = self.epc1.or(other.epc1);
        self.epc2 = self.epc2.or(other.epc2);
        self.epc3 = self.epc3.or(other.epc3);
        self.excvaddr = self.excvaddr.or(other.excvaddr);
        self.depc = self.depc.or(other.depc);
        self.cause = self.cause.or(other.cause);
        for (name, value) in &other.others {
            self.others.entry(name).or_insert(*value);
        }
    }

    /// Whether this is the Arduino core's or the SDK's whole line, or the first one of a dump of the
    /// ESP32 family, which does not occur by chance.
    pub fn is_whole(&self) -> bool {
        let other = |name| self.others.contains_key(name);
        let esp8266 = self.epc1.is_some() && self.epc2.is_some() && self.epc3.is_some();
        let xtensa = self.epc1.is_some() && other("ps") && other("a0");
        let riscv = self.epc1.is_some() && other("ra") && other("sp");
        let cortex = other("r0") && other("r1") && other("r2");
        esp8266 || xtensa || riscv || cortex
    }

    /// Where the function returns to: RA, LR, `rtn_addr`, or A0 of the Xtensa's windows.
    pub fn return_address(&self) -> Option<u32> {
        let other = |name: &str| u32::try_from(*self.others.get(name)?).ok();
        // The two highest bits of A0 are the size of the caller's window.
        let windowed = || {
            let a0 = other("a0").filter(|_| self.others.contains_key("ps"))?;
            (a0 >> 30 != 0).then_some(a0 & 0x3fff_ffff | 0x4000_0000)
        };
        ["ra", "lr", "rtn_addr"].iter().find_map(|name| other(name)).or_else(windowed)
    }

    fn set(&mut self, name: &[u8], value: u64) -> bool {
        let name = name.strip_suffix(b"_ELn").unwrap_or(name);
        let place = match name {
            b"epc1" | b"PC" | b"MEPC" | b"mepc" | b"pc" | b"EPC" | b"ELR" => &mut self.epc1,
            b"epc2" => &mut self.epc2,
            b"epc3" => &mut self.epc3,
            b"excvaddr" | b"epcvaddr" | b"EXCVADDR" | b"MTVAL" | b"mtval" | b"VADDR" | b"FAR" => {
                &mut self.excvaddr
            }
            b"depc" => &mut self.depc,
            b"EXCCAUSE" | b"CAUSE" => &mut self.cause,
            name => {
                let Some(key) = key(name) else { return false };
                self.others.entry(key).or_insert(value);
                return true;
            }
        };
        match (u32::try_from(value), key(name)) {
            (Ok(value), _) => *place = place.or(Some(value)),
            (Err(_), Some(key)) => {
                self.others.entry(key).or_insert(value);
            }
            (Err(_), None) => {}
        }
        true
    }
}

/// Whether a dump has a register of this name.
fn is_known(name: &[u8]) -> bool {
    Registers::default().set(name, 0)
}

/// The registers in `line`, if it is one of a register dump: names, each with `=` or `:` and a number
/// with `0x`, from the line's beginning to its end. Damaged numbers are left out, and known names in
/// front of something else end it.
pub fn read(line: &[u8]) -> Option<Registers> {
    let mut scan = Scan(line);
    let mut found = Registers::default();
    let mut pairs = 0;
    loop {
        scan.0 = scan.0.trim_ascii_start();
        scan.skip(",");
        scan.0 = scan.0.trim_ascii_start();
        if scan.0.is_empty() {
            break;
        }
        let Some(name) = named(&mut scan).filter(|name| is_known(name)) else {
            // After a dump's numbers there may be other output; in front of them there is none.
            break;
        };
        let digits = number::run(scan.0);
        scan.0 = &scan.0[digits.len()..];
        if let Some(value) = number::register(digits) {
            found.set(name, value);
        }
        pairs += 1;
    }
    (pairs > 0).then_some(found)
}

/// A name, its sign and `0x`; what follows is the number.
fn named<'a>(scan: &mut Scan<'a>) -> Option<&'a [u8]> {
    let named = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_');
    let end = scan.0.iter().position(|b| !named(b))?;
    let (name, rest) = scan.0.split_at(end);
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    scan.0 = rest.trim_ascii_start();
    if !scan.skip("=") && !scan.skip(":") && rest.len() == scan.0.len() {
        return None;
    }
    scan.0 = scan.0.trim_ascii_start();
    // The first versions of ESP-IDF print `PC      : 400d0c4b`, and NuttX `EPC: 000000008000ad8a`.
    let bare = name[0].is_ascii_uppercase() && matches!(number::run(scan.0).len(), 8 | 16);
    (scan.skip("0x") || bare).then_some(name)
}

/// Registers of RISC-V as Zephyr prints them: `a0: 00000000    t0: 42017e74`, `mepc: 420ef8f0`.
pub fn bare(line: &[u8]) -> Option<Registers> {
    let mut found = Registers::default();
    let mut pairs = 0;
    let mut words = line.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty());
    while let Some(name) = words.next() {
        let name = name.strip_suffix(b":")?;
        let value = words.next()?;
        if !name.iter().any(u8::is_ascii_lowercase) || !is_known(name) {
            return None;
        }
        if value.starts_with(b"0x") || !value.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        if let Some(value) = bare_number(name, value) {
            found.set(name, value);
        }
        pairs += 1;
    }
    (pairs > 0).then_some(found)
}

/// The number of a register that is printed without `0x`; MTVAL has no zeros in front.
fn bare_number(name: &[u8], value: &[u8]) -> Option<u64> {
    match (name, value.len()) {
        (_, 8 | 16) => number::register(value),
        (b"mtval", _) => number::unpadded(value).map(u64::from),
        _ => None,
    }
}

/// What is damaged of the numbers of a line of registers, in whichever of the forms.
pub fn damaged(line: &str) -> Vec<String> {
    if bare(line.as_bytes()).is_none() {
        return match read(line.as_bytes()) {
            Some(_) => number::damaged(line),
            None => Vec::new(),
        };
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let pairs = words.chunks_exact(2).filter(|pair| {
        let name = pair[0].trim_end_matches(':');
        bare_number(name.as_bytes(), pair[1].as_bytes()).is_none()
    });
    pairs.map(|pair| number::shown(&pair.join(" "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(text: &str) -> Registers {
        read(text.as_bytes()).unwrap_or_else(|| panic!("no registers: {text}"))
    }

    #[test]
    fn rows_of_the_esp32_family_are_read_wherever_a_register_stands() {
        let mut all = Registers::default();
        for text in [
            "PC      : 0x400dedd5  PS      : 0x0015d263  A0      : 0x800d3ad5  A1      : 0x3ffb23f0",
            "A14     : 0x0000000a  A15     : 0x3ffb7450  SAR     : 0x00005290  EXCCAUSE: 0x0000001c",
            "EXCVADDR: 0x00000008  LBEG    : 0x4000d77f  LEND    : 0x40002cd9  LCOUNT  : 0xff9ff36a",
        ] {
            all.fill(&line(text));
        }
        assert_eq!((all.epc1, all.cause, all.excvaddr), (Some(0x400d_edd5), Some(28), Some(8)));
        assert_eq!(all.return_address(), Some(0x400d_3ad5));
        assert_eq!((all.others["a15"], all.others["lcount"]), (0x3ffb_7450, 0xff9f_f36a));
        let mut all = Registers::default();
        for text in [
            "MEPC    : 0x4200a1e6  RA      : 0x42003f5c  SP      : 0x40818a0b  GP      : 0x40809b14",
            "S0/FP   : 0x40815465  S1      : 0x40819913  A0      : 0x00000000  A1      : 0x00000000",
            "MSTATUS : 0x00004092  MTVEC   : 0x40806540  MCAUSE  : 0x00000005  MTVAL   : 0x00000008",
        ] {
            all.fill(&line(text));
        }
        assert!(all.is_whole());
        assert_eq!((all.epc1, all.cause, all.excvaddr), (Some(0x4200_a1e6), None, Some(8)));
        assert_eq!(all.return_address(), Some(0x4200_3f5c));
        assert_eq!((all.others["s0"], all.others["mcause"]), (0x4081_5465, 5));
    }

    #[test]
    fn other_forms_are_read() {
        let sdk = line(
            "epc1=0x40203a1d, epc2=0x00000000, epc3=0x00000000, epcvaddr=0x00000010, depc=0x00000000, rtn_addr=0x40201234",
        );
        assert_eq!((sdk.excvaddr, sdk.return_address()), (Some(0x10), Some(0x4020_1234)));
        assert!(sdk.is_whole());
        let old = line("PC      :  400d0c4b  PS      :  00060530  A0      :  800d1e8e");
        assert_eq!((old.epc1, old.return_address()), (Some(0x400d_0c4b), Some(0x400d_1e8e)));
        let rust = line("PC=0x42000ae4         RA/x1=0x4200be18      SP/x2=0x3fcd7b30");
        assert_eq!((rust.epc1, rust.return_address()), (Some(0x4200_0ae4), Some(0x4200_be18)));
        let arm = line("r3/a4:  0x00000001 r12/ip:  0x00000000 r14/lr:  0x00004e8b");
        assert_eq!(arm.return_address(), Some(0x4e8b));
        let zephyr = bare(b"a0: 00000000    t0: 42017e74").unwrap();
        assert_eq!((zephyr.others["a0"], zephyr.others["t0"]), (0, 0x4201_7e74));
        assert_eq!(bare(b"mepc: 420ef8f0").unwrap().epc1, Some(0x420e_f8f0));
        assert_eq!(bare(b"mtval: 8").unwrap().excvaddr, Some(8));
    }

    #[test]
    fn damaged_numbers_are_no_registers() {
        let found =
            line("epc1=0x4020123 epc2=0x00000000 epc3=0x000000000 excvaddr=0x0000001o depc=0x0");
        let empty = Registers { epc2: Some(0), depc: Some(0), ..Registers::default() };
        assert_eq!(found, empty);
        assert_eq!(read(b"epc1=0x4020123"), Some(Registers::default()));
        assert_eq!(damaged("epc1=0x4020123, epc2=0x00000000"), ["epc1=0x4020123"]);
        assert_eq!(bare(b"mepc: 4200a1e"), Some(Registers::default()));
        assert_eq!(damaged("mepc: 4200a1e"), ["mepc: 4200a1e"]);
        assert_eq!(damaged("mtval: 8"), [] as [&str; 0]);
    }

    #[test]
    fn other_text_is_none() {
        for text in [
            "PC is on",
            "epc1=none",
            "free: 0x00001234",
            "heap 0x10",
            "a0: 5",
            "a0: 12345678",
            "A0",
            "",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        for text in ["a0: 5 apples", "free: 12345678", "PC: 40201234", "", "ra:"] {
            assert_eq!(bare(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, ours in "((PC|ra|epc1|mtval)[ :=]{0,3}(0x)?[0-9a-f]{0,9} ){0,9}") {
            let _ = (read(&bytes), bare(&bytes), read(ours.as_bytes()), bare(ours.as_bytes()));
        }
    }
}
