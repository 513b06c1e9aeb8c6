//! Whether an ELF is of the build that ran: by what log and file say of it, and where they say
//! nothing, by whether the addresses of the dump fit the code.

use std::collections::BTreeSet;

use crate::call::{Calls, accesses};
use crate::finding::{Finding, Kind, Role};
use crate::firmware::Firmware;

/// The chip's ROM, which is in no firmware.
const ROM: std::ops::Range<u32> = 0x4000_0000..0x4007_0000;

/// How an ELF fits a dump.
#[derive(Debug, PartialEq, Eq)]
pub enum Fit {
    /// Well.
    Good,
    /// Well, and it has no files and lines.
    NoLines,
    /// It is of another build: its functions are not those that ran.
    Other(String),
    /// It may be of another build.
    Doubtful(String),
}

impl Fit {
    pub fn of(finding: &Finding, firmware: &Firmware) -> Fit {
        let builds = &firmware.identity.builds;
        if let (Some(ran), Some(built)) = (&finding.build, builds.first()) {
            return match builds.contains(ran) {
                true => Fit::good(firmware),
                false => Fit::Other(format!(
                    "the log is of build {ran} and the ELF of build {built}: no function is named; \
                     give the ELF of build {ran}"
                )),
            };
        }
        let sha256 = &firmware.identity.sha256;
        let other = match &finding.elf_sha256 {
            Some(ran) if sha256.starts_with(ran) => return Fit::good(firmware),
            Some(ran) => Some(format!(
                "the log is of the ELF file with SHA-256 {ran}, and this one has {}",
                &sha256[..ran.len().min(sha256.len())]
            )),
            None => None,
        };
        let (fits, why) = match fits(finding, firmware) {
            FitEvidence::None => (false, None),
            FitEvidence::For => (true, None),
            FitEvidence::Against(why) => (false, Some(why)),
        };
        match (other, why) {
            // A file that was stripped has another digest, and the same code.
            (Some(other), None) if fits => {
                Fit::Doubtful(format!("{other}; its calls fit the addresses, so it may be a copy"))
            }
            (Some(other), _) => Fit::Other(format!(
                "{other}: no function is named; give the ELF of the build that ran"
            )),
            (None, Some(why)) => Fit::Doubtful(why),
            (None, None) => Fit::good(firmware),
        }
    }

    fn good(firmware: &Firmware) -> Fit {
        if firmware.has_lines() { Fit::Good } else { Fit::NoLines }
    }
}

/// What the addresses of a dump say of an ELF.
enum FitEvidence {
    None,
    For,
    Against(String),
}

fn fits(finding: &Finding, firmware: &Firmware) -> FitEvidence {
    let of_code = |value: u32| value != 0 && !ROM.contains(&value);
    let mut of_code = finding.addresses.iter().filter(|at| of_code(at.value)).peekable();
    if of_code.peek().is_none() {
        return FitEvidence::None;
    }
    if !of_code.any(|address| firmware.holds(address.value)) {
        return FitEvidence::Against(
            "no address of this dump is in the code of the ELF: it is of another firmware or build"
                .to_owned(),
        );
    }
    let Some(calls) = firmware.calls() else { return FitEvidence::None };
    let (returns, all) = returns(finding, firmware, calls);
    let doubt = |why: &str| {
        FitEvidence::Against(format!(
            "the ELF does not fit this dump, and is likely of another build: {why}"
        ))
    };
    if let Some(why) = finding.registers.epc1.and_then(|pc| odd(finding, firmware, calls, pc)) {
        return doubt(&why);
    }
    // Of another build of the same sources, 8 to 28 of a hundred return addresses fit (measured
    // between the builds of the bundled firmware); of the right one nearly all entries of a backtrace
    // do, and most words of a stack.
    let few = all >= 3 && returns * 3 < all;
    match few {
        true => doubt(&format!("a call is before {returns} of {all} return addresses")),
        false if returns >= 2 && returns * 2 >= all => FitEvidence::For,
        false => FitEvidence::None,
    }
}

/// How many of the dump's return addresses follow a call, and of how many.
fn returns(finding: &Finding, firmware: &Firmware, calls: Calls) -> (usize, usize) {
    let mut first = true;
    let mut seen = BTreeSet::new();
    let mut fit = 0;
    for address in &finding.addresses {
        // A backtrace has addresses in the calls; its first entry is no call.
        let after = match address.role {
            Role::Backtrace if std::mem::take(&mut first) => continue,
            Role::Backtrace if calls == Calls::Riscv => address.value.wrapping_add(4),
            Role::Backtrace => address.value.wrapping_add(3),
            role if role.is_return() => address.value,
            _ => continue,
        };
        if ROM.contains(&after) || !seen.insert(after) {
            continue;
        }
        // With compressed instructions, a call may be half as long.
        let short = calls == Calls::Riscv && address.role == Role::Backtrace;
        fit += usize::from(
            firmware.follows_call(after) || (short && firmware.follows_call(after - 2)),
        );
    }
    (fit, seen.len())
}

/// What cannot be, if the crash was at `pc` of this code.
fn odd(finding: &Finding, firmware: &Firmware, calls: Calls, pc: u32) -> Option<String> {
    let code = firmware.instruction(pc)?;
    if !firmware.in_function(pc) {
        return Some(format!("{pc:#010x}, where it crashed, is in no function"));
    }
    if finding.kind != Kind::Exception {
        return None;
    }
    let said = finding.said.as_deref().unwrap_or_default();
    let (write, words) = match finding.cause {
        Some(28) => (false, "reads"),
        Some(29) => (true, "writes"),
        _ if said.starts_with("Load") && !said.contains("Align") => (false, "reads"),
        _ if said.starts_with("Store") => (true, "writes"),
        _ => return None,
    };
    (accesses(calls, code, write) == Some(false))
        .then(|| format!("the instruction at {pc:#010x}, where it crashed, {words} no memory"))
}
