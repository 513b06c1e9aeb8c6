//! What ESP-IDF prints when it panics, in the words of all its versions.

use std::sync::LazyLock;

use hilrig_core::crash::Panic;
use regex::Regex;

use super::{CrashLine, address, kept};
use crate::scan::Scan;

pub fn read(line: &str) -> Option<CrashLine> {
    plain(line)
        .or_else(|| guru(line))
        .or_else(|| overflow(line))
        .or_else(|| failed(line))
        .or_else(|| detail(line))
}

fn plain(line: &str) -> Option<CrashLine> {
    Some(match line {
        "Stack smashing protect failure!" => CrashLine::StackSmashed { at: None },
        "Stack memory:" => CrashLine::StackMemory,
        "Rebooting..." | "CPU halted." | "Entering gdb stub now." => CrashLine::Ended,
        // Also in a line of its own, where the first one is lost.
        "Cache disabled but cached memory region accessed"
        | "Cached memory region accessed while ibus or cache is disabled" => {
            CrashLine::Detail { what: line.to_owned() }
        }
        _ => return None,
    })
}

/// `Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.`, or as
/// ESP-IDF before 1.0 has it, `... of type LoadProhibited occurred on core  0. ...`.
fn guru(line: &str) -> Option<CrashLine> {
    const HEAD: &str = "Guru Meditation Error";
    let at = line.find(HEAD)?;
    let rest = &line[at + HEAD.len()..];
    let (what, tail) = match rest.strip_prefix(" of type ") {
        Some(rest) => {
            let (what, rest) = rest.split_once(" occurred on core")?;
            (what, rest.trim_start_matches([' ', '0', '1']))
        }
        None => {
            let rest = rest.strip_prefix(':')?.trim_start();
            let core = rest.strip_prefix("Core")?.trim_start();
            let number = core.trim_start_matches(|c: char| c.is_ascii_digit());
            let Some((_, name)) = number.split_once("panic'ed (") else {
                // The line is cut in front of the name.
                let cut = number.len() < core.len() && " panic'ed (".starts_with(number.trim_end());
                return (at == 0 && cut).then(|| CrashLine::Guru { what: String::new() });
            };
            match name.split_once(')') {
                Some((what, tail)) => (what, tail),
                None => (name, ""),
            }
        }
    };
    let ends = ["", ".", ". Exception was unhandled.", ". Exception was unhandled"];
    // After other output, only the whole line counts: users write about these errors.
    let whole = ends.contains(&tail.trim_end()) && !line[..at].contains(['"', '\'', '`']);
    (at == 0 || whole).then(|| CrashLine::Guru { what: kept(what) })
}

/// `***ERROR*** A stack overflow in task loopTask has been detected.`, whole or cut.
fn overflow(line: &str) -> Option<CrashLine> {
    const HEAD: &str = "***ERROR*** A stack overflow in task ";
    const TAIL: &str = " has been detected.";
    let of = |task: &str, cut| {
        let task = Some(kept(task)).filter(|task| !task.is_empty());
        Some(CrashLine::StackOverflow { task, at: [None; 2], cut })
    };
    if let Some(rest) = line.strip_prefix(HEAD) {
        if let Some(at) = rest.find(TAIL.trim_end_matches('.')) {
            return of(&rest[..at], false);
        }
        // A task's name may have blanks; what begins like the end of the sentence is that.
        let cut = (1..TAIL.len()).rev().find(|n| rest.ends_with(&TAIL[..*n]));
        return of(&rest[..rest.len() - cut.unwrap_or(0)], true);
    }
    if line.len() > "***ERROR***".len() && HEAD.starts_with(line) {
        return of("", true);
    }
    // Cut in front: nothing else ends a line like this.
    let (before, rest) = line.split_once("in task ")?;
    let task = rest.strip_suffix(TAIL)?;
    let is_end = before.contains("overflow") && HEAD.strip_suffix("in task ")?.ends_with(before);
    is_end.then(|| of(task, true))?
}

/// Assertions and other reasons to stop, which `abort()` follows.
fn failed(line: &str) -> Option<CrashLine> {
    static ASSERT: LazyLock<Regex> = LazyLock::new(|| {
        let newlib = r#"^assertion "(?P<what>.*)" failed: file "(?P<file>[^"]*)", line (?P<line>\d+)(?:, function: (?P<function>.*))?$"#;
        Regex::new(newlib).expect("a constant pattern compiles")
    });
    static PLACE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?P<function>\S+) (?P<file>\S+):(?P<line>\d+) \((?P<what>.*)\)$")
            .expect("a constant pattern compiles")
    });
    let mut scan = Scan(line.as_bytes());
    if scan.skip("abort() was called at PC ") {
        return Some(CrashLine::Abort { at: address(&mut scan)? });
    }
    if scan.skip("CORRUPT HEAP: ") {
        return Some(said(kept(line), Panic::default()));
    }
    if scan.skip("terminate called ") && line.contains("exception")
        || line.starts_with("terminate called after throwing")
    {
        return Some(CrashLine::UnhandledException);
    }
    if scan.skip("ESP_ERROR_CHECK failed: ") {
        return Some(said(kept(line), Panic { message: Some(kept(line)), ..Panic::default() }));
    }
    let (text, found) = match line.strip_prefix("assert failed: ") {
        Some(rest) => (rest, PLACE.captures(rest)),
        None if line.starts_with("assertion \"") => (line, Some(ASSERT.captures(line)?)),
        None => return None,
    };
    let group = |name| found.as_ref()?.name(name).map(|group| kept(group.as_str()));
    let panic = Panic {
        message: group("what"),
        file: group("file"),
        line: group("line").and_then(|line| line.parse().ok()),
        column: None,
        function: group("function"),
    };
    Some(said(kept(text), panic))
}

fn said(text: String, panic: Panic) -> CrashLine {
    CrashLine::Panic { text, panic: Box::new(panic), task: None }
}

fn detail(line: &str) -> Option<CrashLine> {
    if let Some(what) = line.strip_prefix("Debug exception reason: ") {
        let task = what.trim().strip_prefix("Stack canary watchpoint triggered");
        return Some(match task {
            Some(task) => {
                let task = task.trim().trim_start_matches('(');
                let name = task.strip_suffix(')');
                CrashLine::Canary {
                    task: Some(kept(name.unwrap_or(task))).filter(|task| !task.is_empty()),
                    cut: name.is_none(),
                }
            }
            None => CrashLine::Detail { what: kept(what) },
        });
    }
    if let Some(rest) = line.strip_prefix("Detected in task \"") {
        let (task, at) = rest.split_once("\" at ")?;
        let at = address(&mut Scan(at.as_bytes()))?;
        return Some(CrashLine::Task { name: kept(task), at });
    }
    if line.contains("Task watchdog got triggered. The following ") {
        return Some(CrashLine::TaskWatchdog);
    }
    if let Some(rest) = line.strip_prefix("Core ") {
        let rest = rest.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
        return (rest == " register dump:").then_some(CrashLine::RegisterDump);
    }
    let (_, digits) = line.split_once("ELF file SHA256:")?;
    let digits = digits.trim().trim_end_matches('.');
    let is_digest =
        (8..=64).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    // Without the ELF's digest, there are zeros.
    let known = digits.bytes().any(|b| b != b'0');
    (is_digest && known).then(|| CrashLine::ElfSha256(digits.to_ascii_lowercase()))
}
