//! Crash text, recognised line by line and put into words.
//!
//! Texts and numbers: the ESP8266 Arduino core's `core_esp8266_postmortem.cpp`, Espressif's
//! non-OS SDK, ESP-IDF's panic handler, the Xtensa ISA's EXCCAUSE codes. Only text at its usual
//! place in a line counts, so that a log which talks about exceptions raises no alarm.

use std::fmt;

use hilrig_core::text;

use crate::scan::Scan;

/// Addresses of a `Backtrace:` line that are kept; ESP-IDF prints at most 100.
const MOST_BACKTRACE: usize = 128;

/// What a line of a board's log says about a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CrashLine {
    /// `Exception (28):` or the SDK's `Fatal exception (28):`.
    Exception {
        /// EXCCAUSE.
        cause: u32,
        /// In the SDK's form: the Arduino core's handler did not run.
        fatal: bool,
    },
    /// `epc1=0x.. epc2=0x.. epc3=0x.. excvaddr=0x.. depc=0x..`, or a line of the register dump of
    /// an ESP32 that holds one of these.
    Registers(Registers),
    /// `>>>stack>>>`
    StackBegins,
    /// `<<<stack<<<`
    StackEnds,
    /// `Soft WDT reset`: the firmware did not yield for about 3 s.
    SoftWatchdog,
    /// `wdt reset`: the ROM says that the hardware watchdog bit.
    HardwareWatchdog,
    /// A stack canary was overwritten.
    StackSmashed {
        /// Where it was noticed.
        at: Option<u32>,
    },
    /// A stack ran over its end.
    StackOverflow,
    /// `abort()` was called.
    Abort {
        /// By which address, where the text has it.
        at: Option<u32>,
    },
    /// `User exception (panic/abort/assert)`; which of them, the next lines say.
    UserException,
    /// `panic()`, or an assertion that failed.
    Panic {
        /// File, line, function, and the assertion if it was one.
        text: String,
    },
    /// A C++ exception that nobody caught.
    UnhandledException,
    /// `last failed alloc call: 40201234(512)`
    FailedAllocation {
        /// Address behind the call.
        caller: u32,
        /// Bytes that were asked for.
        bytes: u32,
    },
    /// `Guru Meditation Error: Core  0 panic'ed (LoadProhibited)`
    Guru {
        /// The name in brackets.
        what: String,
    },
    /// `Backtrace: 0x400d1234:0x3ffb1f60 ...`, the code addresses of it.
    Backtrace(Vec<u32>),
    /// `Brownout detector was triggered`
    Brownout,
}

/// The registers that a dump tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// The cause, where it stands among the registers (ESP32).
    pub cause: Option<u32>,
}

impl Registers {
    /// Takes what `other` has and this lacks.
    pub fn fill(&mut self, other: Registers) {
        self.epc1 = self.epc1.or(other.epc1);
        self.epc2 = self.epc2.or(other.epc2);
        self.epc3 = self.epc3.or(other.epc3);
        self.excvaddr = self.excvaddr.or(other.excvaddr);
        self.depc = self.depc.or(other.depc);
        self.cause = self.cause.or(other.cause);
    }

    /// Whether this is the Arduino core's or the SDK's whole line, which nobody writes by chance.
    pub fn is_whole(&self) -> bool {
        self.epc1.is_some() && self.epc2.is_some() && self.epc3.is_some()
    }
}

impl CrashLine {
    /// Whether the board went down by this; the rest are details of a dump.
    pub fn is_crash(&self) -> bool {
        !matches!(
            self,
            CrashLine::Registers(_)
                | CrashLine::StackBegins
                | CrashLine::StackEnds
                | CrashLine::FailedAllocation { .. }
                | CrashLine::Backtrace(_)
        )
    }

    /// What `line` (without its line end) says, if it is crash text.
    pub fn read(line: &[u8]) -> Option<CrashLine> {
        let line = line.trim_ascii();
        plain(line)
            .or_else(|| exception(Scan(line)))
            .or_else(|| registers(Scan(line)))
            .or_else(|| noticed(line))
            .or_else(|| panic(line))
            .or_else(|| failed_allocation(Scan(line)))
            .or_else(|| esp32(line))
    }
}

fn plain(line: &[u8]) -> Option<CrashLine> {
    Some(match line {
        b">>>stack>>>" => CrashLine::StackBegins,
        b"<<<stack<<<" => CrashLine::StackEnds,
        b"wdt reset" => CrashLine::HardwareWatchdog,
        b"Soft WDT reset" => CrashLine::SoftWatchdog,
        b"Abort called" => CrashLine::Abort { at: None },
        b"User exception (panic/abort/assert)" => CrashLine::UserException,
        b"Brownout detector was triggered" => CrashLine::Brownout,
        _ => return None,
    })
}

fn exception(mut scan: Scan<'_>) -> Option<CrashLine> {
    let fatal = scan.skip("Fatal ");
    if !scan.skip(if fatal { "exception " } else { "Exception " }) {
        return None;
    }
    let cause = if scan.skip("(") {
        let cause = scan.decimal()?;
        if !scan.skip(")") {
            return None;
        }
        cause
    } else if fatal {
        // Later SDKs: `Fatal exception 28(LoadProhibitedCause):`
        let cause = scan.decimal()?;
        if !(scan.skip("(") && scan.name().is_some() && scan.skip(")")) {
            return None;
        }
        cause
    } else {
        return None;
    };
    (scan.0 == b":").then_some(CrashLine::Exception { cause, fatal })
}

fn registers(scan: Scan<'_>) -> Option<CrashLine> {
    let starts = |names: &[&str]| names.iter().any(|name| scan.0.starts_with(name.as_bytes()));
    let found = if starts(&["epc1=0x", "epc2=0x", "epc3=0x", "excvaddr=0x", "depc=0x"]) {
        Registers {
            epc1: scan.register("epc1="),
            epc2: scan.register("epc2="),
            epc3: scan.register("epc3="),
            excvaddr: scan.register("excvaddr="),
            depc: scan.register("depc="),
            cause: None,
        }
    } else if starts(&["PC  ", "MEPC  "]) {
        Registers { epc1: scan.register("PC"), ..Registers::default() }
    } else if starts(&["EXCCAUSE:"]) {
        Registers {
            cause: scan.register("EXCCAUSE"),
            excvaddr: scan.register("EXCVADDR"),
            ..Registers::default()
        }
    } else if starts(&["MSTATUS "]) {
        // RISC-V numbers its causes in another way; the name in the first line says it.
        Registers { excvaddr: scan.register("MTVAL"), ..Registers::default() }
    } else {
        return None;
    };
    (found != Registers::default()).then_some(CrashLine::Registers(found))
}

/// A stack that was found spoilt: the text, and nothing but an address or a full stop behind it.
fn noticed(line: &[u8]) -> Option<CrashLine> {
    let mut scan = Scan(line);
    let smashed = scan.skip("Stack smashing detected");
    if !smashed && !scan.skip("Stack overflow detected") {
        return None;
    }
    let at = if scan.skip(" at 0x") { Some(scan.hex()?) } else { None };
    scan.skip(".");
    match scan.0.is_empty() {
        true if smashed => Some(CrashLine::StackSmashed { at }),
        true => Some(CrashLine::StackOverflow),
        false => None,
    }
}

fn panic(line: &[u8]) -> Option<CrashLine> {
    let mut scan = Scan(line);
    if scan.skip("Unhandled C++ exception: ") {
        return Some(CrashLine::UnhandledException);
    }
    if scan.skip("assert failed: ") {
        return Some(CrashLine::Panic { text: text::printable(scan.0) });
    }
    if !scan.skip("Panic ") {
        return None;
    }
    // `Panic core_esp8266_main.cpp:98 __yield`; a log that speaks of a panic button is none.
    let place = scan.0.split(|b| *b == b' ').next()?;
    let colon = place.iter().rposition(|b| *b == b':')?;
    let number = &place[colon + 1..];
    let is_place = colon > 0
        && !number.is_empty()
        && number.iter().all(u8::is_ascii_digit)
        && place.len() < scan.0.len();
    is_place.then(|| CrashLine::Panic { text: text::printable(scan.0) })
}

fn failed_allocation(mut scan: Scan<'_>) -> Option<CrashLine> {
    if !scan.skip("last failed alloc call: ") {
        return None;
    }
    scan.skip("0x");
    let caller = scan.hex()?;
    if !scan.skip("(") {
        return None;
    }
    let bytes = scan.decimal()?;
    scan.skip(")").then_some(CrashLine::FailedAllocation { caller, bytes })
}

fn esp32(line: &[u8]) -> Option<CrashLine> {
    let mut scan = Scan(line);
    if scan.skip("Guru Meditation Error: ") {
        let mut what = scan.find("panic'ed (")?;
        let end = what.0.iter().position(|b| *b == b')')?;
        what.0 = &what.0[..end];
        return Some(CrashLine::Guru { what: text::printable(what.0) });
    }
    if scan.skip("Backtrace:") {
        let mut addresses = Vec::new();
        for pair in scan.0.split(u8::is_ascii_whitespace) {
            let mut pair = Scan(pair);
            let Some(pc) = pair.skip("0x").then(|| pair.hex()).flatten() else { continue };
            if pair.skip(":0x") && addresses.len() < MOST_BACKTRACE {
                addresses.push(pc);
            }
        }
        return (!addresses.is_empty()).then_some(CrashLine::Backtrace(addresses));
    }
    if scan.skip("abort() was called at PC 0x") {
        return Some(CrashLine::Abort { at: Some(scan.hex()?) });
    }
    let overflow = scan.skip("***ERROR*** A stack overflow in task ")
        && scan.find(" has been detected").is_some();
    overflow.then_some(CrashLine::StackOverflow)
}

impl fmt::Display for CrashLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CrashLine::Exception { cause, .. } => {
                write!(f, "exception {cause}: {}", cause_words(*cause))
            }
            CrashLine::Registers(registers) => {
                let mut between = "";
                for (words, value) in [
                    ("at", registers.epc1),
                    ("using address", registers.excvaddr),
                    ("cause", registers.cause),
                ] {
                    if let Some(value) = value {
                        write!(f, "{between}{words} {value:#010x}")?;
                        between = ", ";
                    }
                }
                if between.is_empty() { f.write_str("registers") } else { Ok(()) }
            }
            CrashLine::StackBegins => f.write_str("stack dump begins"),
            CrashLine::StackEnds => f.write_str("stack dump ends"),
            CrashLine::SoftWatchdog => {
                f.write_str("software watchdog: the firmware did not yield for seconds")
            }
            CrashLine::HardwareWatchdog => {
                f.write_str("hardware watchdog: the chip hung with interrupts off")
            }
            CrashLine::StackSmashed { .. } => f.write_str("a stack canary was overwritten"),
            CrashLine::StackOverflow => f.write_str("the stack ran over its end"),
            CrashLine::Abort { .. } => f.write_str("abort() was called"),
            CrashLine::UserException => f.write_str("panic, abort or a failed assertion"),
            CrashLine::Panic { text } => write!(f, "panic: {text}"),
            CrashLine::UnhandledException => f.write_str("a C++ exception that nobody caught"),
            CrashLine::FailedAllocation { caller, bytes } => {
                write!(f, "the last allocation that failed: {bytes} B, asked for at {caller:#010x}")
            }
            CrashLine::Guru { what } => write!(f, "{}", guru_words(what)),
            CrashLine::Backtrace(addresses) => write!(f, "backtrace of {} calls", addresses.len()),
            CrashLine::Brownout => f.write_str("brownout: the supply voltage was too low"),
        }
    }
}

/// An Xtensa exception cause in words.
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
        _ => "a cause that the chip's documentation does not list",
    }
}

/// An ESP32's name for a panic, in words where there are better ones.
pub fn guru_words(what: &str) -> String {
    let words = match what {
        "IllegalInstruction" | "Illegal instruction" => cause_words(0),
        "InstrFetchProhibited" | "Instruction access fault" => cause_words(20),
        "LoadProhibited" | "Load access fault" => cause_words(28),
        "StoreProhibited" | "Store access fault" => cause_words(29),
        "LoadStoreAlignment" | "LoadStoreAlignmentCause" => cause_words(9),
        "LoadStoreError" => cause_words(3),
        "IntegerDivideByZero" => cause_words(6),
        what if what.starts_with("Interrupt wdt timeout") => {
            "interrupt watchdog: interrupts were off for too long"
        }
        "Cache disabled but cached memory region accessed" => {
            "code or data in flash was used while the flash was being written"
        }
        what => return what.to_owned(),
    };
    format!("{what}: {words}")
}

#[cfg(test)]
mod tests;
