//! Takes off a line what monitors, terminals, editors and web pages put on it.
//!
//! A log seldom comes as the board sent it: a monitor writes the time in front, an issue thread
//! quotes it, a blog turns `>>>stack>>>` into entities and `0x4000` into `0×4000`.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::LazyLock;

use regex::Regex;

/// Rounds of taking prefixes off: quoted twice, indented, with a time is five.
const MOST_PREFIXES: usize = 8;

/// One prefix: a time in brackets, a time of day or a date with one (and the monitor's arrow
/// behind it), the number of a list.
static PREFIX: LazyLock<Regex> = LazyLock::new(|| {
    let time = r"\d{1,2}:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?";
    pattern(&format!(
        r"^(?:\[[ 0-9.:,/TZ+-]*\d[ 0-9.:,/TZ+-]*\]|\[?(?:\d{{4}}[-/]\d\d[-/]\d\d[T ])?{time}\]?|\d{{1,5}}[.|] )\s*(?:->\s*|>\s+|\|\s*)?"
    ))
});

/// Escape sequences: colours and the like, window titles, and colours whose ESC was lost.
static ESCAPES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*\x07?|\x1b.|\[[0-9;]{1,8}m")
});

/// Tags that web pages put around the lines of a listing.
static TAGS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)</?(?:p|br|pre|code|div|span|li|ol|ul|td|tr|samp|tt|blockquote)\b[^<>]*>")
});

static ENTITIES: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z]{2,7}));"));

fn pattern(text: &str) -> Regex {
    // The patterns are constants of this file, and its tests use each of them.
    Regex::new(text).expect("a constant pattern compiles")
}

/// `line` without what was put on it, as text without control characters.
pub fn clean(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = ESCAPES.replace_all(&text, "");
    let text = TAGS.replace_all(&text, "");
    // Twice, for a page that escaped what was escaped.
    let text = entities(&entities(&text)).into_owned();
    let text = typed(&text);
    without_prefixes(&text).to_owned()
}

fn entities(text: &str) -> Cow<'_, str> {
    ENTITIES.replace_all(text, |found: &regex::Captures<'_>| {
        let number = |group: usize, radix: u32| {
            let digits = found.get(group)?.as_str();
            char::from_u32(u32::from_str_radix(digits, radix).ok()?).map(String::from)
        };
        let name = || {
            Some(match found.get(3)?.as_str() {
                "gt" => ">",
                "lt" => "<",
                "amp" => "&",
                "quot" => "\"",
                "apos" | "lsquo" | "rsquo" => "'",
                "nbsp" => " ",
                "ndash" | "mdash" => "-",
                "times" => "x",
                "raquo" => ">>",
                "laquo" => "<<",
                _ => return None,
            })
        };
        number(1, 10)
            .or_else(|| number(2, 16))
            .or_else(|| name().map(String::from))
            .unwrap_or_else(|| found[0].to_owned())
    })
}

/// Typographic characters as they are on a keyboard; control characters go.
fn typed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{2032}' | '\u{00b4}' => out.push('\''),
            '\u{201c}' | '\u{201d}' | '\u{201e}' => out.push('"'),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => out.push('-'),
            '\u{2192}' => out.push_str("->"),
            '\u{00d7}' => out.push('x'),
            '\u{00bb}' => out.push_str(">>"),
            '\u{00ab}' => out.push_str("<<"),
            '\t' | '\u{00a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => out.push(' '),
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

fn without_prefixes(text: &str) -> &str {
    // Our own monitor's remark; a row of a stack dump ends in a lone `<`.
    let mut text = text.split_once("  <- ").map_or(text, |(said, _)| said);
    text = text.trim_end_matches(|c: char| c.is_whitespace() || c == '`');
    for _ in 0..MOST_PREFIXES {
        let before = text.len();
        text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '`');
        if text.starts_with('>') && !text.starts_with(">>>stack") {
            text = &text[1..];
        } else if let Some(prefix) = PREFIX.find(text) {
            text = &text[prefix.end()..];
        }
        if text.len() == before {
            break;
        }
    }
    text
}

/// What a line, as it came, holds that no firmware prints: the sign of a wrong rate or of a supply
/// that gives way. Counted when it is asked for, and once for all pieces of the line.
pub struct Garbage<'a> {
    line: &'a [u8],
    characters: OnceCell<usize>,
}

impl<'a> Garbage<'a> {
    /// That in `line`.
    pub fn of(line: &'a [u8]) -> Garbage<'a> {
        Garbage { line, characters: OnceCell::new() }
    }

    /// Whether it is more than `cleaned`, which is what is read of the line, can explain.
    pub fn outweighs(&self, cleaned: &str) -> bool {
        let bad = *self.characters.get_or_init(|| {
            let text = String::from_utf8_lossy(self.line);
            let text = ESCAPES.replace_all(&text, "");
            text.chars().filter(is_bad).count()
        });
        bad >= 4 && bad * 4 >= cleaned.chars().count()
    }
}

fn is_bad(c: &char) -> bool {
    // Zeros do not count: they are half of a log that was saved as UTF-16. U+2E2E is what the
    // Arduino IDE shows for a byte that is no text.
    (c.is_control() && !matches!(c, '\t' | '\r' | '\n' | '\0'))
        || matches!(c, '\u{fffd}' | '\u{2e2e}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_monitors_and_pages_put_on_a_line_comes_off() {
        for line in [
            "Exception (28):",
            "Exception (28):\r",
            "[   0.123456] Exception (28):",
            "[    2.512345] Exception (28):  <- exception 28: read from an address",
            "12:34:56.789 -> Exception (28):",
            "12:34:56.789 > Exception (28):",
            "2024-05-01T12:34:56.789Z Exception (28):",
            "2024-05-01 12:34:56,789 Exception (28):",
            "[2024-05-01 12:34:56] Exception (28):",
            "[12:34:56:789] Exception (28):",
            "> Exception (28):",
            "> > Exception (28):",
            ">> Exception (28):",
            "> 12:34:56.789 -> Exception (28):",
            "    Exception (28):",
            "\tException (28):",
            "`Exception (28):`",
            "```Exception (28):",
            "  12. Exception (28):",
            "\x1b[0;31mException (28):\x1b[0m",
            "[0;31mException (28):[0m",
            "<p>Exception (28):<br />",
            "Exception&nbsp;(28):",
            "Exception &#40;28&#x29;:",
            "\u{feff}Exception\u{a0}(28):",
            "12:34:56.789 \u{2192} Exception (28):",
        ] {
            assert_eq!(clean(line.as_bytes()), "Exception (28):", "{line}");
        }
    }

    #[test]
    fn marks_of_a_dump_come_out_whole() {
        for line in [
            ">>>stack>>>",
            "> >>>stack>>>",
            "12:34:56.789 -> >>>stack>>>",
            "12:34:56.789 > >>>stack>>>",
            "&gt;&gt;&gt;stack&gt;&gt;&gt;",
            "&amp;gt;&amp;gt;&amp;gt;stack&amp;gt;&amp;gt;&amp;gt;",
            "&gt; &gt;&gt;&gt;stack&gt;&gt;&gt;",
            "&#62;&#62;&#62;stack&#62;&#62;&#62;",
            "\u{bb}>stack\u{bb}>",
        ] {
            assert_eq!(clean(line.as_bytes()), ">>>stack>>>", "{line}");
        }
        assert_eq!(clean(b"&lt;&lt;&lt;stack&lt;&lt;&lt;"), "<<<stack<<<");
        assert_eq!(clean("epc1=0\u{d7}4000e1b2".as_bytes()), "epc1=0x4000e1b2");
        assert_eq!(clean("panic\u{2019}ed".as_bytes()), "panic'ed");
        assert_eq!(clean(b"&#8211; &bogus; &#99999999;"), "- &bogus; &#99999999;");
        assert_eq!(
            clean(b"3ffffb30:  3fff3814 00001f52 3fff81c4 401004f4 <"),
            "3ffffb30:  3fff3814 00001f52 3fff81c4 401004f4 <"
        );
    }

    #[test]
    fn what_no_firmware_prints_is_garbage() {
        let garbage = |line: &[u8]| Garbage::of(line).outweighs(&clean(line));
        assert!(garbage(b"\x82\xfe\x00\x91\xe0l\x9c|\xec\x8c"));
        assert!(garbage("\u{2e2e}\u{2e2e}\u{2e2e}\u{2e2e}".as_bytes()));
        assert!(garbage("12:34:56.789 -> \u{2e2e}\u{2e2e}\u{2e2e}\u{2e2e}".as_bytes()));
        assert!(!garbage(b"\x1b[0;32mI (123) boot: up\x1b[0m\r"));
        assert!(!garbage("Type \u{2013} SDK API".as_bytes()));
        assert!(!garbage(b"B\0u\0i\0l\0d\0:\0 \0"));
        assert!(!garbage(b""));
    }

    proptest! {
        #[test]
        fn any_bytes_come_out_without_control_characters(bytes: Vec<u8>) {
            let text = clean(&bytes);
            prop_assert!(!text.chars().any(char::is_control));
            let _ = Garbage::of(&bytes).outweighs(&text);
        }
    }
}
