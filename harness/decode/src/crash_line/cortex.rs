//! Hard faults of a Cortex-M, as handlers without an operating system print them.

use super::{CrashLine, fault_named};
use crate::number;
use crate::registers::{self, Registers};

const NAME: &str = "hard fault";

pub fn read(line: &str) -> Option<CrashLine> {
    let whole = matches!(
        line,
        "HardFault"
            | "HardFault!"
            | "Hard fault"
            | "Hard Fault"
            | "HARD FAULT"
            | "HardFault_Handler"
            | "++ MbedOS Fault Handler ++"
            | "[Hard fault handler - all numbers in hex]"
    );
    if whole {
        return Some(fault_named(NAME));
    }
    if let Some(rest) = line.strip_prefix("FaultType: ") {
        let named = rest.chars().all(|c| c.is_ascii_alphanumeric());
        return named.then(|| CrashLine::Detail { what: rest.to_owned() });
    }
    // The bundled firmware's: `HardFault: CFSR=0x00000082 at 0x00000004 pc=0x00001234 lr=0x00001235`.
    let rest = line.strip_prefix("HardFault: ")?;
    let (cfsr, rest) = rest.split_once(" at ")?;
    let mut found = registers::read(rest.split_once(' ')?.1.as_bytes())?;
    found.fill(&registers::read(cfsr.as_bytes())?);
    let at = rest.strip_prefix("0x").map(|rest| number::run(rest.as_bytes()));
    found.excvaddr = at.and_then(number::whole);
    Some(CrashLine::Fault { what: NAME.to_owned(), registers: Box::new(found) })
}

/// `R14 [LR] = 08001235`, `PC: 08001234`: registers of a handler, without `0x`.
pub fn register(line: &str) -> Option<Registers> {
    let (name, value) = line.split_once('=').or_else(|| line.split_once(':'))?;
    let value = value.trim().trim_start_matches("0x");
    let value = number::whole(number::run(value.as_bytes())).filter(|_| value.len() == 8)?;
    let name = name.trim();
    let name = name.split_once('[').map_or(name, |(_, name)| name.trim_end_matches(']'));
    let mut found = Registers::default();
    match name {
        "PC" | "pc" => found.epc1 = Some(value),
        "LR" | "lr" => {
            found.others.insert("lr", u64::from(value));
        }
        "BFAR" | "MMFAR" => found.excvaddr = Some(value),
        _ => return None,
    }
    Some(found)
}
