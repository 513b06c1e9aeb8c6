//! A crash as a run reports it: what it was, and where in the firmware (docs/reference/decode.md).
//!
//! `hilrig-decode` makes these from a board's log. They are here so that an event can contain one and
//! each reporter can show it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where the ESP8266's ROM is.
const ESP8266_ROM: std::ops::Range<u32> = 0x4000_0000..0x4001_0000;

/// What kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrashKind {
    /// An exception of the processor.
    Exception,
    /// The firmware did not yield.
    SoftWatchdog,
    /// The chip hung, and its hardware watchdog reset it. There is no dump.
    HardwareWatchdog,
    /// A stack canary was overwritten.
    StackSmashed,
    /// A stack overflowed.
    StackOverflow,
    /// `abort()` was called.
    Abort,
    /// `panic()`, or an assertion that failed.
    Panic,
    /// A C++ exception that was not caught.
    UnhandledException,
    /// Panic, abort or assertion; the lines that tell them apart are missing.
    UserException,
    /// A stack dump whose first lines are missing.
    StackDump,
    /// The supply voltage was too low: the chip reports it, or there are signs of it.
    Brownout,
    /// The board started again and again and never came up.
    BootLoop,
    /// A text that only the firmware's contract counts as a crash.
    FirmwareText,
    /// The chip's ROM started.
    Start,
}

impl CrashKind {
    /// Whether the board went down.
    pub fn is_crash(self) -> bool {
        !matches!(self, CrashKind::Start)
    }
}

/// Where in the log an address is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Where `abort()` was called, or a damaged stack was detected.
    Caller,
    /// After the last call whose allocation failed.
    FailedAlloc,
    /// A word of the stack dump.
    Stack,
    /// An entry of a `Backtrace:` line.
    Backtrace,
    /// The register with the return address (RA, LR).
    Ra,
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
            Role::Ra => "ra",
        }
    }

    /// Whether the address is a call's return address, not an instruction's.
    pub fn is_return(self) -> bool {
        matches!(self, Role::FailedAlloc | Role::Stack | Role::Caller | Role::Ra)
    }
}

/// A line that is evidence for a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceLine {
    /// Its number in the log, from 1.
    pub line: u64,
    /// Its text, made safe to show.
    pub text: String,
}

/// A crash, a finding from several, or a start. A key whose value is not known is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// What it is.
    pub kind: CrashKind,
    /// Line of the log, from 1.
    pub line: u64,
    /// EXCCAUSE.
    pub cause: Option<u32>,
    /// The cause in words. Printable.
    pub cause_words: String,
    /// Where the program was, `0x40201f23`.
    pub epc1: Option<Hex>,
    /// The same of an interrupted level 2.
    pub epc2: Option<Hex>,
    /// The same of level 3.
    pub epc3: Option<Hex>,
    /// The address that was used.
    pub excvaddr: Option<Hex>,
    /// Where a double exception came from.
    pub depc: Option<Hex>,
    /// The last allocation that failed.
    pub failed_alloc: Option<FailedAlloc>,
    /// Reset cause of the start: the one that followed a crash, or the start itself.
    pub rst_cause: Option<u8>,
    /// Boot mode of that start: two figures on the ESP8266, one on the ESP32 family.
    pub boot_mode: Option<Vec<u8>>,
    /// Whether part of the dump is missing.
    pub cut: bool,
    /// Where it was in the firmware, innermost first.
    pub frames: Vec<Frame>,
    /// The evidence for a boot loop or a brownout.
    pub evidence: Vec<EvidenceLine>,
    /// The task or thread that crashed, where the log names it. Printable.
    #[serde(default)]
    pub task: Option<String>,
    /// What a panic or a failed assertion reports about itself.
    #[serde(default)]
    pub panic: Option<Panic>,
    /// The other registers of the dump, by the names that it prints, in lower case.
    #[serde(default)]
    pub registers: BTreeMap<String, RegisterValue>,
    /// Numbers of the dump that are damaged, and so are no addresses.
    #[serde(default)]
    pub damaged: Vec<EvidenceLine>,
    /// Warnings: the ELF is of another firmware or build, or has no debug information; the backtrace is
    /// corrupted; what of the dump is not shown.
    pub note: Option<String>,
}

/// What a panic or a failed assertion reports about itself. All text is printable and bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panic {
    /// Its message, or the assertion.
    pub message: Option<String>,
    /// Source file.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
    /// Column in that line.
    pub column: Option<u32>,
    /// Function.
    pub function: Option<String>,
}

impl Panic {
    /// The place in the source, `src/main.rs:41:9`; empty where it is not known.
    pub fn place(&self) -> String {
        let mut place = self.file.clone().unwrap_or_default();
        for number in [self.line, self.column].into_iter().flatten() {
            place.push_str(&format!(":{number}"));
        }
        place
    }
}

/// An allocation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAlloc {
    /// Address after the call.
    pub caller: Hex,
    /// Bytes that were asked for.
    pub bytes: u32,
}

/// A place where the firmware was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Where in the log the address is from.
    pub role: Role,
    /// The address.
    pub address: Hex,
    /// Function, demangled.
    pub function: Option<String>,
    /// Source file.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
    /// Whether the function was inlined into the one of the next frame.
    pub inlined: bool,
}

/// An address, written as `0x40201f23`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex(pub u32);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hex, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value = text.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
        value.map(Hex).ok_or_else(|| D::Error::custom("no address such as \"0x40201f23\""))
    }
}

/// The value of a register of 32 or 64 bits, written as `0x40201f23` or with more digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterValue(pub u64);

impl fmt::Display for RegisterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl Serialize for RegisterValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RegisterValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RegisterValue, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value = text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        value.map(RegisterValue).ok_or_else(|| D::Error::custom("no value such as \"0x40201f23\""))
    }
}

impl Crash {
    /// The parts that are the board's text, which may be anything.
    pub fn texts(&mut self) -> Vec<&mut String> {
        let panic = self.panic.iter_mut().flat_map(|panic| {
            [&mut panic.message, &mut panic.file, &mut panic.function].into_iter().flatten()
        });
        let lines = self.evidence.iter_mut().chain(&mut self.damaged).map(|line| &mut line.text);
        panic.chain(lines).chain(&mut self.task).chain([&mut self.cause_words]).collect()
    }

    /// What it was, in a line: `Exception (29): write to ...`.
    pub fn headline(&self) -> String {
        match (self.kind, self.cause) {
            (CrashKind::Exception, Some(cause)) => {
                format!("Exception ({cause}): {}", self.cause_words)
            }
            _ => self.cause_words.clone(),
        }
    }

    /// What and where, as short as possible: `Exception (29) in mqtt_poll,
    /// firmware/core/mqtt.c:308: write to an address that must not be written`.
    pub fn in_a_line(&self) -> String {
        match (self.kind, self.cause, self.place()) {
            (_, _, None) => self.headline(),
            (CrashKind::Exception, Some(cause), Some(place)) => {
                let words = self.cause_words.split([':', '(']).next().unwrap_or_default();
                format!("Exception ({cause}) in {place}: {}", words.trim_end())
            }
            (.., Some(place)) => format!("{} (in {place})", self.cause_words),
        }
    }

    /// Where it was, by the first frame that shows it: `mqtt_poll, firmware/core/mqtt.c:308`.
    pub fn place(&self) -> Option<String> {
        let Some(frame) = self.frames.iter().find(|frame| frame.function.is_some()) else {
            // Without an ELF, a panic still names its line of source.
            return self.panic.as_ref().map(Panic::place).filter(|place| !place.is_empty());
        };
        let function = frame.function.as_deref()?;
        Some(match frame.place() {
            place if place.is_empty() => function.to_owned(),
            place => format!("{function}, {place}"),
        })
    }

    /// Further details: the address that was used, the allocation that failed, the start that followed.
    pub fn details(&self) -> Vec<String> {
        let mut details = Vec::new();
        if let Some(panic) = &self.panic {
            let function = panic.function.as_ref().map(|name| format!("in {name}"));
            let place = Some(panic.place());
            let place = place.filter(|at| !at.is_empty() && !self.cause_words.contains(at));
            let function = function.filter(|_| place.is_some());
            let at: Vec<String> = place.into_iter().chain(function).collect();
            if !at.is_empty() {
                details.push(format!("panicked at {}", at.join(" ")));
            }
        }
        details.extend(self.task.as_ref().map(|task| format!("task {task}")));
        let through_null = matches!(self.cause, Some(28 | 29));
        if let Some(address) = self.excvaddr.filter(|address| address.0 != 0 || through_null) {
            details.push(format!("it used address {address}"));
        }
        if let Some(FailedAlloc { bytes, caller }) = self.failed_alloc {
            details.push(format!(
                "the last allocation that failed: {bytes} B, asked for in front of {caller}"
            ));
        }
        if let (Some(cause), Some(mode), true) =
            (self.rst_cause, &self.boot_mode, self.kind.is_crash())
        {
            let mode: Vec<String> = mode.iter().map(u8::to_string).collect();
            details.push(format!(
                "then the chip started: reset cause {cause}, boot mode ({})",
                mode.join(",")
            ));
        }
        details
    }

    /// What follows the frames: evidence and warnings.
    pub fn remarks(&self) -> Vec<String> {
        let evidence =
            self.evidence.iter().map(|EvidenceLine { line, text }| format!("line {line}: {text}"));
        let damaged = self.damaged.iter().map(|EvidenceLine { line, text }| {
            format!("line {line}: damaged, and no address: {text}")
        });
        let cut = self.cut.then(|| "(part of the dump is missing)".to_owned());
        let note = self.note.as_ref().map(|note| format!("note: {note}"));
        evidence.chain(damaged).chain(cut).chain(note).collect()
    }

    /// The frames as rows of four columns: the address's role, the address, the function, the place in the
    /// source.
    pub fn rows(&self) -> Vec<[String; 4]> {
        let row = |frame: &Frame| {
            let function = frame.function.as_deref().unwrap_or("?");
            let inlined = if frame.inlined { " (inlined)" } else { "" };
            let function = format!("{function}{inlined}");
            [frame.role.name().to_owned(), frame.address.to_string(), function, frame.place()]
        };
        self.frames.iter().map(row).collect()
    }

    /// The frames as a table whose columns line up; empty where there are none.
    pub fn table(&self) -> String {
        let rows = self.rows();
        let width = |column: usize| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths = [width(0), width(1), width(2)];
        let mut table = String::new();
        for [role, address, function, place] in &rows {
            let row = format!(
                "  {role:0$}  {address:1$}  {function:2$}  {place}",
                widths[0], widths[1], widths[2]
            );
            table.push_str(row.trim_end());
            table.push('\n');
        }
        table
    }
}

impl Frame {
    /// The place in the source, `core/mqtt.c:308`; empty where it is not known.
    pub fn place(&self) -> String {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            (Some(file), None) => file.clone(),
            (None, _) if ESP8266_ROM.contains(&self.address.0) => "in the chip's ROM".into(),
            (None, _) => String::new(),
        }
    }
}

/// As paragraphs for people: what, where, the frames, the evidence.
impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "line {}: {}", self.line, self.headline())?;
        for detail in self.details() {
            writeln!(f, "  {detail}")?;
        }
        f.write_str(&self.table())?;
        for remark in self.remarks() {
            writeln!(f, "  {remark}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_the_boards_text_can_be_masked() {
        let line = |text: &str| EvidenceLine { line: 1, text: text.to_owned() };
        let some = |text: &str| Some(text.to_owned());
        let json = serde_json::json!({
            "kind": "panic", "line": 1, "cause": null, "cause_words": "s words", "epc1": null,
            "epc2": null, "epc3": null, "excvaddr": null, "depc": null, "failed_alloc": null,
            "rst_cause": null, "boot_mode": null, "cut": false, "frames": [], "evidence": [],
            "note": null,
        });
        // As a record of before these keys has it.
        let mut crash: Crash = serde_json::from_value(json).unwrap();
        crash.evidence.push(line("s evidence"));
        crash.damaged.push(line("s damaged"));
        crash.task = some("s task");
        crash.panic = Some(Panic {
            message: some("s message"),
            file: some("s file"),
            function: some("s function"),
            ..Panic::default()
        });
        crash.texts().into_iter().for_each(|text| *text = text.replace('s', "*"));
        let json = serde_json::to_string(&crash).unwrap();
        assert!(!json.contains("\"s "), "{json}");
        assert_eq!(json.matches("\"* ").count(), 7, "{json}");
    }

    #[test]
    fn a_panic_without_frames_is_where_it_says() {
        let panic = Panic {
            file: Some("src/main.rs".into()),
            line: Some(41),
            column: Some(9),
            ..Panic::default()
        };
        assert_eq!(
            (panic.place().as_str(), Panic::default().place().as_str()),
            ("src/main.rs:41:9", "")
        );
    }
}
