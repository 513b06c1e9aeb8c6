//! A finding with its frames: what a run's record and `hilrig decode` tell of it.

use hilrig_core::crash::{Crash, FailedAlloc, Frame, Hex};

use crate::finding::{Address, Finding, Role};
use crate::firmware::{Firmware, Place};

/// Frames of the stack that are told. A word may stay on a stack long after its call returned, so
/// what is far from the top says little.
const MOST_STACK_FRAMES: usize = 48;

impl Finding {
    /// The finding with the frames that `firmware` gives it. Without an ELF the frames are the
    /// addresses alone.
    pub fn decoded(&self, firmware: Option<&Firmware>) -> Crash {
        let registers = self.registers;
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
            frames: frames(self, firmware),
            evidence: self.evidence.clone(),
            note: firmware.and_then(|firmware| amiss(self, firmware)).map(str::to_owned),
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
