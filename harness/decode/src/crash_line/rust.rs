//! Panics of Rust firmware: of std, esp-backtrace, esp-println, panic-probe with defmt.

use std::sync::LazyLock;

use hilrig_core::crash::Panic;
use regex::Regex;

use super::{CrashLine, kept};
use crate::registers;

/// The thread that may come before `panicked at`.
const FRONT: &str = r"^(?:thread '(?P<thread>[^']*)'(?: \(\d+\))? )?panicked at ";

/// `panicked at src/main.rs:41:9:`; the message follows. defmt writes on the same line where its own
/// code is.
static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    let place = r"(?P<file>[^':]*(?:[A-Za-z]:\\[^':]*)?\.rs):(?P<line>\d+):(?P<column>\d+):?(?: \([^()]*\))?$";
    pattern(&format!("{FRONT}{place}"))
});

/// `panicked at 'message', src/main.rs:41:9`, as it was before Rust 1.73.
static QUOTED: LazyLock<Regex> = LazyLock::new(|| {
    let place = r", (?P<file>[^']*?):(?P<line>\d+):(?P<column>\d+)";
    pattern(&format!(r"{FRONT}'(?P<message>.*?)'(?:{place})?(?: \([^()]*\))?$"))
});

/// `!! A panic occured in 'src/main.rs', at line 41, column 9:` of the first esp-backtrace.
static OCCURRED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:!! )?A panic occurr?ed in '(?P<file>[^']*)', at line (?P<line>\d+), column (?P<column>\d+):?$",
    )
});

/// `Exception 'Load access fault' mepc=0x42001234, mtval=0x00000000` (RISC-V), `Exception occurred on
/// ProCpu 'LoadProhibited'` (Xtensa).
static EXCEPTION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^Exception (?:occurr?ed (?:on \w+ )?)?'(?P<what>[^']+)'(?: mepc=0x\w+, mtval=0x\w+)?$",
    )
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern compiles")
}

/// A line that a logger wrote its level, time and place around: `5.904 [ERROR] Backtrace:
/// (esp_backtrace src/lib.rs:70)`.
static LOGGER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?:[\d.:]+ +)?\[?ERROR *\]? +(?:- )?(?P<text>.*?)(?: *\(\w+ [^() ]+\.rs:\d+\))?$")
});

/// What a logger wrote into a line of its own.
pub fn without_logger(line: &str) -> Option<&str> {
    if !line.contains("ERROR") {
        return None;
    }
    Some(LOGGER.captures(line)?.name("text")?.as_str())
}

pub fn read(line: &str) -> Option<CrashLine> {
    if line.starts_with("Exception ") {
        let found = EXCEPTION.captures(line)?;
        let rest = line.split_once("' ").map_or("", |(_, rest)| rest);
        let registers = registers::read(rest.as_bytes()).unwrap_or_default();
        return Some(CrashLine::Fault {
            what: kept(&found["what"]),
            registers: Box::new(registers),
        });
    }
    if line.contains(" PANIC ") && line.trim_matches('=') == " PANIC " && line.starts_with("====") {
        return Some(panic(None, Panic::default(), None));
    }
    if !line.contains("panic") {
        return None;
    }
    let found = OCCURRED
        .captures(line)
        .or_else(|| PLACE.captures(line))
        .or_else(|| QUOTED.captures(line))?;
    let group = |name| found.name(name).map(|group| kept(group.as_str()));
    let number = |name| group(name).and_then(|number| number.parse().ok());
    let place = Panic {
        message: None,
        file: group("file"),
        line: number("line"),
        column: number("column"),
        function: None,
    };
    Some(panic(group("message"), place, group("thread")))
}

fn panic(message: Option<String>, place: Panic, task: Option<String>) -> CrashLine {
    let text = message.clone().unwrap_or_default();
    CrashLine::Panic { text, panic: Box::new(Panic { message, ..place }), task }
}

/// The place after a defmt message: `└─ app::main @ src/main.rs:41`. The one of panic-probe itself
/// is of no interest.
pub fn defmt_place(line: &str) -> Option<Panic> {
    let (function, place) =
        line.trim_start().strip_prefix("\u{2514}\u{2500}")?.split_once(" @ ")?;
    let (file, number) = place.trim().rsplit_once(':')?;
    let own = function.trim_start().starts_with("panic_probe");
    (!own).then(|| Panic {
        file: Some(kept(file)),
        line: number.parse().ok(),
        function: Some(kept(function)),
        ..Panic::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_logger_wrote_around_a_line_comes_off() {
        let line = "5.904244 [ERROR] no radio (esp_backtrace esp-backtrace/src/lib.rs:70)";
        assert_eq!(without_logger(line), Some("no radio"));
        assert_eq!(without_logger("[ERROR]  no radio"), Some("no radio"));
        assert_eq!(without_logger("5.9 [ERROR]  (a src/lib.rs:70)"), Some(""));
        assert_eq!(without_logger("ERROR: none"), None);
    }
}
