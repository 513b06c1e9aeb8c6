//! Control characters: the escape sequences of terminals, and the text that a tool shows instead of
//! a control character.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// Escape sequences: colours and the like, titles and other strings, colours whose ESC was lost,
/// and any of these where a tool shows the ESC as text.
static ESCAPES: LazyLock<Regex> = LazyLock::new(|| {
    let shown = r"(?:\\x1[bB]|\\u001[bB]|\\e|\\0?33|#033|\^\[|\u{241b}|<(?:ESC|Esc|esc|0x1[bB])>|\[(?:ESC|Esc|esc)\])";
    let sequence = r"\[[0-?]*[ -/]*[@-~]";
    let pattern = format!(
        r"\x1b{sequence}|\x1b[\]_PX^][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.|{shown}{sequence}|\[[0-9;]{{1,8}}m"
    );
    Regex::new(&pattern).expect("a constant pattern compiles")
});

/// The byte that each sequence has: searching for them costs less than the search for sequences.
fn may_have_escapes(text: &str) -> bool {
    memchr::memchr2(b'[', 0x1b, text.as_bytes()).is_some()
}

/// `text` without escape sequences.
pub fn without_escapes(text: Cow<'_, str>) -> Cow<'_, str> {
    match may_have_escapes(&text) {
        true => match ESCAPES.replace_all(&text, "") {
            Cow::Borrowed(_) => text,
            Cow::Owned(rest) => Cow::Owned(rest),
        },
        false => text,
    }
}

/// `text` without the backslashes that Markdown puts in front of signs, and JSON in front of signs and
/// their codes.
pub fn without_backslashes(text: Cow<'_, str>) -> Cow<'_, str> {
    static ESCAPED: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"\\(?:u00([2-7][0-9a-fA-F])|([<>&_*|()\[\]#+.!~:=/-]))";
        Regex::new(pattern).expect("a constant pattern compiles")
    });
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return text;
    }
    let plain = ESCAPED.replace_all(&text, |found: &regex::Captures<'_>| {
        let code = found.get(1).and_then(|code| u8::from_str_radix(code.as_str(), 16).ok());
        let sign = || found.get(2).map_or_else(String::new, |sign| sign.as_str().to_owned());
        code.map_or_else(sign, |code| char::from(code).to_string())
    });
    Cow::Owned(plain.into_owned())
}

/// `text` without what is shown of its line end, and without blanks and markup there: a backtick,
/// the last rule of a table, a backslash that continues a line, the end of bold text.
pub fn without_end(text: &str) -> &str {
    let mut text = text;
    loop {
        text = text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '`' | '|' | '\\'));
        match without_one_end(text).or_else(|| without_bold(text)) {
            Some(shorter) => text = shorter,
            None => return text,
        }
    }
}

/// Two asterisks, no more: a banner of Zephyr ends in five.
fn without_bold(text: &str) -> Option<&str> {
    text.strip_suffix("**").filter(|text| !text.ends_with('*'))
}

/// CR, LF, NUL and the like as text: a picture of it (U+240D), a caret and a letter, an escape of C
/// or JSON, syslog's `#` and octal digits, or its name in brackets.
fn without_one_end(text: &str) -> Option<&str> {
    let last = text.chars().next_back()?;
    if matches!(last, '\u{2400}'..='\u{2426}' | '\u{21b5}' | '\u{23ce}') {
        return Some(&text[..text.len() - last.len_utf8()]);
    }
    if let Some(close) = "])}>".find(last) {
        let open = &"[({<"[close..=close];
        let (rest, name) = text[..text.len() - 1].rsplit_once(open)?;
        return is_end(name).then_some(rest);
    }
    if let Some(rest) =
        ["^M", "^J", "^@", r"\r", r"\n", r"\0"].iter().find_map(|end| text.strip_suffix(end))
    {
        return Some(rest);
    }
    // `\x0d`, `\u000d`, `\015`, `#015`: a code in hexadecimal or octal digits.
    let at = text.rfind(['\\', '#'])?;
    let (rest, code) = (&text[..at], &text[at + 1..]);
    let hex = code.strip_prefix('x').filter(|code| code.len() == 2);
    let hex = hex.or_else(|| code.strip_prefix('u').filter(|code| code.len() == 4));
    let code = match hex {
        Some(digits) if text[at..].starts_with('\\') => u32::from_str_radix(digits, 16),
        _ if code.len() == 3 => u32::from_str_radix(code, 8),
        _ => return None,
    };
    matches!(code, Ok(0 | 10 | 13)).then_some(rest)
}

/// Whether what a tool writes in brackets is the name or the code of a line end.
fn is_end(name: &str) -> bool {
    let names = ["cr", "lf", "crlf", "cr lf", "cr+lf", "nl", "nul", "eol"];
    let code = name.strip_prefix("0x").or_else(|| name.strip_prefix("0X")).unwrap_or(name);
    names.iter().any(|end| name.eq_ignore_ascii_case(end))
        || ["0d", "0a"].iter().any(|end| code.eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_sequence_goes_also_where_a_tool_shows_its_esc_as_text() {
        for esc in [
            "\x1b", r"\x1b", r"\x1B", r"\u001b", r"\e", r"\033", r"\33", "#033", "^[", "\u{241b}",
            "<ESC>", "[ESC]",
        ] {
            let line = format!("{esc}[0;31mException (28):{esc}[0m{esc}[K");
            assert_eq!(without_escapes(line.into()), "Exception (28):", "{esc}");
        }
        let title = "\x1b]0;title\x07text\x1b_bk;t=1700000000000\x07 of it\x1b]0;t\x1b\\.";
        assert_eq!(without_escapes(title.into()), "text of it.");
        assert_eq!(without_escapes("a[1] = b\\e".into()), "a[1] = b\\e");
    }

    #[test]
    fn backslashes_of_markup_go() {
        for (escaped, plain) in [
            (r"\>\>\>stack\>\>\>", ">>>stack>>>"),
            (r"\u003c\u003C\u003cstack\u003c\u003c\u003c", "<<<stack<<<"),
            (r"Abort called\r\n", r"Abort called\r\n"),
            (r"C:\new\x1", r"C:\new\x1"),
            (r"User exception \(panic/abort/assert\)", "User exception (panic/abort/assert)"),
        ] {
            assert_eq!(without_backslashes(escaped.into()), plain);
        }
    }

    #[test]
    fn a_line_end_goes_however_it_is_shown() {
        for end in [
            "\u{240d}\u{240a}",
            "\u{240d}",
            "\u{21b5}",
            "^M",
            "^M^J",
            r"\r\n",
            r"\n",
            r"\x0d\x0a",
            r"\u000d\u000A",
            r"\015\012",
            "#015",
            "#015#012",
            "<CR><LF>",
            "[CR][LF]",
            "{cr}",
            "<CRLF>",
            "<0x0D><0x0A>",
            "[0D][0A]",
            "  #015 ",
            " |",
            " | |",
            " \\",
            "`",
            "\r",
            "**",
            " **  ",
            "**\\",
        ] {
            let line = format!("Exception (28):{end}");
            assert_eq!(without_end(&line), "Exception (28):", "{end}");
        }
        for whole in [
            "a <",
            "sum(1)",
            "x^2",
            "at C:new",
            "#15",
            "f00d]",
            "heap [free]",
            r"\u12",
            "* OOPS! ***",
        ] {
            assert_eq!(without_end(whole), whole);
        }
    }
}
