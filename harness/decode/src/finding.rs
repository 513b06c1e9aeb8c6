//! What a log shows: crashes, resets, and what follows from several of them.

use hilrig_core::crash::Panic;
pub use hilrig_core::crash::{CrashKind as Kind, EvidenceLine, Role};
use hilrig_core::text;

use crate::crash_line::Registers;
use crate::start::RomStart;
use crate::words::{cause_words, guru_words, is_access};

/// Addresses below this are near 0: a field of a structure that is not there.
const NEAR_ZERO: u32 = 0x1000;

/// The longest text of a line that is kept as evidence, in characters.
const MOST_EVIDENCE: usize = 120;

/// Damaged numbers of a crash that are kept.
const MOST_DAMAGED: usize = 16;

/// The longest details of a cause, in characters.
const MOST_DETAIL: usize = 200;

/// An address of a crash, and where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where it was.
    pub role: Role,
    /// The address.
    pub value: u32,
}

/// A line that a judgement rests on; its text is made safe to show.
pub fn evidence(line: u64, words: &str) -> EvidenceLine {
    let text: String = text::printable(words.as_bytes()).chars().take(MOST_EVIDENCE).collect();
    EvidenceLine { line, text }
}

/// One thing that a log shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// The line of the log that it begins at, from 1.
    pub line: u64,
    /// EXCCAUSE, where the log has it.
    pub cause: Option<u32>,
    /// What the log itself adds: an assertion, an ESP32's name for the panic.
    pub said: Option<String>,
    /// The registers that the dump has.
    pub registers: Registers,
    /// The last allocation that failed: address after the call, bytes.
    pub failed_alloc: Option<(u32, u32)>,
    /// The start of the ROM: of a start itself, or the one that followed the crash.
    pub start: Option<RomStart>,
    /// Addresses of code, in the order of the dump.
    pub addresses: Vec<Address>,
    /// Whether the dump was cut off, or longer than what is kept of one.
    pub cut: bool,
    /// What a judgement rests on.
    pub evidence: Vec<EvidenceLine>,
    /// The task or thread that crashed.
    pub task: Option<String>,
    /// What a panic or an assertion reports of itself.
    pub panic: Option<Panic>,
    /// Numbers that are damaged, and so are no addresses.
    pub damaged: Vec<EvidenceLine>,
    /// What else there is to know of the dump.
    pub notes: Vec<&'static str>,
    /// The build that the log named last before the crash.
    pub build: Option<String>,
    /// The first digits of the SHA-256 of the ELF that ran, as ESP-IDF prints them.
    pub elf_sha256: Option<String>,
    /// What the firmware prints of the cause in more detail.
    pub(crate) detail: Option<String>,
    /// The SDK's own handler printed it (`Fatal exception`).
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
            task: None,
            panic: None,
            damaged: Vec::new(),
            notes: Vec::new(),
            build: None,
            elf_sha256: None,
            detail: None,
            fatal: false,
        }
    }

    /// Notes a number of line `line` that is damaged.
    pub(crate) fn add_damaged(&mut self, line: u64, text: &str) {
        let found = evidence(line, text);
        if self.damaged.len() < MOST_DAMAGED && !self.damaged.contains(&found) {
            self.damaged.push(found);
        }
    }

    /// Adds to what is known of the cause.
    pub(crate) fn add_detail(&mut self, what: &str) {
        let detail = self.detail.get_or_insert_default();
        if !detail.is_empty() {
            detail.push_str("; ");
        }
        detail.push_str(what);
        if let Some((end, _)) = detail.char_indices().nth(MOST_DETAIL) {
            detail.truncate(end);
        }
    }

    pub(crate) fn add_note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// A line that matched a pattern of the firmware's contract, which counts it as a crash.
    pub fn of_contract(line: u64, text: &str) -> Finding {
        let said = evidence(line, text).text;
        Finding { said: Some(said), ..Finding::new(Kind::FirmwareText, line) }
    }

    /// The chip started into its serial loader, where it stays.
    pub fn is_in_loader(&self) -> bool {
        self.start.as_ref().is_some_and(RomStart::in_loader)
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
            Kind::StackOverflow => match &self.task {
                Some(task) => format!("the stack of task {task} ran over its end"),
                None => "the stack ran over its end".to_owned(),
            },
            Kind::Abort => "abort() was called".to_owned(),
            Kind::Panic => "panic or a failed assertion".to_owned(),
            Kind::UnhandledException => "a C++ exception that was not caught".to_owned(),
            Kind::UserException => "panic, abort or a failed assertion".to_owned(),
            Kind::StackDump => "a stack dump; the lines with its cause are missing".to_owned(),
            Kind::Brownout => match self.evidence.is_empty() {
                true => "brownout: the chip reports that its supply voltage was too low".to_owned(),
                false => "signs of a brownout: the supply may give way".to_owned(),
            },
            Kind::BootLoop => format!(
                "boot loop: {} starts, and the firmware did not come up in between",
                self.evidence.len()
            ),
            Kind::FirmwareText => {
                "a text that the firmware's contract counts as a crash".to_owned()
            }
            Kind::Start => self.start.as_ref().map(RomStart::to_string).unwrap_or_default(),
        };
        let message = self.panic.as_ref().and_then(|panic| panic.message.as_ref());
        let said = self.said.as_ref().or(message);
        if let (Some(said), false) = (said, self.kind == Kind::Exception) {
            words.push_str(": ");
            words.push_str(said);
        }
        if let (Some(detail), false) = (&self.detail, self.kind == Kind::Exception) {
            words.push_str("; ");
            words.push_str(detail);
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
        let through_null =
            matches!(cause, Some(28 | 29)) || self.said.as_deref().is_some_and(is_access);
        if through_null && self.registers.excvaddr.is_some_and(|address| address < NEAR_ZERO) {
            words.truncate(words.find(" (near 0").unwrap_or(words.len()));
            words.push_str(
                ": a null pointer, most likely of an allocation that failed and was not checked",
            );
        }
        if let Some(detail) = &self.detail {
            words.push_str("; ");
            words.push_str(detail);
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
