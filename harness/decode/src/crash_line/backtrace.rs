//! `Backtrace:` lines: of ESP-IDF on one line, of Rust with an address on each of the next lines.

use super::CrashLine;
use crate::number;

/// Addresses of a `Backtrace:` line that are kept; ESP-IDF prints at most 100.
const MOST: usize = 128;

pub fn read(line: &str) -> Option<CrashLine> {
    let rest = line.strip_prefix("Backtrace:")?.trim();
    if rest.is_empty() {
        return Some(CrashLine::BacktraceBegins);
    }
    let mut addresses = Vec::new();
    let mut numbers = 0;
    for pair in rest.split_whitespace() {
        let Some(rest) = pair.strip_prefix("0x") else { continue };
        numbers += 1;
        let digits = number::run(rest.as_bytes());
        // An entry is `0x400d1234:0x3ffb1f60`. A chip without frame pointers prints the first half.
        let ends = matches!(rest.as_bytes().get(digits.len()), None | Some(b':' | b'|' | b','));
        let Some(pc) = number::whole(digits).filter(|_| ends && digits.len() == 8) else {
            continue;
        };
        if addresses.len() < MOST {
            addresses.push(pc);
        }
    }
    let end =
        ["CORRUPTED", "CONTINUES"].into_iter().find(|end| rest.contains(&format!("|<-{end}")));
    (numbers > 0).then_some(CrashLine::Backtrace { addresses, end })
}

/// The address on a line of a backtrace that has one to a line, as Rust's has; `Err` if it
/// is damaged. After it, tools write function and place.
pub fn entry(line: &str) -> Option<Result<u32, String>> {
    let line = line.trim();
    let digits = number::run(line.strip_prefix("0x")?.as_bytes());
    let rest = &line[2 + digits.len()..];
    if !rest.is_empty() && !rest.starts_with(" - ") && !rest.starts_with(':') {
        return None;
    }
    match number::whole(digits).filter(|_| digits.len() == 8) {
        Some(address) => Some(Ok(address)),
        None if digits.len() < 4 => None,
        None => Some(Err(number::shown(&line[..2 + digits.len()]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_an_address_and_what_is_damaged_is_none() {
        let line = "Backtrace: 0x400d0c4b:0x3ffb1f60 0x400d12340x3ffb1f60 0x400d1e8b:0x3ffb1f80 0x400d12  |<-CORRUPTED";
        let addresses = vec![0x400d_0c4b, 0x400d_1e8b];
        let end = Some("CORRUPTED");
        assert_eq!(read(line), Some(CrashLine::Backtrace { addresses, end }));
        assert_eq!(read("Backtrace: none"), None);
        assert_eq!(read("Backtrace:"), Some(CrashLine::BacktraceBegins));
        assert_eq!(entry("0x420035d7"), Some(Ok(0x4200_35d7)));
        assert_eq!(entry("0x420035d7 - main::foo"), Some(Ok(0x4200_35d7)));
        assert_eq!(entry("0x420035d"), Some(Err("0x420035d".into())));
        assert_eq!(
            (entry("0x12"), entry("0x420035d7 bytes"), entry("420035d7")),
            (None, None, None)
        );
    }
}
