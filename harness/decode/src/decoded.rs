//! A finding with its frames, as text for people and as JSON for programs (docs/decode.md).

use std::fmt;

use serde::Serialize;

use crate::finding::{Address, Evidence, Finding, Kind, Role};
use crate::firmware::{Firmware, Place};

/// Version of the JSON form.
pub const SCHEMA: u32 = 1;

/// Frames of the stack that are told. A word may stay on a stack long after its call returned, so
/// what is far from the top says little.
const MOST_STACK_FRAMES: usize = 48;

/// Where the ESP8266's ROM is.
const ESP8266_ROM: std::ops::Range<u32> = 0x4000_0000..0x4001_0000;

/// One line of the JSON form. A key whose value is not known is there, and null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decoded {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What it is.
    pub kind: Kind,
    /// Line of the log, from 1.
    pub line: u64,
    /// EXCCAUSE.
    pub cause: Option<u32>,
    /// The cause in words.
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
    /// What a judgement (boot loop, signs of a brownout) rests on.
    pub evidence: Vec<Evidence>,
    /// What is amiss with the ELF: it is of another firmware, or has no debug information.
    pub note: Option<&'static str>,
}

/// An allocation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FailedAlloc {
    /// Address behind the call.
    pub caller: Hex,
    /// Bytes that were asked for.
    pub bytes: u32,
}

/// A place where the firmware was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Frame {
    /// Where the address stood in the log.
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
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Decoded {
    /// `finding` with the frames that `firmware` gives it. Without an ELF the frames are the
    /// addresses alone.
    pub fn new(finding: &Finding, firmware: Option<&Firmware>) -> Decoded {
        let registers = finding.registers;
        let start = finding.start.as_ref();
        Decoded {
            schema: SCHEMA,
            kind: finding.kind,
            line: finding.line,
            cause: finding.cause.or(registers.cause),
            cause_words: finding.words(),
            epc1: registers.epc1.map(Hex),
            epc2: registers.epc2.map(Hex),
            epc3: registers.epc3.map(Hex),
            excvaddr: registers.excvaddr.map(Hex),
            depc: registers.depc.map(Hex),
            failed_alloc: finding
                .failed_alloc
                .map(|(caller, bytes)| FailedAlloc { caller: Hex(caller), bytes }),
            rst_cause: start.map(|start| start.cause()),
            boot_mode: start.map(|start| start.mode()),
            cut: finding.cut,
            frames: frames(finding, firmware),
            evidence: finding.evidence.clone(),
            note: firmware.and_then(|firmware| amiss(finding, firmware)),
        }
    }

    /// The frames as a table whose columns line up; empty where there are none.
    pub fn table(&self) -> String {
        let rows: Vec<[String; 4]> = self
            .frames
            .iter()
            .map(|frame| {
                let place = match (&frame.file, frame.line) {
                    (Some(file), Some(line)) => format!("{file}:{line}"),
                    (Some(file), None) => file.clone(),
                    (None, _) if ESP8266_ROM.contains(&frame.address.0) => {
                        "in the chip's ROM".into()
                    }
                    (None, _) => String::new(),
                };
                let function = frame.function.as_deref().unwrap_or("?");
                let inlined = if frame.inlined { " (inlined)" } else { "" };
                let name = frame.role.name().to_owned();
                [name, frame.address.to_string(), format!("{function}{inlined}"), place]
            })
            .collect();
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

/// As paragraphs for people: what, where, the frames, what it rests on.
impl fmt::Display for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = match (self.kind, self.cause) {
            (Kind::Exception, Some(cause)) => format!("Exception ({cause}): "),
            _ => String::new(),
        };
        writeln!(f, "line {}: {number}{}", self.line, self.cause_words)?;
        if self
            .excvaddr
            .is_some_and(|address| address.0 != 0 || matches!(self.cause, Some(28 | 29)))
        {
            writeln!(f, "  it used address {}", self.excvaddr.unwrap_or(Hex(0)))?;
        }
        if let Some(FailedAlloc { bytes, caller }) = self.failed_alloc {
            writeln!(
                f,
                "  the last allocation that failed: {bytes} B, asked for in front of {caller}"
            )?;
        }
        if let (Some(cause), Some(mode), true) =
            (self.rst_cause, &self.boot_mode, self.kind.is_crash())
        {
            let mode: Vec<String> = mode.iter().map(u8::to_string).collect();
            writeln!(
                f,
                "  then the chip started: reset cause {cause}, boot mode ({})",
                mode.join(",")
            )?;
        }
        f.write_str(&self.table())?;
        for Evidence { line, text } in &self.evidence {
            writeln!(f, "  line {line}: {text}")?;
        }
        if self.cut {
            writeln!(f, "  (part of the dump is missing)")?;
        }
        if let Some(note) = self.note {
            writeln!(f, "  note: {note}")?;
        }
        Ok(())
    }
}

fn frames(finding: &Finding, firmware: Option<&Firmware>) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut of_stack = 0;
    for &Address { role, value } in &finding.addresses {
        if role == Role::Stack {
            let kept = firmware.is_none_or(|firmware| returns_to(firmware, value));
            if !kept || of_stack == MOST_STACK_FRAMES {
                continue;
            }
            of_stack += 1;
        }
        let places = firmware.map_or_else(Vec::new, |firmware| firmware.places(value, role));
        if places.is_empty() {
            frames.push(frame(role, value, Place::default(), false));
        }
        let last = places.len().saturating_sub(1);
        for (at, place) in places.into_iter().enumerate() {
            frames.push(frame(role, value, place, at < last));
        }
    }
    frames
}

fn frame(role: Role, value: u32, Place { function, file, line }: Place, inlined: bool) -> Frame {
    Frame { role, address: Hex(value), function, file, line, inlined }
}

/// Whether a word of the stack is what a call returns to; of a chip whose calls are not known,
/// whether it is code at all.
fn returns_to(firmware: &Firmware, word: u32) -> bool {
    match firmware.knows_calls() {
        true => firmware.follows_call(word),
        false => firmware.holds(word),
    }
}

/// What is amiss with the ELF, as far as this dump shows it.
fn amiss(finding: &Finding, firmware: &Firmware) -> Option<&'static str> {
    let code = |address: &&Address| match address.role {
        Role::Stack => crate::stack::may_be_code(address.value),
        _ => address.value >= 0x4010_0000,
    };
    let mut of_code = finding.addresses.iter().filter(code).peekable();
    of_code.peek()?;
    let none = !of_code.any(|address| firmware.holds(address.value));
    if none {
        return Some(
            "no address of this dump is in the code of the ELF: it is of another firmware or build",
        );
    }
    (!firmware.has_lines()).then_some(
        "the ELF has no debug information: files and lines take one that was built with -g",
    )
}

#[cfg(test)]
mod tests;
