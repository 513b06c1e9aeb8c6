//! The lines of a dump, anywhere in a line: what is recognised of one at the beginning of a text is
//! looked for in all of it.

use std::sync::LazyLock;

use regex::Regex;

use crate::crash_line::CrashLine;
use crate::signs::SIGNS;

/// How far in front of a sign the text that it belongs to may begin, bytes.
const REACH: usize = 64;

/// Crash text in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashMark {
    /// Where it begins.
    pub start: usize,
    /// Where it ends, where that is certain.
    pub end: Option<usize>,
    /// It names a cause; the others are details of a dump.
    pub cause: bool,
    /// A start of the ROM, or what the ROM prints of the image.
    pub start_of_rom: bool,
    /// It is recognised whatever is in front of it.
    pub anywhere: bool,
}

/// A number of a dump.
const HEX: &str = "(?:0x)?[0-9a-fA-F]{8}";

/// Texts whose end is certain.
struct Closed {
    all: Regex,
    /// Whether all of a text is a cause, or a start: cheaper than groups of the first.
    cause: Regex,
    start: Regex,
}

static CLOSED: LazyLock<Closed> = LazyLock::new(|| {
    let causes = [
        r"Exception \(\d{1,3}\):",
        r"Fatal exception (?:\(\d{1,3}\)|\d{1,3}\(\w+\)):",
        "Soft WDT reset",
        "wdt reset",
        r"Stack smashing detected(?: at 0x[0-9a-f]+)?\.?",
        r"Stack overflow detected(?: at 0x[0-9a-f]+)?\.?",
        "Abort called",
        r"User exception \(panic/abort/assert\)",
        "Brownout detector was triggered",
        r"(?:thread '[^']{0,32}' (?:\(\d+\) )?)?panicked at [^\s:']+:\d+:\d+:",
        r"Debug exception reason: Stack canary watchpoint triggered \([^()]{1,32}\)",
        "={4,} PANIC ={4,}",
        r"\*{3,} [A-Za-z][A-Za-z !]{2,30} \*{3,}",
    ];
    let details = [
        r"epc1=0x[0-9a-f]+(?:,? *\w{3,8}=0x[0-9a-f]+)*".to_owned(),
        ">>>stack>>>".to_owned(),
        "<<<stack<<<".to_owned(),
        r"ctx: (?:cont|sys|bearssl)\b".to_owned(),
        "sp: [0-9a-f]{8} end: [0-9a-f]{8} offset: [0-9a-f]{4,8}".to_owned(),
        r"last failed alloc call: (?:0x)?[0-9a-fA-F]+\(\d+\)".to_owned(),
        "-+ CUT HERE FOR EXCEPTION DECODER -+".to_owned(),
        format!(r"(?-u:\b){HEX}:(?: +{HEX}){{4,8}}(?: +<)?"),
        registers("0x"),
        registers(""),
        r"Backtrace:(?: *0x[0-9a-f]{8}:0x[0-9a-f]{8})+(?: *\|<-[A-Z]+)?".to_owned(),
    ];
    let starts = [
        r"(?:ets [A-Z][a-z]{2} +\d{1,2} \d{4}, ?)?rst cause:\d{1,2}, ?boot mode:\(\d{1,2},\d{1,2}\)",
        r"rst:0x[0-9a-f]+ \(\w+\),boot:0x[0-9a-f]+ \(\w+(?:\([\w/]*\))?\)",
        r"load 0x[0-9a-f]{8}, len \d+, room \d+",
        r"load:0x[0-9a-f]{8},len:\d+|entry 0x[0-9a-f]{8}",
    ];
    let (causes, details, starts) = (causes.join("|"), details.join("|"), starts.join("|"));
    Closed {
        all: pattern(&format!("{causes}|{details}|{starts}")),
        cause: pattern(&format!("^(?:{causes})$")),
        start: pattern(&format!("^(?:{starts})$")),
    }
});

/// What is in each line that has a mark, and in each that a decoder takes for more than text while no
/// crash is open.
static ANY: LazyLock<Regex> = LazyLock::new(|| {
    let mut signs = SIGNS.map(|sign| format!("(?:{sign})")).to_vec();
    signs.push("<<<stack".to_owned());
    signs.push("ctx: |sp: |alloc call: |ets |Backtrace:|load[ :]0x|entry 0x".to_owned());
    signs.push("[0-9a-fA-F]{8}[: ]|esp_core_dump".to_owned());
    pattern(&signs.join("|"))
});

static SIGN: LazyLock<Regex> = LazyLock::new(|| pattern(&SIGNS.join("|")));

/// A line of nothing but numbers of eight digits and their names.
static NUMBERS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"^(?:(?:[A-Za-z][\w/()]{{0,15}}(?: \w{{1,12}}){{0,3}} *[:=] *)?{HEX}[,:]?(?: +|$))+(?:[|<].*)?$|^Backtrace:{HEX}"
    ))
});

/// Names with numbers, at least two, in one notation.
fn registers(zero: &str) -> String {
    format!(
        r"(?-u:\b)(?:[A-Za-z][\w/]{{0,9}} *[:=] *{zero}(?:[0-9a-fA-F]{{8}}){{1,2}}(?-u:\b)[ ,]*){{2,}}"
    )
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern compiles")
}

/// Whether there may be a mark in `text`, or in a part of it: one search in place of many.
pub fn may_be_in(text: &str) -> bool {
    ANY.is_match(text)
}

/// The first mark in `text`.
pub fn find(text: &str) -> Option<CrashMark> {
    if may_be_in(text) { find_any(text) } else { None }
}

/// The first mark in a text where [`may_be_in`] has one.
pub fn find_any(text: &str) -> Option<CrashMark> {
    let closed = CLOSED.all.find(text).map(|found| {
        let start_of_rom = CLOSED.start.is_match(found.as_str());
        // A second mark after it: a page took the line ends out.
        let alone = !CLOSED.all.is_match(&text[found.end()..]);
        CrashMark {
            start: found.start(),
            end: alone.then_some(text[..found.end()].trim_end().len()),
            cause: CLOSED.cause.is_match(found.as_str()),
            start_of_rom,
            anywhere: start_of_rom,
        }
    });
    // The reader may take a logger's own prefix for a part of its line: what it reads without it counts.
    let before = |mark: &CrashMark| {
        closed.is_none_or(|closed| {
            mark.start < closed.start && CrashLine::read(&text.as_bytes()[closed.start..]).is_none()
        })
    };
    let sign = SIGN.find(text).map(|sign| sign.start());
    let sign = sign.filter(|sign| closed.is_none_or(|closed| *sign < closed.start));
    sign.and_then(|sign| read(text, sign)).filter(before).or(closed)
}

/// A mark that only the reader of crash text knows, at a sign or in front of it: where its text ends
/// is not certain.
fn read(text: &str, sign: usize) -> Option<CrashMark> {
    let nearest = sign.saturating_sub(REACH);
    let begins = |at: &usize| {
        text.is_char_boundary(*at)
            && !text[..*at].ends_with(|c: char| c.is_alphanumeric())
            && !text[*at..].starts_with(char::is_whitespace)
    };
    let read = |at: usize| CrashLine::read(&text.as_bytes()[at..]);
    let (start, line) =
        (nearest..=sign).filter(begins).find_map(|start| Some((start, read(start)?)))?;
    // A reader that passes over anything in front of the sign takes a prefix for a part of the line.
    let own = || format!("x: {}", &text[sign..]);
    let anywhere = start < sign
        && begins(&sign)
        && read(sign).as_ref() == Some(&line)
        && CrashLine::read(own().as_bytes()).as_ref() == Some(&line);
    let start = if anywhere { sign } else { start };
    Some(CrashMark { start, end: None, cause: line.is_crash(), start_of_rom: false, anywhere })
}

/// Where the address ends that `text` begins with: a backtrace may have one to a line.
pub fn address(text: &str) -> Option<usize> {
    static ADDRESS: LazyLock<Regex> = LazyLock::new(|| pattern(r"^0x[0-9a-fA-F]{8}(?-u:\b)"));
    ADDRESS.find(text).map(|found| found.end())
}

/// Whether `text`, all of it, is a line of a dump that names no cause.
pub fn is_detail(text: &str) -> bool {
    let text = text.trim();
    let whole = |mark: CrashMark| {
        mark.start == 0 && !mark.cause && mark.end.is_none_or(|end| end == text.len())
    };
    find(text).is_some_and(whole) || NUMBERS.is_match(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_wherever_it_stands_and_ends_where_its_text_does() {
        for (text, cause) in [
            ("Exception (28):", true),
            ("Fatal exception 28(LoadProhibitedCause):", true),
            ("Soft WDT reset", true),
            ("Debug exception reason: Stack canary watchpoint triggered (net_worker)", true),
            (
                "epc1=0x40203a1d epc2=0x00000000 epc3=0x00000000 excvaddr=0x00000000 depc=0x00000000",
                false,
            ),
            (
                "epc1=0x4000df64, epc2=0x00000000, epc3=0x00000000, excvaddr=0x7fffffff, depc=0x00000000",
                false,
            ),
            (">>>stack>>>", false),
            ("<<<stack<<<", false),
            ("ctx: cont", false),
            ("sp: 3ffffe00 end: 3fffffd0 offset: 0190", false),
            ("3fffff90:  3fff2450 00000000 3ffefe60 4020ff4f", false),
            ("3fffff90:  3fff2450 00000000 3ffefe60 4020ff4f <", false),
            (
                "4081b8a0: 0xa5a5a5a5 0xa5a5a5a5 0x00000000 0x420052b8 0x00005290 0x00000000 0x4081ebe6 0x420077a2",
                false,
            ),
            (
                "PC      : 0x400dedd5  PS      : 0x0015d263  A0      : 0x800d3ad5  A1      : 0x3ffb23f0",
                false,
            ),
            ("Backtrace: 0x400da956:0x3ffb23f0 0x400d18d1:0x3ffb4e00 |<-CORRUPTED", false),
            ("ets Jan  8 2013,rst cause:2, boot mode:(3,6)", false),
            ("rst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)", false),
            ("load 0x4010f000, len 3456, room 16", false),
            ("load:0x3fff0030,len:1184", false),
        ] {
            for (prefix, suffix) in
                [("", ""), ("2026-11-30 [dut-0] ", ""), ("x|", " ;"), ("12:", "#")]
            {
                let mark = find(&format!("{prefix}{text}{suffix}")).expect(text);
                assert_eq!((mark.start, mark.cause), (prefix.len(), cause), "{prefix}{text}");
                assert_eq!(mark.end, Some(prefix.len() + text.len()), "{prefix}{text}{suffix}");
            }
            assert_eq!(is_detail(text), !cause, "{text}");
        }
        // A number of the prefix is none of the registers.
        let registers = "bench: 40201995 PC      : 0x400d0c4b  PS      : 0x00060530";
        assert_eq!(find(registers).map(|mark| mark.start), Some(16));
        let guru = "x: Guru Meditation Error: Core  0 panic'ed (LoadProhibited). And so on.";
        let mark = find(guru).unwrap();
        assert_eq!((mark.start, mark.end, mark.cause), (3, None, true));
    }

    #[test]
    fn what_is_recognised_anywhere_in_a_line_begins_at_its_own_text() {
        for (front, text, anywhere) in [
            ("[dut-0] ", "Guru Meditation Error: Core  1 panic'ed (abort)", true),
            ("- ", "Guru Meditation Error: Core  1 panic'ed (abort)", true),
            ("[dut-0] ", "ELF file SHA256: 5d1a0f3b2", true),
            ("[dut-0] ", "abort() was called at PC 0x400882ea on core 1", false),
            ("- ", "abort() was called at PC 0x400882ea on core 1", false),
            ("[dut-0] ", ">>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0", false),
            ("[dut-0] ", "** FATAL EXCEPTION", false),
            ("[dut-0] ", "!! A panic occured in 'src/main.rs', at line 41, column 9:", false),
            ("[dut-0] ", "thread 'main' panicked at src/main.rs:41:9:", false),
        ] {
            let mark = find(&format!("{front}{text}")).expect(text);
            assert_eq!((mark.start, mark.anywhere), (front.len(), anywhere), "{front}{text}");
        }
    }

    #[test]
    fn other_text_has_no_mark() {
        for text in ["", "all is well", "free 40201f20", "exception handling", "stack", "no rst: 0"]
        {
            assert_eq!(find(text), None, "{text}");
            assert!(!is_detail(text), "{text}");
        }
        for text in ["0x420035d7", "r0/a1:  0x00000003  r1/a2:  0x20000100", "MEPC : 0x4200a1e6"] {
            assert!(is_detail(text), "{text}");
        }
    }
}
