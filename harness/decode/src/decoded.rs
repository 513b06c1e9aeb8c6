//! A finding with its frames: what a run's record and `hilrig decode` report.

use hilrig_core::crash::{Crash, FailedAlloc, Frame, Hex, RegisterValue};

use crate::finding::{Address, Finding, Role};
use crate::firmware::{Firmware, SourcePlace};
use crate::plausible::Fit;

/// Frames of the stack that are reported. A word may stay on a stack long after its call returned, so
/// what is far from the top means little.
const MOST_STACK_FRAMES: usize = 48;

impl Finding {
    /// The finding with the frames that `firmware` gives it. Without an ELF the frames are the
    /// addresses alone.
    pub fn decoded(&self, firmware: Option<&Firmware>) -> Crash {
        let registers = &self.registers;
        let fit = firmware.map(|firmware| Fit::of(self, firmware));
        // The functions of another build are wrong ones.
        let named = firmware.filter(|_| !matches!(fit, Some(Fit::Other(_))));
        let start = self.start.as_ref();
        Crash {
            kind: self.kind,
            line: self.line,
            cause: self.cause.or(registers.cause),
            cause_words: self.words(),
            epc1: registers.epc1.map(Hex),
            epc2: registers.epc2.map(Hex),
            epc3: registers.epc3.map(Hex),
            excvaddr: registers.excvaddr.map(Hex),
            depc: registers.depc.map(Hex),
            failed_alloc: self
                .failed_alloc
                .map(|(caller, bytes)| FailedAlloc { caller: Hex(caller), bytes }),
            rst_cause: start.map(|start| start.cause()),
            boot_mode: start.map(|start| start.mode()),
            cut: self.cut,
            frames: frames(self, named),
            evidence: self.evidence.clone(),
            task: self.task.clone(),
            panic: self.panic.clone(),
            registers: registers
                .others
                .iter()
                .map(|(name, value)| ((*name).to_owned(), RegisterValue(*value)))
                .collect(),
            damaged: self.damaged.clone(),
            note: note(self, fit),
        }
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
            frames.push(frame(role, value, SourcePlace::default(), false));
        }
        let last = places.len().saturating_sub(1);
        for (at, place) in places.into_iter().enumerate() {
            frames.push(frame(role, value, place, at < last));
        }
    }
    frames
}

fn frame(
    role: Role,
    value: u32,
    SourcePlace { function, file, line }: SourcePlace,
    inlined: bool,
) -> Frame {
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

/// What is wrong with the ELF, and other notes.
fn note(finding: &Finding, fit: Option<Fit>) -> Option<String> {
    let elf = match fit {
        Some(Fit::Other(why) | Fit::Doubtful(why)) => Some(why),
        Some(Fit::NoLines) => Some(
            "the ELF has no debug information: files and lines take one that was built with -g"
                .to_owned(),
        ),
        Some(Fit::Good) | None => None,
    };
    let notes: Vec<String> =
        elf.into_iter().chain(finding.notes.iter().map(|note| (*note).to_owned())).collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

#[cfg(test)]
mod tests;
