//! A ClientHello, as the rig asks with one (RFC 5246, 7.4.1.2; RFC 6066, 4).

/// Number of the extension max_fragment_length.
const MAX_FRAGMENT_LENGTH: u16 = 1;

/// A record with a ClientHello of TLS 1.2.
pub(super) fn client_hello(
    random: [u8; 32],
    suites: impl IntoIterator<Item = u16>,
    extensions: &[u8],
) -> Vec<u8> {
    let suites: Vec<u8> = suites.into_iter().flat_map(u16::to_be_bytes).collect();
    let mut hello = vec![3, 3];
    hello.extend(random);
    hello.push(0);
    hello.extend(sized(&suites));
    // No compression.
    hello.extend([1, 0]);
    hello.extend(sized(extensions));
    // The third byte of the length is there for longer ones.
    let mut message = vec![1, 0];
    message.extend(sized(&hello));
    let mut record = vec![22, 3, 3];
    record.extend(sized(&message));
    record
}

/// An extension: its number, its length, and its contents.
pub(super) fn extension(number: u16, content: &[u8]) -> Vec<u8> {
    let mut extension = number.to_be_bytes().to_vec();
    extension.extend(sized(content));
    extension
}

/// The bytes after their length, which has two bytes. All here are far shorter than 64 KiB.
pub(super) fn sized(bytes: &[u8]) -> Vec<u8> {
    let mut sized = (bytes.len() as u16).to_be_bytes().to_vec();
    sized.extend(bytes);
    sized
}

/// max_fragment_length that asks for records of at most `bytes`: 512, 1024, 2048 or 4096.
pub(super) fn max_fragment_length(bytes: u16) -> Vec<u8> {
    extension(MAX_FRAGMENT_LENGTH, &[(bytes.max(512).ilog2() - 8) as u8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hello_is_as_a_small_client_sent_it() {
        // As in esp8266/Arduino#5996.
        let random = *b"\x01\x02\x03\x04\x05\x06\x07\x08\x11\x12\x13\x14\x15\x16\x17\x18\
                        \x01\x02\x03\x04\x05\x06\x07\x08\x11\x12\x13\x14\x15\x16\x17\x18";
        let hello = client_hello(random, [0xcca8], &max_fragment_length(1024));
        assert_eq!(hello[..11], [0x16, 3, 3, 0, 0x34, 1, 0, 0, 0x30, 3, 3]);
        assert_eq!(
            hello[43..],
            [0, 0, 2, 0xcc, 0xa8, 1, 0, 0, 5, 0, 1, 0, 1, 2],
            "session id, suites, compression, extensions"
        );
    }
}
