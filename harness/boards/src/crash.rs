//! Crash text and the ROM's start-up line, recognised line by line and put into words.
//!
//! Texts and numbers: the ESP8266 Arduino core's `core_esp8266_postmortem.cpp`, Espressif's
//! non-OS SDK, the Xtensa ISA's EXCCAUSE codes. Only text at its usual place in a line counts, so
//! that a log which talks about exceptions raises no alarm.

use std::fmt;

/// What a line of a board's log says about a crash or a start.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Crash {
    /// `Exception (28):` or the SDK's `Fatal exception (28):`.
    Exception {
        /// EXCCAUSE.
        cause: u32,
    },
    /// `epc1=0x.. epc2=0x.. epc3=0x.. excvaddr=0x.. depc=0x..`
    Registers {
        /// Where the program was.
        epc1: u32,
        /// The address that it used, where the cause has one.
        excvaddr: Option<u32>,
    },
    /// `>>>stack>>>`
    StackBegins,
    /// `<<<stack<<<`
    StackEnds,
    /// `Soft WDT reset`: the firmware did not yield for about 3 s.
    SoftWatchdog,
    /// `wdt reset`: the ROM says that the hardware watchdog bit.
    HardwareWatchdog,
    /// A stack canary was overwritten.
    StackSmashed,
    /// The stack ran over its end.
    StackOverflow,
    /// `abort()` was called.
    Abort,
    /// `panic()`, or an assertion that failed.
    Panic,
    /// `last failed alloc call: 40201234(512)`
    FailedAllocation {
        /// Address of the caller.
        caller: u32,
        /// Bytes that were asked for.
        bytes: u32,
    },
}

/// The ROM's line ` ets Jan  8 2013,rst cause:2, boot mode:(3,6)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RomStart {
    /// Reset cause.
    pub cause: u8,
    /// Boot mode, two figures.
    pub mode: (u8, u8),
}

impl Crash {
    /// Whether the board went down by this; the rest are details of a dump.
    pub fn is_crash(&self) -> bool {
        !matches!(
            self,
            Crash::Registers { .. }
                | Crash::StackBegins
                | Crash::StackEnds
                | Crash::FailedAllocation { .. }
        )
    }

    /// What `line` (without its line end) says, if it is crash text.
    pub fn read(line: &[u8]) -> Option<Crash> {
        let line = line.trim_ascii();
        let starts = |text: &str| line.starts_with(text.as_bytes());
        let plain = match line {
            b">>>stack>>>" => Some(Crash::StackBegins),
            b"<<<stack<<<" => Some(Crash::StackEnds),
            b"wdt reset" => Some(Crash::HardwareWatchdog),
            b"Abort called" => Some(Crash::Abort),
            _ if starts("Soft WDT reset") => Some(Crash::SoftWatchdog),
            _ if starts("Stack smashing detected") => Some(Crash::StackSmashed),
            _ if starts("Stack overflow detected") => Some(Crash::StackOverflow),
            _ if starts("User exception (panic/abort/assert)") => Some(Crash::Panic),
            _ if starts("Panic ") => Some(Crash::Panic),
            _ => None,
        };
        if plain.is_some() {
            return plain;
        }
        let mut scan = Scan(line);
        if scan.skip("Exception (") || scan.skip("Fatal exception (") {
            let cause = scan.decimal()?;
            return scan.skip("):").then_some(Crash::Exception { cause });
        }
        if scan.skip("epc1=0x") {
            let epc1 = scan.hex()?;
            let excvaddr = scan.find("excvaddr=0x").and_then(|mut at| at.hex());
            return Some(Crash::Registers { epc1, excvaddr });
        }
        if scan.skip("last failed alloc call: ") {
            let caller = scan.hex()?;
            let bytes = if scan.skip("(") { scan.decimal()? } else { return None };
            return scan.skip(")").then_some(Crash::FailedAllocation { caller, bytes });
        }
        None
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Crash::Exception { cause } => write!(f, "exception {cause}: {}", cause_words(*cause)),
            Crash::Registers { epc1, excvaddr: Some(address) } => {
                write!(f, "at {epc1:#010x}, using address {address:#010x}")
            }
            Crash::Registers { epc1, excvaddr: None } => write!(f, "at {epc1:#010x}"),
            Crash::StackBegins => f.write_str("stack dump begins"),
            Crash::StackEnds => f.write_str("stack dump ends"),
            Crash::SoftWatchdog => {
                f.write_str("software watchdog: the firmware did not yield for seconds")
            }
            Crash::HardwareWatchdog => {
                f.write_str("hardware watchdog: the chip hung with interrupts off")
            }
            Crash::StackSmashed => f.write_str("a stack canary was overwritten"),
            Crash::StackOverflow => f.write_str("the stack ran over its end"),
            Crash::Abort => f.write_str("abort() was called"),
            Crash::Panic => f.write_str("panic, abort or a failed assertion"),
            Crash::FailedAllocation { caller, bytes } => {
                write!(f, "the last allocation that failed: {bytes} B, asked for at {caller:#010x}")
            }
        }
    }
}

/// An exception cause in words.
pub fn cause_words(cause: u32) -> &'static str {
    match cause {
        0 => "illegal instruction",
        1 => "system call",
        2 => "instruction fetch error",
        3 => "load or store error",
        4 => "interrupt without a handler",
        5 => "stack could not be extended",
        6 => "division by zero",
        8 => "privileged instruction",
        9 => "unaligned address",
        20 => "jump to an address that holds no code",
        28 => "read from an address that must not be read (near 0: a null pointer)",
        29 => "write to an address that must not be written (near 0: a null pointer)",
        _ => "a cause that the ESP8266's documentation does not list",
    }
}

impl RomStart {
    /// The start that `line` tells of. Bytes before it are passed over: the line comes at another
    /// rate than the firmware's, so what stands before is often garbage.
    pub fn read(line: &[u8]) -> Option<RomStart> {
        let mut scan = Scan(line).find("rst cause:")?;
        let cause = scan.digits()?;
        if !scan.skip(", boot mode:(") {
            return None;
        }
        let first = scan.digits()?;
        if !scan.skip(",") {
            return None;
        }
        let second = scan.digits()?;
        scan.skip(")").then_some(RomStart { cause, mode: (first, second) })
    }

    /// Whether the chip boots from its flash.
    pub fn from_flash(self) -> bool {
        self.mode.0 == 3
    }
}

impl fmt::Display for RomStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = match self.cause {
            0 => "undefined",
            1 => "power-on",
            2 => "reset pin or software restart",
            3 => "software reset",
            4 => "watchdog",
            _ => "unknown",
        };
        let mode = match self.mode.0 {
            1 => "serial loader (GPIO0 is low)",
            3 => "flash",
            4..=7 => "SD card (GPIO15 is high)",
            _ => "a mode that boots nothing (GPIO2 is low)",
        };
        write!(f, "reset cause {}: {cause}; boots from {}: {mode}", self.cause, self.mode.0)
    }
}

/// Reads through bytes that may be anything.
#[derive(Clone, Copy)]
struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    fn skip(&mut self, text: &str) -> bool {
        match self.0.strip_prefix(text.as_bytes()) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// Behind the first `text`.
    fn find(&self, text: &str) -> Option<Scan<'a>> {
        let at = self.0.windows(text.len()).position(|window| window == text.as_bytes())?;
        Some(Scan(&self.0[at + text.len()..]))
    }

    fn number(&mut self, radix: u32) -> Option<u32> {
        let end = self.0.iter().position(|b| !char::from(*b).is_digit(radix));
        let (digits, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
    }

    fn decimal(&mut self) -> Option<u32> {
        self.number(10)
    }

    fn hex(&mut self) -> Option<u32> {
        self.number(16)
    }

    fn digits(&mut self) -> Option<u8> {
        self.decimal()?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_dump_of_the_arduino_core_is_read() {
        let dump = "Exception (28):\r\n\
            epc1=0x40201f23 epc2=0x00000000 epc3=0x00000000 excvaddr=0x00000010 depc=0x00000000\r\n\
            \r\n>>>stack>>>\r\n\r\nctx: cont\r\nsp: 3ffffdd0 end: 3fffffc0 offset: 0190\r\n\
            3fffff60:  3ffee5f8 00000010 3ffee5c0 40201f20  \r\n<<<stack<<<\r\n\r\n\
            last failed alloc call: 40202b94(2048)\r\n";
        let read: Vec<Crash> = dump.lines().filter_map(|l| Crash::read(l.as_bytes())).collect();
        assert_eq!(
            read,
            [
                Crash::Exception { cause: 28 },
                Crash::Registers { epc1: 0x4020_1f23, excvaddr: Some(0x10) },
                Crash::StackBegins,
                Crash::StackEnds,
                Crash::FailedAllocation { caller: 0x4020_2b94, bytes: 2048 },
            ]
        );
        assert_eq!(read.iter().filter(|crash| crash.is_crash()).count(), 1);
        assert!(read[0].to_string().contains("null pointer"));
    }

    #[test]
    fn the_other_crash_texts_are_read() {
        let cases: [(&str, Crash); 9] = [
            ("Fatal exception (0):", Crash::Exception { cause: 0 }),
            ("epc1=0x4000, epc2=0x0", Crash::Registers { epc1: 0x4000, excvaddr: None }),
            ("Soft WDT reset", Crash::SoftWatchdog),
            (" wdt reset", Crash::HardwareWatchdog),
            ("Stack smashing detected at 0x40200000", Crash::StackSmashed),
            ("Stack overflow detected.", Crash::StackOverflow),
            ("Abort called", Crash::Abort),
            ("User exception (panic/abort/assert)", Crash::Panic),
            ("Panic core_esp8266_main.cpp:98 __yield", Crash::Panic),
        ];
        for (line, crash) in cases {
            assert_eq!(Crash::read(line.as_bytes()), Some(crash), "{line}");
        }
    }

    #[test]
    fn words_that_only_look_like_a_crash_raise_no_alarm() {
        for line in [
            "No Exception (28): all is well",
            "Exception (x):",
            "Exception (28) handled",
            "wdt reset counter: 3",
            "the Soft WDT reset is disabled",
            "Panic",
            "epc1=none",
            "Abort called off",
            "Exception (99999999999):",
            "last failed alloc call: none",
        ] {
            assert_eq!(Crash::read(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn the_roms_line_is_read_behind_garbage() {
        let start =
            RomStart::read(b"\x8f\xffl ets Jan  8 2013,rst cause:4, boot mode:(1,7)").unwrap();
        assert_eq!(start, RomStart { cause: 4, mode: (1, 7) });
        assert!(!start.from_flash());
        let words = start.to_string();
        assert!(words.contains("watchdog") && words.contains("loader"), "{words}");
        assert_eq!(RomStart::read(b"rst cause:2, boot mode:(3"), None);
        assert_eq!(RomStart::read(b"rst cause:999, boot mode:(3,6)"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, at in 0usize..6) {
            let starts = [
                "", "Exception (", "epc1=0x", "last failed alloc call: ", "rst cause:",
                "rst cause:1, boot mode:(",
            ];
            let mut line = starts[at].as_bytes().to_vec();
            line.extend(bytes);
            let _ = Crash::read(&line).map(|crash| crash.to_string());
            let _ = RomStart::read(&line).map(|start| start.to_string());
        }
    }
}
