//! Faults and failed assertions as NuttX prints them, on RISC-V, Xtensa and Cortex-M.

use std::sync::LazyLock;

use hilrig_core::crash::Panic;
use regex::Regex;

use super::{CrashLine, kept};
use crate::number;
use crate::registers::{self, Registers};

/// What NuttX writes in front of a line of a dump: level, CPU and task, as configured, and the function that
/// prints it.
static FRONT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:\[ ?(?:EMERG|ALERT|CRIT|ERROR|WARN|INFO)\] *|\[CPU\d+\] *)*(?:[\w<>./-]{1,24}: )??(?:(?:up|arm|arm64|riscv|xtensa|esp32\w*|dump|stack|sched)_\w{1,32}|_?assert): *",
    )
});

/// `Assertion failed panic: at file: common/riscv_exception.c:131 task: hello process: hello 0x80007d58`, or
/// as before NuttX 12 `Assertion failed at file:chip/esp32c3_irq.c line: 312 task: init`.
static ASSERTION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^Assertion failed(?: CPU\d+)?(?P<what>.*?):? *at file: ?(?P<file>[^: ]*)(?: line: |:)(?P<line>\d+)(?: task(?:\(CPU\d+\))?: (?P<task>.*?))?(?: process: .*)?$",
    )
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern compiles")
}

/// A line of a dump without what NuttX writes in front of it.
pub fn without_logger(line: &str) -> Option<&str> {
    let line = line.trim();
    let front = line.contains(": ").then(|| FRONT.find(line))??;
    Some(line[front.end()..].trim())
}

pub fn read(line: &str) -> Option<CrashLine> {
    exception(line)
        .or_else(|| xtensa(line))
        .or_else(|| hard_fault(line))
        .or_else(|| assertion(line))
}

fn fault(what: &str, registers: Registers, task: Option<String>) -> CrashLine {
    CrashLine::Nuttx { what: kept(what), registers: Box::new(registers), panic: None, task }
}

/// `EXCEPTION: Load access fault. MCAUSE: 00000005, EPC: 8000ad8a, MTVAL: 00000008`
fn exception(line: &str) -> Option<CrashLine> {
    let (what, rest) = line.strip_prefix("EXCEPTION: ")?.split_once(". MCAUSE: ")?;
    let found = registers::read(format!("MCAUSE: {rest}").as_bytes())?;
    Some(fault(what, found, None))
}

/// `User Exception: EXCCAUSE=001d task: nsh_main`
fn xtensa(line: &str) -> Option<CrashLine> {
    let rest = line.strip_prefix("User Exception: EXCCAUSE=")?;
    let (cause, task) = rest.split_once(" task: ").unwrap_or((rest, ""));
    let cause = number::unpadded(number::run(cause.as_bytes()))?;
    let registers = Registers { cause: Some(cause), ..Registers::default() };
    Some(fault("User Exception", registers, Some(kept(task)).filter(|task| !task.is_empty())))
}

/// `PANIC!!! Hard Fault!:`, `PANIC!!! Exception = 0000000000000005`
fn hard_fault(line: &str) -> Option<CrashLine> {
    let what = line.strip_prefix("PANIC!!! ")?;
    let exception = what
        .strip_prefix("Exception = ")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_hexdigit()));
    let name = what.trim_end_matches([':', '!', ' ', '\t']).split(':').next()?;
    let named = ["Hard Fault", "Bus Fault", "Usage Fault", "Memory Management Fault"];
    match exception {
        true => Some(fault("an exception", Registers::default(), None)),
        false => named
            .iter()
            .find(|known| known.eq_ignore_ascii_case(name))
            .map(|name| fault(&name.to_ascii_lowercase(), Registers::default(), None)),
    }
}

fn assertion(line: &str) -> Option<CrashLine> {
    let found = line.starts_with("Assertion failed").then(|| ASSERTION.captures(line))??;
    let text = |name| found.name(name).map(|group| kept(group.as_str())).filter(|t| !t.is_empty());
    let what = text("what").map(|what| what.trim_matches([' ', ':', '(', ')']).to_owned());
    let place = text("file");
    let panic = Panic {
        message: what.filter(|what| !what.is_empty() && what != "panic"),
        line: place.as_ref().and_then(|_| found["line"].parse().ok()),
        file: place,
        ..Panic::default()
    };
    Some(CrashLine::Nuttx {
        what: String::new(),
        registers: Box::default(),
        panic: Some(Box::new(panic)),
        task: text("task"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_front_of_a_line_comes_off() {
        for front in [
            "up_dump_register: ",
            "riscv_exception: ",
            "_assert: ",
            "arm_hardfault: \t",
            "[ EMERG] [CPU0] stack_dump: ",
            "[CPU1] nsh_main: xtensa_user_panic: ",
        ] {
            let line = format!("{front}EPC: 8000ad8a");
            assert_eq!(without_logger(&line), Some("EPC: 8000ad8a"), "{front}");
        }
        for line in ["update_all: yes", "sensor: up_dump_x", "all is well", "up: 5"] {
            assert_eq!(without_logger(line), None, "{line}");
        }
    }

    #[test]
    fn both_forms_of_an_assertion_are_read() {
        let of = |line: &str| match read(line) {
            Some(CrashLine::Nuttx { panic: Some(panic), task, .. }) => {
                (panic.message.clone().unwrap_or_default(), panic.place(), task.unwrap_or_default())
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(
            of(
                "Assertion failed panic: at file: common/riscv_exception.c:131 task: hello process: hello 0x80007d58"
            ),
            (String::new(), "common/riscv_exception.c:131".into(), "hello".into())
        );
        assert_eq!(
            of(
                "Assertion failed (p != NULL): at file: app.c:12 task(CPU0): init process: Kernel 0x4"
            ),
            ("p != NULL".into(), "app.c:12".into(), "init".into())
        );
        assert_eq!(
            of("Assertion failed at file:chip/esp32c3_irq.c line: 312 task: init"),
            (String::new(), "chip/esp32c3_irq.c:312".into(), "init".into())
        );
        for line in
            ["Assertion failed: (x), function f, file y.c, line 3.", "PANIC!!! no", "EXCEPTION: x"]
        {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
