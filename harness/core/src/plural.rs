//! Numbers of things in English: `1 board`, `3 boards`.

use std::fmt::Display;

/// `n` of the noun, with its plural.
pub fn counted<N: Display + PartialEq + From<u8>>(n: N, noun: &str) -> String {
    let one = n == N::from(1);
    if one {
        return format!("{n} {noun}");
    }
    let ends = |ends: &[&str]| ends.iter().any(|end| noun.ends_with(end));
    match noun.strip_suffix('y') {
        Some(stem) if !ends(&["ay", "ey", "oy", "uy"]) => format!("{n} {stem}ies"),
        _ if ends(&["s", "x", "ch", "sh"]) => format!("{n} {noun}es"),
        _ => format!("{n} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_all_others_are_many() {
        assert_eq!(counted(0_u64, "board"), "0 boards");
        assert_eq!(counted(1_u32, "board"), "1 board");
        assert_eq!(counted(2_usize, "boot"), "2 boots");
        assert_eq!(counted(2_u64, "retry"), "2 retries");
        assert_eq!(counted(2_u64, "key"), "2 keys");
        assert_eq!(counted(3_u64, "crash"), "3 crashes");
    }
}
