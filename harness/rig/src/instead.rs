//! What a board sent instead of the expected line, for messages.

/// Whether the ROM reports that the image fails its checksum or has no header. The ESP8266's ROM aborts in
/// `ets_main.c`.
pub fn no_whole_image(bytes: &[u8]) -> bool {
    const SAYS: [&[u8]; 3] = [b"csum err", b"ets_main.c ", b"invalid header: 0x"];
    SAYS.iter().any(|says| memchr::memmem::find(bytes, says).is_some())
}

/// Whether so many bytes are not text that the baud rate may be wrong. With a wrong rate about half of the bytes are
/// still printable; text has no other bytes. The ROM's output is left out, because it has a rate of its own.
pub fn is_no_text(bytes: &[u8]) -> bool {
    const ROM_ENDS: &[u8] = b"~ld";
    let bytes = match memchr::memmem::rfind(bytes, ROM_ENDS) {
        Some(at) => &bytes[at + ROM_ENDS.len()..],
        None => bytes,
    };
    let text = String::from_utf8_lossy(bytes);
    let odd = |c: &char| {
        *c == char::REPLACEMENT_CHARACTER
            || (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x1b'))
    };
    4 * text.chars().filter(odd).count() > text.chars().count()
}

/// The start of a line, cut to a maximum length.
pub fn shortened(line: &str) -> String {
    match line.char_indices().nth(120) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_at_another_rate_is_no_text() {
        assert!(!is_no_text(b""));
        assert!(!is_no_text("\x1b[32mI (312) größe: 温度 25 °C\x1b[0m\r\n".as_bytes()));
        assert!(is_no_text(b"csum 0x5e\r\n~ld\r\n\x98\x88\x90\xfa\x98H\xfc\x90\xfd"));
        assert!(is_no_text(b"\x80\xff\x00x\xf0\x1el\x9c\x03\xc0?\xe3"));
    }
}
