//! Lines of a log that was saved as UTF-16, as Windows saves what a program prints.
//!
//! Each line is judged by its own bytes: a log may be UTF-16 in part only, where one program began
//! it and another went on, and two bytes of noise on a serial line may look like a byte order mark.

use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

/// What is known of the encoding by the lines so far.
#[derive(Debug, Default)]
pub struct Encoding {
    order: Option<Order>,
}

impl Encoding {
    /// `line`, which was cut off at a byte 0x0A or 0x0D, in UTF-8. Lines in another encoding are
    /// handed back as they are.
    pub fn utf8<'a>(&mut self, line: &'a [u8]) -> Cow<'a, [u8]> {
        // The second half of the line end before it, if it is the little end that comes first.
        let (mut line, half) = match line {
            [0, rest @ ..] => (rest, true),
            line => (line, false),
        };
        let mark = match line {
            [0xff, 0xfe, ..] => Some(Order::Little),
            [0xfe, 0xff, ..] => Some(Order::Big),
            _ => None,
        };
        if let Some(order) = mark
            && (line.len() == 2 || is_utf16(&line[2..]))
        {
            self.order = Some(order);
            line = &line[2..];
        } else if !is_utf16(line) {
            return Cow::Borrowed(line);
        }
        let first_is_zero = line.first() == Some(&0);
        let order = *self.order.get_or_insert(match half || first_is_zero {
            true => Order::Big,
            false => Order::Little,
        });
        let text = match order {
            // The zero that was taken off is the first half of a character.
            Order::Big if half => units([0].iter().chain(line), u16::from_be_bytes),
            Order::Big => units(line.iter(), u16::from_be_bytes),
            Order::Little => units(line.iter(), u16::from_le_bytes),
        };
        Cow::Owned(text.into_bytes())
    }
}

/// Whether nearly every second byte is a zero, as in UTF-16 of text that is mostly ASCII.
fn is_utf16(line: &[u8]) -> bool {
    let zeros = memchr::memchr_iter(0, line).count();
    line.len() >= 3 && zeros * 3 >= line.len()
}

fn units<'a>(bytes: impl Iterator<Item = &'a u8>, unit: fn([u8; 2]) -> u16) -> String {
    let mut bytes = bytes.copied();
    let units = std::iter::from_fn(|| Some(unit([bytes.next()?, bytes.next()?])));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the decoder cuts it: at 0x0A and 0x0D.
    fn read(log: &[u8]) -> String {
        let mut encoding = Encoding::default();
        let lines = log.split(|byte| matches!(byte, b'\n' | b'\r'));
        let text = |line| String::from_utf8_lossy(&encoding.utf8(line)).into_owned();
        let lines: Vec<String> = lines.map(text).map(|line| line.replace('\0', "")).collect();
        lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn both_byte_orders_with_and_without_their_mark() {
        let text = "Exception (29):\nb\u{142}\u{105}d \u{2192} 5 \u{b0}C, all of it\nlast";
        for mark in ["", "\u{feff}"] {
            for end in ["\n", "\r\n", "\r"] {
                let log = format!("{mark}{}", text.replace('\n', end));
                let little: Vec<u8> = log.encode_utf16().flat_map(u16::to_le_bytes).collect();
                let big: Vec<u8> = log.encode_utf16().flat_map(u16::to_be_bytes).collect();
                assert_eq!(read(&little), text, "little, {mark:?} {end:?}");
                assert_eq!(read(&big), text, "big, {mark:?} {end:?}");
            }
        }
    }

    #[test]
    fn what_is_no_utf16_stays_as_it_is() {
        let mut log: Vec<u8> =
            "\u{feff}one\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        log.extend(b"two \xe2\x86\x92\r\n");
        log.extend("three\r\n".encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(read(&log), "one\ntwo \u{2192}\nthree");
        let noise = b"\xff\xfe Exception (29):";
        assert_eq!(Encoding::default().utf8(noise), Cow::Borrowed(&noise[..]));
        assert_eq!(Encoding::default().utf8(b"\0"), Cow::Borrowed(&b""[..]));
    }
}
