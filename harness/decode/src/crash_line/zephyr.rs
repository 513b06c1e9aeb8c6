//! Zephyr's fatal errors, of Cortex-M, RISC-V and Xtensa, in the words of its versions.

use std::sync::LazyLock;

use hilrig_core::crash::Panic;
use regex::Regex;

use super::{CrashLine, fault_named, kept};
use crate::number;
use crate::registers::{self, Registers};

/// Banners between asterisks.
const BANNERS: [&str; 13] = [
    "MPU FAULT",
    "BUS FAULT",
    "USAGE FAULT",
    "HARD FAULT",
    "SECURE FAULT",
    "MMU FAULT",
    "DEBUG MONITOR EXCEPTION",
    "Hardware exception",
    "Kernel OOPS!",
    "Kernel Panic!",
    "Stack Check Fail!",
    "Reserved Exception",
    "CPU Page Fault",
];

/// The lines under a banner.
const DETAILS: [&str; 24] = [
    "Data Access Violation",
    "Instruction Access Violation",
    "Stacking error",
    "Unstacking error",
    "Floating-point lazy state preservation error",
    "Precise data bus error",
    "Imprecise data bus error",
    "Instruction bus error",
    "Division by zero",
    "Unaligned memory access",
    "Stack overflow (context area not valid)",
    "No coprocessor instructions",
    "Illegal load of EXC_RETURN into PC",
    "Illegal use of the EPSR",
    "Attempt to execute undefined instruction",
    "Fault escalation",
    "Bus fault on vector table read",
    "Debug event",
    "Invalid entry point",
    "Integrity signature error",
    "Invalid exception return",
    "Attribution unit violation",
    "Invalid transition",
    "Lazy state preservation error",
];

/// Without what Zephyr's logger writes in front of a line; the time is off already.
pub fn without_logger(line: &str) -> Option<&str> {
    const FRONT: &str = "<err> os: ";
    let after = line.find(FRONT).map(|at| &line[at + FRONT.len()..]);
    after.or_else(|| line.strip_prefix("E: ")).map(str::trim)
}

pub fn read(line: &str) -> Option<CrashLine> {
    let text = line.trim();
    banner(text)
        .or_else(|| fatal(text))
        .or_else(|| fault(text))
        .or_else(|| thread(text))
        .or_else(|| xtensa(text))
        .or_else(|| {
            let found = registers::read(text.as_bytes());
            found.or_else(|| registers::bare(text.as_bytes())).map(CrashLine::Registers)
        })
}

/// The first register of a dump of ARM64, which begins without a banner: `ELR_ELn: 0x0000000040001a2c`.
pub fn arm64(line: &[u8]) -> Option<CrashLine> {
    line.starts_with(b"ELR_ELn: 0x").then_some(())?;
    let registers = Box::new(registers::read(line)?);
    Some(CrashLine::Fault { what: String::new(), registers })
}

/// `***** MPU FAULT *****`. A page may have taken its asterisks for bold text.
fn banner(text: &str) -> Option<CrashLine> {
    let name = text.strip_prefix("***")?.strip_suffix("***")?.trim_matches('*').trim();
    let what = BANNERS.iter().find(|banner| name.starts_with(*banner))?;
    Some(match *what {
        "Kernel OOPS!" | "Kernel Panic!" => {
            let panic = Box::<Panic>::default();
            CrashLine::Panic { text: kept(name), panic, task: None }
        }
        "Stack Check Fail!" => CrashLine::StackOverflow { task: None, at: [None; 2], cut: false },
        _ => fault_named(name),
    })
}

fn fatal(text: &str) -> Option<CrashLine> {
    static ASSERT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^ASSERTION FAIL \[(?P<what>.*)\] @ (?P<file>\S+):(?P<line>\d+)$")
            .expect("a constant pattern compiles")
    });
    if let Some((before, rest)) = text.split_once("ZEPHYR FATAL ERROR ") {
        let (reason, what) = rest.split_once(':').unwrap_or((rest, ""));
        let reason = reason.trim().parse().ok()?;
        let marks = before.trim().trim_start_matches(['>', '*', ' ']).is_empty();
        return marks.then(|| CrashLine::Zephyr { reason, what: kept(what) });
    }
    if text.starts_with("Halting system")
        || text.starts_with("Fatal fault in ")
        || text.contains("Booting Zephyr OS")
    {
        return Some(CrashLine::Ended);
    }
    let found = text.starts_with("ASSERTION FAIL").then(|| ASSERT.captures(text))??;
    let panic = Panic {
        message: Some(kept(&found["what"])),
        file: Some(kept(&found["file"])),
        line: found["line"].parse().ok(),
        ..Panic::default()
    };
    let text = format!("assertion failed: {}", kept(&found["what"]));
    Some(CrashLine::Panic { text, panic: Box::new(panic), task: None })
}

/// Addresses and causes. Their numbers are printed without zeros in front.
fn fault(text: &str) -> Option<CrashLine> {
    // Of ARM64: `EC:  0x25 (Data Abort taken without a change in Exception level)`.
    if let Some((number, what)) = text.strip_prefix("EC:").and_then(|rest| rest.split_once(" (")) {
        number.trim().strip_prefix("0x")?;
        return Some(CrashLine::Detail { what: kept(what.strip_suffix(')')?) });
    }
    let number = |rest: &str| {
        let rest = rest.trim_start().trim_start_matches([':', '=']).trim_start();
        let digits = rest.strip_prefix("0x").unwrap_or(rest);
        number::unpadded(number::run(digits.as_bytes()))
    };
    let at = ["Faulting instruction address (r15/pc)", "Faulting instruction address"];
    if let Some(rest) = at.iter().find_map(|head| text.strip_prefix(head)) {
        let epc1 = Some(number(rest)?);
        return Some(CrashLine::Registers(Registers { epc1, ..Registers::default() }));
    }
    let used = ["MMFAR Address", "BFAR Address", "SFAR Address", "Address: 0x"];
    if let Some(rest) = used.iter().find_map(|head| text.strip_prefix(head)) {
        let excvaddr = Some(number(rest)?);
        return Some(CrashLine::Registers(Registers { excvaddr, ..Registers::default() }));
    }
    // RISC-V: `mcause: 5, Load access fault`, before that `Exception cause Load access fault (5)`.
    if let Some((cause, what)) = text.strip_prefix("mcause: ").and_then(|rest| rest.split_once(','))
    {
        cause.trim().parse::<u32>().ok()?;
        return Some(fault_named(what));
    }
    if let Some(rest) = text.strip_prefix("Exception cause ") {
        let (what, number) = rest.strip_suffix(')')?.rsplit_once(" (")?;
        number.parse::<u32>().ok()?;
        return Some(fault_named(what));
    }
    let detail = DETAILS.iter().any(|detail| text.starts_with(detail));
    detail.then(|| CrashLine::Detail { what: kept(text) })
}

/// `Current thread: 0x20000e08 (logging)`
fn thread(text: &str) -> Option<CrashLine> {
    let heads = ["Current thread: ", "Current thread ID = ", "Executing thread ID (thread): "];
    let rest = heads.iter().find_map(|head| text.strip_prefix(head))?;
    let rest = rest.strip_prefix("0x")?;
    let digits = number::run(rest.as_bytes());
    number::unpadded(digits)?;
    let name = rest[digits.len()..].trim().strip_prefix('(').and_then(|n| n.strip_suffix(')'));
    // A thread without a name is known by its address.
    let named = name.filter(|name| !name.is_empty() && *name != "unknown");
    let name = named.map_or_else(|| format!("0x{}", kept(digits)), kept);
    Some(CrashLine::Task { name, at: None })
}

/// ` ** CPU 0 EXCCAUSE 28 (load prohibited)`, ` **  PC 0x400d1234 VADDR 0x00000004`
fn xtensa(text: &str) -> Option<CrashLine> {
    let text = text.trim_start_matches(['*', ' ']);
    if text == "FATAL EXCEPTION" {
        return Some(fault_named(""));
    }
    if let Some((_, rest)) = text.split_once("EXCCAUSE ")
        && (text.starts_with("CPU ") || text.starts_with("EXCCAUSE "))
    {
        let (cause, what) = rest.split_once(" (")?;
        let cause = Some(cause.trim().parse().ok()?);
        let _ = what.strip_suffix(')')?;
        return Some(CrashLine::Registers(Registers { cause, ..Registers::default() }));
    }
    let is_row = ["PC 0x", "PS 0x", "A0 0x", "A4 0x", "A8 0x", "A12 0x", "SAR 0x", "LBEG 0x"]
        .iter()
        .any(|head| text.starts_with(head));
    is_row.then(|| registers::read(text.as_bytes()).map(CrashLine::Registers))?
}

/// An entry of RISC-V's call trace: `0: sp: 200320b4 ra: 20029d24`, or `0: ra: 20029d24`.
pub fn call(line: &str) -> Option<u32> {
    let text = line.trim();
    let (number, rest) = text.split_once(": ")?;
    number.trim().parse::<u32>().ok()?;
    let is_frame = ["sp: ", "fp: ", "ra: "].iter().any(|head| rest.trim_start().starts_with(head));
    let (_, ra) = rest.split_once("ra: ").filter(|_| is_frame)?;
    let ra = ra.trim().trim_start_matches("0x");
    number::register(number::run(ra.as_bytes())).and_then(|ra| u32::try_from(ra).ok())
}
