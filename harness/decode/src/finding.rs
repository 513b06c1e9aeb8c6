//! What a log tells: crashes, resets, and what follows from several of them.

use hilrig_core::text;
use serde::Serialize;

use crate::crash_line::{Registers, cause_words, guru_words};
use crate::start::RomStart;

/// Addresses below this are near 0: a field of a structure that is not there.
const NEAR_ZERO: u32 = 0x1000;

/// The longest text of a line that is kept as evidence, in characters.
const MOST_EVIDENCE: usize = 120;

/// What kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// An exception of the processor.
    Exception,
    /// The firmware did not yield.
    SoftWatchdog,
    /// The chip hung; the watchdog in hardware reset it. It leaves no dump.
    HardwareWatchdog,
    /// A stack canary was overwritten.
    StackSmashed,
    /// A stack ran over its end.
    StackOverflow,
    /// `abort()` was called.
    Abort,
    /// `panic()`, or an assertion that failed.
    Panic,
    /// A C++ exception that nobody caught.
    UnhandledException,
    /// Panic, abort or assertion: the lines that say which are missing.
    UserException,
    /// A stack dump whose first lines are missing.
    StackDump,
    /// The supply voltage was too low: the chip said so, or there are signs of it.
    Brownout,
    /// The board started again and again and never came up.
    BootLoop,
    /// The chip's ROM started.
    Start,
}

impl Kind {
    /// Whether the board went down.
    pub fn is_crash(self) -> bool {
        !matches!(self, Kind::Start)
    }
}

/// An address of a crash, and where it stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where it stood.
    pub role: Role,
    /// The address.
    pub value: u32,
}

/// Where an address stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The program counter (epc1; PC on the ESP32 family).
    Epc1,
    /// epc2
    Epc2,
    /// epc3
    Epc3,
    /// depc
    Depc,
    /// Where `abort()` was called, or a spoilt stack was noticed.
    Caller,
    /// Behind the last call that allocated in vain.
    FailedAlloc,
    /// A word of the stack dump.
    Stack,
    /// An entry of a `Backtrace:` line.
    Backtrace,
}

impl Role {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Role::Epc1 => "epc1",
            Role::Epc2 => "epc2",
            Role::Epc3 => "epc3",
            Role::Depc => "depc",
            Role::Caller => "caller",
            Role::FailedAlloc => "failed alloc",
            Role::Stack => "stack",
            Role::Backtrace => "backtrace",
        }
    }

    /// Whether the address is the one that a call returns to, not the one of an instruction.
    pub fn is_return(self) -> bool {
        matches!(self, Role::FailedAlloc | Role::Stack | Role::Caller)
    }
}

/// A line that a judgement rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Its number in the log, from 1.
    pub line: u64,
    /// Its text, made safe to show.
    pub text: String,
}

impl Evidence {
    pub(crate) fn new(line: u64, words: &str) -> Evidence {
        let text: String = text::printable(words.as_bytes()).chars().take(MOST_EVIDENCE).collect();
        Evidence { line, text }
    }
}

/// One thing that a log tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// The line of the log that it begins at, from 1.
    pub line: u64,
    /// EXCCAUSE, where the log has it.
    pub cause: Option<u32>,
    /// What the log itself says beyond that: an assertion, an ESP32's name for the panic.
    pub said: Option<String>,
    /// The registers that the dump has.
    pub registers: Registers,
    /// The last allocation that failed: address behind the call, bytes.
    pub failed_alloc: Option<(u32, u32)>,
    /// The start of the ROM: of a start itself, or the one that followed the crash.
    pub start: Option<RomStart>,
    /// Addresses of code, in the order of the dump.
    pub addresses: Vec<Address>,
    /// Whether the dump was cut off, or longer than what is kept of one.
    pub cut: bool,
    /// What a judgement rests on.
    pub evidence: Vec<Evidence>,
    /// The SDK's own handler told of it (`Fatal exception`).
    pub(crate) fatal: bool,
}

impl Finding {
    pub(crate) fn new(kind: Kind, line: u64) -> Finding {
        Finding {
            kind,
            line,
            cause: None,
            said: None,
            registers: Registers::default(),
            failed_alloc: None,
            start: None,
            addresses: Vec::new(),
            cut: false,
            evidence: Vec::new(),
            fatal: false,
        }
    }

    /// The cause in words.
    pub fn words(&self) -> String {
        let mut words = match self.kind {
            Kind::Exception => self.exception(),
            Kind::SoftWatchdog => {
                "software watchdog: the firmware did not yield for seconds".to_owned()
            }
            Kind::HardwareWatchdog => self.hardware_watchdog(),
            Kind::StackSmashed => "a stack canary was overwritten".to_owned(),
            Kind::StackOverflow => "the stack ran over its end".to_owned(),
            Kind::Abort => "abort() was called".to_owned(),
            Kind::Panic => "panic or a failed assertion".to_owned(),
            Kind::UnhandledException => "a C++ exception that nobody caught".to_owned(),
            Kind::UserException => "panic, abort or a failed assertion".to_owned(),
            Kind::StackDump => "a stack dump; the lines with its cause are missing".to_owned(),
            Kind::Brownout => match self.evidence.is_empty() {
                true => "brownout: the chip says that its supply voltage was too low".to_owned(),
                false => "signs of a brownout: the supply may give way".to_owned(),
            },
            Kind::BootLoop => format!(
                "boot loop: {} starts, and the firmware did not come up in between",
                self.evidence.len()
            ),
            Kind::Start => self.start.as_ref().map(RomStart::to_string).unwrap_or_default(),
        };
        if let (Some(said), false) = (&self.said, self.kind == Kind::Exception) {
            words.push_str(": ");
            words.push_str(said);
        }
        words
    }

    fn exception(&self) -> String {
        let cause = self.cause.or(self.registers.cause);
        let mut words = match (&self.said, cause) {
            (Some(said), _) => guru_words(said),
            (None, Some(cause)) => cause_words(cause).to_owned(),
            (None, None) => "an exception; the line with its number is missing".to_owned(),
        };
        let through_null = matches!(cause, Some(28 | 29))
            || matches!(self.said.as_deref(), Some("LoadProhibited" | "StoreProhibited"));
        if through_null && self.registers.excvaddr.is_some_and(|address| address < NEAR_ZERO) {
            words.truncate(words.find(" (near 0").unwrap_or(words.len()));
            words.push_str(
                ": a null pointer, most likely of an allocation that failed and was not checked",
            );
        }
        words
    }

    fn hardware_watchdog(&self) -> String {
        match &self.start {
            Some(start) if start.in_loader() => "hardware watchdog, and the chip stays in its \
                serial loader: after flashing, it wants a pulse on EN before its first restart"
                .to_owned(),
            _ => "hardware watchdog: the chip hung, and left no dump".to_owned(),
        }
    }
}
