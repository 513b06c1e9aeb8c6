//! Crash text, recognised line by line and put into words.
//!
//! Texts and numbers: the ESP8266 Arduino core's `core_esp8266_postmortem.cpp`, Espressif's
//! non-OS SDK, ESP-IDF's panic handler, the Xtensa ISA's EXCCAUSE codes; Rust's panics; Zephyr's
//! fatal errors. Only text at its usual place in a line counts, so that a log which talks about
//! exceptions raises no alarm.

mod backtrace;
mod cortex;
mod esp32;
mod nuttx;
mod rust;
mod zephyr;

use std::fmt;

use hilrig_core::crash::Panic;
use hilrig_core::text;

use crate::number;
use crate::registers;
pub use crate::registers::Registers;
use crate::scan::Scan;
use crate::words::{cause_words, guru_words};
pub use backtrace::entry as backtrace_entry;
pub use cortex::register as cortex_register;
pub use rust::defmt_place;
pub use zephyr::call as call_entry;

/// The longest text that is kept of a message, a name or a cause, characters.
const MOST_TEXT: usize = 400;

/// What a line of a board's log reports of a crash.
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
    /// `wdt reset`: the ROM reports a reset by the hardware watchdog.
    HardwareWatchdog,
    /// A stack canary was overwritten.
    StackSmashed {
        /// Where it was noticed.
        at: Option<u32>,
    },
    /// A stack ran over its end.
    StackOverflow {
        /// Whose, where the text has it.
        task: Option<String>,
        /// Where it was noticed, and by whom that was called, where the text has it.
        at: [Option<u32>; 2],
        /// The text is cut.
        cut: bool,
    },
    /// `abort()` was called.
    Abort {
        /// By which address, where the text has it.
        at: Option<u32>,
    },
    /// `User exception (panic/abort/assert)`; which of them, the next lines say.
    UserException,
    /// `panic()`, or an assertion that failed.
    Panic {
        /// The message, the assertion, or the text there; may be empty if it follows.
        text: String,
        /// What of it is known by name.
        panic: Box<Panic>,
        /// The thread, where the text has it.
        task: Option<String>,
    },
    /// A C++ exception that was not caught.
    UnhandledException,
    /// `last failed alloc call: 40201234(512)`
    FailedAllocation {
        /// Address after the call, if it is not damaged.
        caller: Option<u32>,
        /// Bytes that were asked for.
        bytes: u32,
    },
    /// `Guru Meditation Error: Core  0 panic'ed (LoadProhibited)`
    Guru {
        /// The name in brackets.
        what: String,
    },
    /// A fault as Zephyr, Rust or a bare handler names it. Several may be of one crash.
    Fault {
        /// Its name.
        what: String,
        /// The registers on the same line.
        registers: Box<Registers>,
    },
    /// `Debug exception reason: Stack canary watchpoint triggered (net_worker)`
    Canary {
        /// The task, where the text has it.
        task: Option<String>,
        /// The text is cut.
        cut: bool,
    },
    /// What is wrong in more detail: `Debug exception reason: BREAK instr`, `Data Access Violation`.
    Detail {
        /// The text.
        what: String,
    },
    /// `>>> ZEPHYR FATAL ERROR 0: CPU exception on CPU 0`
    Zephyr {
        /// Its number.
        reason: u32,
        /// Its text.
        what: String,
    },
    /// A fault or a failed assertion as NuttX prints it. Several may be of one crash.
    Nuttx {
        /// The fault; empty for an assertion.
        what: String,
        /// The registers on the same line.
        registers: Box<Registers>,
        /// The assertion.
        panic: Option<Box<Panic>>,
        /// The task, where the text has it.
        task: Option<String>,
    },
    /// The task or thread that crashed.
    Task {
        /// Its name.
        name: String,
        /// Where a spoilt stack was noticed, as `Detected in task "main" at 0x42007c52` has it.
        at: Option<u32>,
    },
    /// `Task watchdog got triggered. The following tasks did not reset the watchdog in time:`
    TaskWatchdog,
    /// `Core  1 register dump:`
    RegisterDump,
    /// `Stack memory:` of a RISC-V chip: rows follow.
    StackMemory,
    /// `Backtrace:`, whose addresses follow on lines of their own.
    BacktraceBegins,
    /// `Backtrace: 0x400d1234:0x3ffb1f60 ...`, the code addresses of it.
    Backtrace {
        /// Code addresses.
        addresses: Vec<u32>,
        /// How the chip marks its end: `CORRUPTED`, `CONTINUES`.
        end: Option<&'static str>,
    },
    /// `ELF file SHA256: 5d1a0f3b2`, the digits.
    ElfSha256(String),
    /// `Rebooting...`: the dump is over.
    Ended,
    /// `Brownout detector was triggered`
    Brownout,
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
                | CrashLine::Backtrace { .. }
                | CrashLine::Detail { .. }
                | CrashLine::Task { .. }
                | CrashLine::RegisterDump
                | CrashLine::StackMemory
                | CrashLine::BacktraceBegins
                | CrashLine::ElfSha256(_)
                | CrashLine::Ended
        )
    }

    /// What `line` (without its line end) is, if it is crash text.
    pub fn read(line: &[u8]) -> Option<CrashLine> {
        let line = line.trim_ascii();
        plain(line)
            .or_else(|| exception(Scan(line)))
            .or_else(|| zephyr::arm64(line))
            .or_else(|| registers::read(line).map(CrashLine::Registers))
            .or_else(|| noticed(line))
            .or_else(|| panic(line))
            .or_else(|| failed_allocation(Scan(line)))
            .or_else(|| {
                let text = std::str::from_utf8(line).ok()?;
                esp32::read(text)
                    .or_else(|| backtrace::read(text))
                    .or_else(|| nuttx::read(text))
                    .or_else(|| rust::read(text))
                    .or_else(|| zephyr::read(text))
                    .or_else(|| cortex::read(text))
            })
    }

    /// What of the numbers in `line`, which was read as this, is damaged.
    pub fn damaged(&self, line: &str) -> Vec<String> {
        match self {
            CrashLine::Registers(_) => registers::damaged(line),
            CrashLine::Fault { .. }
            | CrashLine::Backtrace { .. }
            | CrashLine::Abort { .. }
            | CrashLine::StackSmashed { .. }
            | CrashLine::StackOverflow { .. } => number::damaged(line),
            CrashLine::FailedAllocation { caller: None, .. } => vec![number::shown(line)],
            _ => Vec::new(),
        }
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

/// A stack that was found spoilt: the text, and nothing but an address or a full stop after it.
fn noticed(line: &[u8]) -> Option<CrashLine> {
    let mut scan = Scan(line);
    let smashed = scan.skip("Stack smashing detected");
    if !smashed && !scan.skip("Stack overflow detected") {
        return None;
    }
    let mut at = [None; 2];
    if scan.skip(" at ") {
        at[0] = address(&mut scan)?;
        // Rust's handler on RISC-V names the caller, too.
        scan.skip(",");
        scan.skip(" possibly");
        if scan.skip(" called by ") {
            at[1] = address(&mut scan)?;
        }
    }
    scan.skip(".");
    match scan.0.is_empty() {
        true if smashed => Some(CrashLine::StackSmashed { at: at[0] }),
        true => Some(CrashLine::StackOverflow { task: None, at, cut: false }),
        false => None,
    }
}

/// An address with `0x`: none in it where it is damaged, none at all where there is no number.
fn address(scan: &mut Scan<'_>) -> Option<Option<u32>> {
    if !scan.skip("0x") {
        return None;
    }
    let digits = number::run(scan.0);
    scan.0 = &scan.0[digits.len()..];
    Some(number::whole(digits))
}

fn panic(line: &[u8]) -> Option<CrashLine> {
    let mut scan = Scan(line);
    if scan.skip("Unhandled C++ exception: ") {
        return Some(CrashLine::UnhandledException);
    }
    if !scan.skip("Panic ") {
        return None;
    }
    // `Panic core_esp8266_main.cpp:98 __yield`; a log that speaks of a panic button is none.
    let mut words = scan.0.splitn(2, |b| *b == b' ');
    let place = words.next()?;
    let colon = place.iter().rposition(|b| *b == b':')?;
    let number = std::str::from_utf8(&place[colon + 1..]).ok()?;
    let function = words.next()?;
    let is_place = colon > 0 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let function = function.split(|b| *b == b':').next().map(kept);
    is_place.then(|| CrashLine::Panic {
        text: kept(scan.0),
        panic: Box::new(Panic {
            file: Some(kept(&place[..colon])),
            line: number.parse().ok(),
            function,
            ..Panic::default()
        }),
        task: None,
    })
}

/// What a logger of Rust, Zephyr or NuttX wrote into a line of its own.
pub fn without_logger(line: &str) -> Option<&str> {
    rust::without_logger(line)
        .or_else(|| zephyr::without_logger(line))
        .or_else(|| nuttx::without_logger(line))
}

/// A fault that has nothing but a name.
fn fault_named(what: &str) -> CrashLine {
    CrashLine::Fault { what: kept(what), registers: Box::default() }
}

/// Text of a board: printable, and not without end.
fn kept(text: impl AsRef<[u8]>) -> String {
    text::printable(text.as_ref().trim_ascii()).chars().take(MOST_TEXT).collect()
}

fn failed_allocation(mut scan: Scan<'_>) -> Option<CrashLine> {
    if !scan.skip("last failed alloc call: ") {
        return None;
    }
    scan.skip("0x");
    let digits = number::run(scan.0);
    scan.0 = &scan.0[digits.len()..];
    let caller = number::whole(digits);
    if digits.len() < 4 || !scan.skip("(") {
        return None;
    }
    let bytes = scan.decimal()?;
    scan.skip(")").then_some(CrashLine::FailedAllocation { caller, bytes })
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
            CrashLine::StackOverflow { task: Some(task), .. }
            | CrashLine::Canary { task: Some(task), .. } => {
                write!(f, "the stack of task {task} ran over its end")
            }
            CrashLine::StackOverflow { .. } | CrashLine::Canary { .. } => {
                f.write_str("the stack ran over its end")
            }
            CrashLine::Abort { .. } => f.write_str("abort() was called"),
            CrashLine::UserException => f.write_str("panic, abort or a failed assertion"),
            CrashLine::Panic { text, panic, .. } => match (text.as_str(), panic.place()) {
                ("", place) if place.is_empty() => f.write_str("panic"),
                ("", place) => write!(f, "panic at {place}"),
                (text, _) => write!(f, "panic: {text}"),
            },
            CrashLine::UnhandledException => f.write_str("a C++ exception that was not caught"),
            CrashLine::FailedAllocation { caller, bytes } => {
                write!(f, "the last allocation that failed: {bytes} B")?;
                caller.map_or(Ok(()), |caller| write!(f, ", asked for at {caller:#010x}"))
            }
            CrashLine::Guru { what } => write!(f, "{}", guru_words(what)),
            CrashLine::Fault { what, .. } => write!(f, "{}", guru_words(what)),
            CrashLine::Detail { what } => f.write_str(what),
            CrashLine::Zephyr { reason, what } => {
                write!(f, "Zephyr's fatal error {reason}: {what}")
            }
            CrashLine::Nuttx { what, .. } if !what.is_empty() => f.write_str(&guru_words(what)),
            CrashLine::Nuttx { panic, .. } => {
                let message = panic.as_ref().and_then(|panic| panic.message.as_deref());
                write!(f, "assertion failed{}", message.map_or(String::new(), |m| format!(": {m}")))
            }
            CrashLine::Task { name, .. } => write!(f, "in task {name}"),
            CrashLine::TaskWatchdog => {
                f.write_str("task watchdog: a task did not yield for seconds")
            }
            CrashLine::RegisterDump => f.write_str("registers follow"),
            CrashLine::StackMemory => f.write_str("stack dump begins"),
            CrashLine::BacktraceBegins => f.write_str("backtrace follows"),
            CrashLine::Backtrace { addresses, .. } => {
                write!(f, "backtrace of {} calls", addresses.len())
            }
            CrashLine::ElfSha256(_) => f.write_str("digest of the ELF"),
            CrashLine::Ended => f.write_str("the dump is over"),
            CrashLine::Brownout => f.write_str("brownout: the supply voltage was too low"),
        }
    }
}

#[cfg(test)]
mod tests;
