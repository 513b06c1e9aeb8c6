//! Hexadecimal numbers of a dump, and what damage does to them.
//!
//! A byte that is lost on the line leaves seven digits or glues two numbers together. What remains
//! looks like an address and is none, so it is reported as damaged.

use hilrig_core::text;

/// Digits of a 32-bit number.
const DIGITS: usize = 8;
/// A short number may be printed without its zeros: an offset from NULL, a cause. An address of
/// code has more digits.
const SHORT: usize = 3;
/// Damaged numbers of a line that are reported.
const MOST: usize = 8;
/// The longest text of a damaged number, characters.
const MOST_TEXT: usize = 48;

/// The number in `digits`, which is without its `0x`: eight digits, or few enough to be a small
/// number.
pub fn whole(digits: &[u8]) -> Option<u32> {
    match digits.len() {
        DIGITS | 1..=SHORT => unpadded(digits),
        _ => None,
    }
}

/// The number in `digits` where the board prints no zeros in front.
pub fn unpadded(digits: &[u8]) -> Option<u32> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    // Sixteen digits of a 64-bit register whose upper half is empty.
    let digits = match digits.len() {
        n if n == 2 * DIGITS && digits[..DIGITS].iter().all(|b| *b == b'0') => &digits[DIGITS..],
        _ => digits,
    };
    if !all || digits.len() > DIGITS {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The same of a register, which may have 64 bits.
pub fn register(digits: &[u8]) -> Option<u64> {
    let all = digits.iter().all(u8::is_ascii_hexdigit);
    match digits.len() {
        n if all && n == 2 * DIGITS => {
            u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        }
        _ => whole(digits).map(u64::from),
    }
}

/// The letters and digits at the beginning of `bytes`: what should be one number.
pub fn run(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(bytes.len());
    &bytes[..end]
}

/// What is damaged of the numbers with `0x` in `line`, each with the name in front of it.
pub fn damaged(line: &str) -> Vec<String> {
    let bytes = line.as_bytes();
    let mut found = Vec::new();
    let (mut from, mut last) = (0, 0);
    while let Some(at) = memchr::memmem::find(&bytes[from..], b"0x").map(|at| at + from) {
        let digits = run(&bytes[at + 2..]);
        let end = at + 2 + digits.len();
        if register(digits).is_none() && found.len() < MOST {
            // An entry of a backtrace is two numbers.
            let pair = from > 0 && &bytes[from..at] == b":";
            let start = if pair { last } else { name(bytes, from, at) };
            found.push(shown(&line[start..end]));
        }
        (from, last) = (end, at);
    }
    found
}

/// Damaged text as it is reported.
pub fn shown(text: &str) -> String {
    text::printable(text.as_bytes()).chars().take(MOST_TEXT).collect()
}

/// Where the name of the number at `at` begins, as in `epc1=0x` or `EXCVADDR: 0x`; not before `from`.
fn name(bytes: &[u8], from: usize, at: usize) -> usize {
    let before = bytes[from..at].trim_ascii_end();
    let Some(before) = before.strip_suffix(b"=").or_else(|| before.strip_suffix(b":")) else {
        return at;
    };
    let before = before.trim_ascii_end();
    let named = |b: &u8| b.is_ascii_alphanumeric() || *b == b'/';
    let start = before.iter().rposition(|b| !named(b)).map_or(0, |at| at + 1);
    if start == before.len() { at } else { from + start }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_lost_or_won_a_digit_is_damaged() {
        assert_eq!(whole(b"40203a1d"), Some(0x4020_3a1d));
        assert_eq!((whole(b"0"), whole(b"1c"), whole(b"010")), (Some(0), Some(0x1c), Some(0x10)));
        for digits in ["", "4020", "4020123", "402012345", "4o203a1d", "400d12340x3ffb1f60"] {
            assert_eq!(whole(digits.as_bytes()), None, "{digits}");
        }
        assert_eq!(unpadded(b"4822"), Some(0x4822));
        assert_eq!(
            (unpadded(b"0000000080001880"), unpadded(b"0000000180001880")),
            (Some(0x8000_1880), None)
        );
    }

    #[test]
    fn a_damaged_number_is_reported_with_its_name() {
        let line = "epc1=0x4020123 epc2=0x00000000 excvaddr=0x0000g010 depc=0x0";
        assert_eq!(damaged(line), ["epc1=0x4020123", "excvaddr=0x0000g010"]);
        let line = "Backtrace: 0x400d12340x3ffb1f60 0x400d1e8b:0x3ffb1f8";
        assert_eq!(damaged(line), ["Backtrace: 0x400d12340x3ffb1f60", "0x400d1e8b:0x3ffb1f8"]);
        assert_eq!(damaged("EXCCAUSE: 0x0000001c  EXCVADDR: 0x"), ["EXCVADDR: 0x"]);
        assert_eq!(damaged("PC 0x40"), [] as [&str; 0]);
    }

    proptest! {
        #[test]
        fn any_text_is_searched_and_little_of_it_kept(text: String, ours in "(0x[0-9a-z:= ]{0,20}){0,20}") {
            for line in [text, ours] {
                let found = damaged(&line);
                prop_assert!(found.len() <= MOST);
                prop_assert!(found.iter().all(|text| text.chars().count() <= MOST_TEXT));
            }
        }
    }
}
