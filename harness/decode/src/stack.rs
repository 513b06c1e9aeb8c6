//! Rows of the ESP8266's stack dump.

use std::ops::Range;

/// The ESP8266's memory that holds code: RAM for instructions, and the mapped flash.
const CODE: [Range<u32>; 2] = [0x4010_0000..0x4010_8000, 0x4020_0000..0x4030_0000];

/// Digits of a word.
const DIGITS: usize = 8;

/// Words of a row, and what stands at its end without being whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub words: Vec<u32>,
    pub half: String,
}

/// Whether a word may be the address of code.
pub fn may_be_code(word: u32) -> bool {
    CODE.iter().any(|range| range.contains(&word))
}

/// If `text` is the head of a stack (`ctx: cont`, `sp: 3ffffdd0 end: ... offset: ...`), what stands
/// behind it: rows, where a page took the line ends out.
pub fn head(text: &str) -> Option<&str> {
    let mut text = text.trim();
    let context = text.strip_prefix("ctx: ").and_then(|rest| {
        ["cont", "sys", "bearssl"].iter().find_map(|name| rest.strip_prefix(name))
    });
    if let Some(rest) = context {
        text = rest.trim_start();
    }
    match text.strip_prefix("sp: ").and_then(|rest| rest.split_once(" offset: ")) {
        Some((_, rest)) => Some(rest.split_once(' ').map_or("", |(_, rows)| rows)),
        None => context.map(|_| text),
    }
}

/// The words of a row, or of what a page made of one by breaking it: anywhere, even in the middle
/// of a word, whose first half is `half`. Something else is none.
pub fn row(half: &str, text: &str) -> Option<Row> {
    let mut tokens = text.split_whitespace().peekable();
    tokens.peek()?;
    let mut row = Row { words: Vec::new(), half: String::new() };
    let mut half = half;
    while let Some(token) = tokens.next() {
        let digits = token.strip_suffix(':').unwrap_or(token);
        if token == "<" {
            half = "";
            continue;
        }
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            // Other output got into the row; without a single word of its own it is no row.
            half = "";
            if row.words.is_empty() && digits.len() != DIGITS {
                return None;
            }
            continue;
        }
        let joined = match half.len() + digits.len() == DIGITS && !half.is_empty() {
            true => format!("{half}{digits}"),
            false => digits.to_owned(),
        };
        half = "";
        if joined.len() == DIGITS {
            // A row's own address is no word of the stack.
            if token.len() == digits.len() {
                row.words.extend(u32::from_str_radix(&joined, 16));
            }
        } else if tokens.peek().is_none() && joined.len() < DIGITS {
            row.half = joined;
        } else {
            return (!row.words.is_empty()).then_some(row);
        }
    }
    Some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(half: &str, text: &str) -> Option<(Vec<u32>, String)> {
        row(half, text).map(|row| (row.words, row.half))
    }

    #[test]
    fn a_row_is_read_and_its_address_is_none_of_its_words() {
        let text = "3fffff60:  3ffee5f8 00000010 3ffee5c0 40201f20  <";
        let all = vec![0x3ffe_e5f8, 0x10, 0x3ffe_e5c0, 0x4020_1f20];
        assert_eq!(words("", text), Some((all, String::new())));
        assert!(may_be_code(0x4020_1f20) && !may_be_code(0x3ffe_e5f8));
    }

    #[test]
    fn a_row_that_was_broken_is_put_together() {
        let (first, half) = words("", "3fffff60:  3ffee5f8 00000010 3ffee5c0 402").unwrap();
        assert_eq!((first.len(), half.as_str()), (3, "402"));
        assert_eq!(words(&half, "01f20  "), Some((vec![0x4020_1f20], String::new())));
        // Between two words.
        assert_eq!(words("", "40201f20 00000010"), Some((vec![0x4020_1f20, 0x10], String::new())));
        // In the middle of the row's address.
        assert_eq!(words("3fff", "ff60:  40201f20"), Some((vec![0x4020_1f20], String::new())));
        // What does not fit is dropped, not joined.
        assert_eq!(words("4020", "40201f20"), Some((vec![0x4020_1f20], String::new())));
    }

    #[test]
    fn other_output_is_no_row() {
        for text in ["", "free heap", "dead beef cafe", "Heap: 40201f20", "feed me"] {
            assert_eq!(words("", text), None, "{text}");
        }
        let mixed = "3fffff60:  40201f20 00000010 Wi-Fi lost";
        assert_eq!(words("", mixed), Some((vec![0x4020_1f20, 0x10], String::new())));
    }

    #[test]
    fn the_head_is_told_from_other_text() {
        assert_eq!(head("ctx: cont "), Some(""));
        assert_eq!(head("sp: 3ffffdd0 end: 3fffffc0 offset: 0190"), Some(""));
        assert_eq!(
            head("ctx: sys sp: 3ffffdd0 end: 3fffffc0 offset: 0190 3ffffdd0: "),
            Some("3ffffdd0:")
        );
        assert!(head("ctx: 5").is_none() && head("sp: none").is_none());
    }
}
