//! Rows of a stack dump: of the ESP8266, of RISC-V chips, of a Cortex-M.

use std::ops::Range;

use crate::number;

/// The ESP8266's memory that holds code: RAM for instructions, and the mapped flash.
const ESP8266: [Range<u32>; 2] = [0x4010_0000..0x4010_8000, 0x4020_0000..0x4030_0000];

/// That of the ESP32's RISC-V chips: RAM for instructions of the C3 and of the C6 and H2, flash.
const RISCV: [Range<u32>; 3] =
    [0x4037_0000..0x403e_0000, 0x4080_0000..0x4081_0000, 0x4200_0000..0x4400_0000];

/// Where a Cortex-M's flash is, usually: at 0 after the vectors, ST's, the RP2040's.
const CORTEX: [Range<u32>; 3] =
    [0x0000_0100..0x0010_0000, 0x0800_0000..0x0820_0000, 0x1000_0000..0x1100_0000];

/// Digits of a word.
const DIGITS: usize = 8;

/// What a stack is filled with before it is used: the Arduino core's, FreeRTOS's.
const PAINT: [u32; 2] = [0xfeef_effe, 0xa5a5_a5a5];

/// Words of a row, and what is at its end without being whole.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StackRow {
    /// The row's own address.
    pub address: Option<u32>,
    pub words: Vec<u32>,
    pub half: String,
    /// The half word in front of it is part of it.
    pub joined: bool,
    /// Numbers that are damaged.
    pub damaged: Vec<String>,
}

/// What kind of chip a stack is of, by the addresses of its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StackChip {
    #[default]
    Esp8266,
    Riscv,
    Cortex,
}

impl StackChip {
    /// By the address of a row, if that is where such a chip has its stack.
    pub fn of(row: u32) -> Option<StackChip> {
        match row {
            0x3ff0_0000..0x4000_0000 => Some(StackChip::Esp8266),
            0x3fc0_0000..0x3ff0_0000 | 0x4080_0000..0x4090_0000 | 0x4ff0_0000..0x5000_0000 => {
                Some(StackChip::Riscv)
            }
            0x2000_0000..0x2020_0000 => Some(StackChip::Cortex),
            _ => None,
        }
    }

    /// Whether a word may be the address of code.
    pub fn may_be_code(self, word: u32) -> bool {
        let ranges: &[Range<u32>] = match self {
            StackChip::Esp8266 => &ESP8266,
            StackChip::Riscv => &RISCV,
            // A call leaves a mark in the lowest bit.
            StackChip::Cortex if word & 1 == 0 => &[],
            StackChip::Cortex => &CORTEX,
        };
        ranges.iter().any(|range| range.contains(&word))
    }
}

impl StackRow {
    /// Whether this is a whole row with its address, as nothing but a dump has.
    pub fn is_whole(&self) -> bool {
        let words = self.words.len() + self.damaged.len();
        self.address.is_some_and(|at| at % 16 == 0)
            && matches!(words, 4 | 8)
            && !self.words.is_empty()
    }

    /// Bytes of a whole row.
    pub fn bytes(&self) -> u32 {
        if self.words.len() + self.damaged.len() > 4 { 32 } else { 16 }
    }
}

/// Whether a word is what a stack is filled with before it is used.
pub fn is_paint(word: u32) -> bool {
    PAINT.contains(&word)
}

/// If `text` is the head of a stack (`ctx: cont`, `sp: 3ffffdd0 end: ... offset: ...`), what
/// follows it: rows, where a page took the line ends out.
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

/// Whether `text` is the line with the bounds of a stack, which only a dump has.
pub fn bounds(text: &str) -> bool {
    let Some(rest) = text.trim().strip_prefix("sp: ") else { return false };
    let words: Vec<&str> = rest.split_whitespace().collect();
    let hex = |word: &&str| word.len() == DIGITS && word.bytes().all(|b| b.is_ascii_hexdigit());
    matches!(&words[..], [sp, "end:", end, "offset:", _, ..] if hex(sp) && hex(end))
}

/// The words of a row, or of what a page made of one by breaking it: anywhere, even in the middle
/// of a word, whose first half is `half`. Something else is none.
pub fn row(half: &str, text: &str) -> Option<StackRow> {
    let mut tokens = text.split_whitespace().peekable();
    tokens.peek()?;
    let mut row = StackRow::default();
    let mut half = half;
    while let Some(token) = tokens.next() {
        let bare = token.strip_prefix("0x").unwrap_or(token);
        let digits = bare.strip_suffix(':').unwrap_or(bare);
        if token == "<" {
            half = "";
            continue;
        }
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            // Other output got into the row; without a single word of its own it is no row.
            half = "";
            if row.address.is_some() && is_near_word(digits) {
                row.damaged.push(number::shown(token));
            } else if row.words.is_empty() && digits.len() != DIGITS {
                return None;
            }
            continue;
        }
        let joins = half.len() + digits.len() == DIGITS && !half.is_empty();
        row.joined |= joins;
        let joined = if joins { format!("{half}{digits}") } else { digits.to_owned() };
        half = "";
        if joined.len() == DIGITS {
            let value = u32::from_str_radix(&joined, 16).ok()?;
            // A row's own address is no word of the stack.
            match bare.len() == digits.len() {
                true => row.words.push(value),
                false => row.address = row.address.or(Some(value)),
            }
        } else if tokens.peek().is_none() && joined.len() < DIGITS {
            row.half = joined;
        } else if row.address.is_some() {
            row.damaged.push(number::shown(token));
        } else {
            return (!row.words.is_empty()).then_some(row);
        }
    }
    let holds = row.address.is_some()
        || !(row.words.is_empty() && row.half.is_empty() && row.damaged.is_empty());
    holds.then_some(row)
}

/// Whether `digits` are a word that lost or changed a digit, rather than other output.
fn is_near_word(digits: &str) -> bool {
    let all = digits.chars().count();
    let hex = digits.chars().filter(char::is_ascii_hexdigit).count();
    (DIGITS - 1..=DIGITS + 1).contains(&all)
        && all - hex <= 2
        && digits.bytes().any(|b| b.is_ascii_digit())
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
        assert_eq!(words("", text), Some((all.clone(), String::new())));
        assert_eq!(row("", text).unwrap().address, Some(0x3fff_ff60));
        assert!(row("", text).unwrap().is_whole());
        let text = "0x3fffff60: 0x3ffee5f8 0x00000010 0x3ffee5c0 0x40201f20";
        assert_eq!(words("", text), Some((all, String::new())));
        let text =
            "4081b8a0: 0xa5a5a5a5 0x00000000 0x420052b8 0x00005290 0x0 0x4081ebe6 0x420077a2";
        assert_eq!(row("", text).unwrap().damaged, ["0x0"]);
    }

    #[test]
    fn code_is_recognised_by_the_chip() {
        let code = |row, word| StackChip::of(row).unwrap().may_be_code(word);
        assert!(code(0x3fff_ff60, 0x4020_1f20) && !code(0x3fff_ff60, 0x3ffe_e5f8));
        assert!(code(0x4081_b8a0, 0x4200_52b8) && code(0x3fc9_0000, 0x4038_e151));
        assert!(!code(0x4081_b8a0, 0x4081_ebe6));
        assert!(code(0x2000_ff00, 0x4e8b) && !code(0x2000_ff00, 0x4e8a));
        assert_eq!(StackChip::of(0x1234_5670), None);
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
        assert!(!row("4020", "40201f20").unwrap().joined && row("402", "01f20").unwrap().joined);
    }

    #[test]
    fn damaged_words_are_no_words() {
        for (damaged, text) in [
            ("4020ff4", "3fffff90:  3fff2450 4020ff4 3ffefe60 4020115d"),
            ("4020ff4f1", "3fffff90:  3fff2450 4020ff4f1 3ffefe60 4020115d"),
            ("4020fg4f", "3fffff90:  3fff2450 4020fg4f 3ffefe60 4020115d"),
            ("4020ff4f3ffefe60", "3fffff90:  3fff2450 4020ff4f3ffefe60 00000000 4020115d"),
        ] {
            let row = row("", text).unwrap();
            assert_eq!(
                (&row.damaged[..], row.words.len()),
                (&[damaged.to_owned()][..], 3),
                "{text}"
            );
            assert!(row.is_whole());
        }
    }

    #[test]
    fn other_output_is_no_row() {
        for text in ["", "free heap", "dead beef cafe", "Heap: 40201f20", "feed me", "follows."] {
            assert_eq!(words("", text), None, "{text}");
        }
        let mixed = "3fffff60:  40201f20 00000010 Wi-Fi lost";
        assert_eq!(words("", mixed), Some((vec![0x4020_1f20, 0x10], String::new())));
        assert_eq!(row("", mixed).unwrap().damaged, [] as [&str; 0]);
    }

    #[test]
    fn the_head_is_distinguished_from_other_text() {
        assert_eq!(head("ctx: cont "), Some(""));
        assert_eq!(head("sp: 3ffffdd0 end: 3fffffc0 offset: 0190"), Some(""));
        assert_eq!(
            head("ctx: sys sp: 3ffffdd0 end: 3fffffc0 offset: 0190 3ffffdd0: "),
            Some("3ffffdd0:")
        );
        assert!(head("ctx: 5").is_none() && head("sp: none").is_none());
        assert!(bounds("sp: 3ffffdd0 end: 3fffffc0 offset: 0190") && !bounds("sp: 1 end: 2"));
    }
}
