//! Takes off a line what monitors, terminals, editors and web pages put on it.
//!
//! A log seldom comes as the board sent it: a monitor writes the time in front, an issue thread
//! quotes it, a blog turns `>>>stack>>>` into entities and `0x4000` into `0×4000`.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::LazyLock;

use regex::Regex;

use crate::shown;

/// Rounds of taking prefixes off: quoted twice, indented, with a time is five.
const MOST_PREFIXES: usize = 8;

/// One prefix: a time in brackets, a time of day with or without a date (and the monitor's arrow
/// after it), the number of a list.
static PREFIX: LazyLock<Regex> = LazyLock::new(|| {
    let month = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}";
    let day = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}";
    let clock = r"\d{1,2}:\d\d:\d\d(?:[.,:]\d+)?";
    let zone = r"(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?";
    // `.123-045`: Tasmota prints its free heap in KiB after the milliseconds.
    let time = format!(r"{clock}(?:-\d{{1,3}}\b)?(?: ?[AaPp]\.?[Mm]\b\.?)?{zone}");
    let joined = format!(r"\d{{1,4}}[-/.](?:\d{{1,2}}|{month})[-/.]\d{{1,4}}");
    let date = format!(r"(?:(?:{day}|{month}|{joined}|\d{{1,2}}|\d{{4}})[.,]*[ T]+){{0,5}}");
    // C's `ctime` has the year after the time.
    let c = format!(r"(?:{day} +)?{month} +\d{{1,2}} {clock}{zone} \d{{4}}\b");
    pattern(&format!(
        r"^(?:\[[ 0-9.:,/TZ+-]*\d[ 0-9.:,/TZ+-]*\]|\[?(?:{c}|{date}{time})\]?|\d{{1,5}}(?:[.|] |\|$))\s*(?:->\s*|>\s+|\|\s*)?"
    ))
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

/// `line` as text without control characters, colours and markup, and without what tools put at its
/// end. What they put in front of it is still there.
pub fn text(line: &[u8]) -> String {
    text_and_remark(line).0
}

/// The same, and whether there was a remark of our own monitor in it. All that follows the remark is
/// off, too.
pub fn text_and_remark(line: &[u8]) -> (String, bool) {
    let text = shown::without_escapes(String::from_utf8_lossy(line));
    let mut text = shown::without_backslashes(text);
    // The searches cost more than a look for the characters without which they find nothing.
    if text.contains('<') {
        text = Cow::Owned(TAGS.replace_all(&text, "").into_owned());
    }
    if text.contains('&') {
        // Twice, for a page that escaped what was escaped.
        text = Cow::Owned(entities(&entities(&text)).into_owned());
    }
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let mut text = if plain { text.into_owned() } else { typed(&text) };
    // Our own monitor's remark; a row of a stack dump ends in a lone `<`.
    let remark = text.find("  <- ");
    if let Some(remark) = remark {
        text.truncate(remark);
    }
    let mut end = shown::without_end(&text).len();
    if text[end..].starts_with('|') {
        // `3| ` is the number of a blank line: its sign shows that it is no text.
        let number = without_prefixes(&text[..end]);
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        end += usize::from(digits && matches!(number.len(), 1..=5));
    }
    text.truncate(end);
    (text, remark.is_some())
}

/// `line` without all that tools put on it, as far as its own text shows it.
pub fn clean(line: &[u8]) -> String {
    without_prefixes(&text(line)).to_owned()
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

/// [`text`] without times, quotation marks, numbers of a list and markup in front of it.
pub fn without_prefixes(text: &str) -> &str {
    let mut text = text;
    for _ in 0..MOST_PREFIXES {
        let before = text.len();
        text = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '`' | '|'));
        if text == "****" {
            text = "";
        } else if let Some(bold) = text.strip_prefix("**")
            && !bold.starts_with('*')
        {
            // Its end is off already, where it is on the same line.
            text = bold;
        } else if text.starts_with('>') && !text.starts_with(">>>stack") {
            text = &text[1..];
        } else if may_begin_prefix(text)
            && let Some(prefix) = PREFIX.find(text)
        {
            text = &text[prefix.end()..];
        }
        if text.len() == before {
            break;
        }
    }
    text
}

/// Whether [`PREFIX`] has a chance, which costs less than its search.
fn may_begin_prefix(text: &str) -> bool {
    let names = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec Mon Tue Wed Thu Fri Sat Sun";
    match text.as_bytes() {
        [b'[' | b'0'..=b'9', ..] => true,
        [b'A'..=b'Z', _, _, ..] => text.get(..3).is_some_and(|name| names.contains(name)),
        _ => false,
    }
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
            if self.line.iter().all(|byte| matches!(byte, b' '..=b'~')) {
                return 0;
            }
            let text = shown::without_escapes(String::from_utf8_lossy(self.line));
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
            "01/12/2026 02:14:09 Exception (28):",
            "1.12.2026 02:14:09,123 Exception (28):",
            "01-Dec-2026 02:14:09 Exception (28):",
            "Dec  1 2026 02:14:09.123 Exception (28):",
            "1 Dec 2026, 2:14:09 PM Exception (28):",
            "[12/1/26, 2:14:09 a.m.] Exception (28):",
            "Tue Dec  1 02:14:09 2026 Exception (28):",
            "Tue, 1 Dec 2026 02:14:09 +0100 Exception (28):",
            "Tuesday, December 1, 2026 02:14:09 UTC Exception (28):",
            "02:14:09.123-025 Exception (28):",
            "| Exception (28): |",
            "**Exception (28):**",
            "**Exception (28):",
            "Exception (28):**",
            "> **12:34:56.789 Exception (28):**",
            "12:34:56.789 -> **Exception (28):",
            "> `Exception (28):`#015",
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
        for blank in ["3| ", "12|", "> 3| ", "3| |", "3| \\r\\n"] {
            assert_eq!(clean(blank.as_bytes()), "", "{blank}");
        }
        assert_eq!((clean(b"3").as_str(), clean(b"free 3|").as_str()), ("3", "free 3"));
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
