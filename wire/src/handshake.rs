//! Parses plaintext handshake messages (RFC 5246, 7.4) from record content. Records may split them anywhere.

/// Maximum length stored of one message, bytes. A hello with post-quantum key shares has about 2 KiB. Of
/// certificates only the lengths are stored.
const MOST_HELD: usize = 16 * 1024;

/// Maximum number of certificates per side whose lengths are stored.
const MOST_CERTIFICATES: usize = 32;

/// Message types, from IANA's registry.
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const CERTIFICATE_REQUEST: u8 = 13;
const SERVER_HELLO_DONE: u8 = 14;
const CLIENT_KEY_EXCHANGE: u8 = 16;

/// A complete message.
#[derive(Debug)]
pub(crate) enum Message {
    /// Its body.
    ClientHello(Vec<u8>),
    /// Its body.
    ServerHello(Vec<u8>),
    /// The length of each certificate.
    Certificate(Vec<u32>),
    CertificateRequest,
    ServerHelloDone,
    ClientKeyExchange,
    /// A message whose body is not needed.
    Other,
}

/// Parser state between two pieces.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// Type, and length in three bytes.
    header: [u8; 4],
    /// Bytes of the header received.
    have: usize,
    /// Bytes of the body still to come.
    left: usize,
    body: Vec<u8>,
    certificates: Lengths,
}

impl Messages {
    /// Consumes bytes up to the end of a message and returns how many.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> (usize, Option<Message>) {
        let head = bytes.len().min(4 - self.have);
        self.header[self.have..self.have + head].copy_from_slice(&bytes[..head]);
        self.have += head;
        if self.have < 4 {
            return (head, None);
        }
        let [kind, length @ ..] = self.header;
        if head > 0 {
            self.left = u24(length);
        }
        let part = &bytes[head..][..self.left.min(bytes.len() - head)];
        self.left -= part.len();
        match kind {
            CLIENT_HELLO | SERVER_HELLO => {
                let room = MOST_HELD - self.body.len();
                self.body.extend_from_slice(&part[..part.len().min(room)]);
            }
            CERTIFICATE => self.certificates.feed(part),
            _ => {}
        }
        let message = (self.left == 0).then(|| {
            self.have = 0;
            let body = std::mem::take(&mut self.body);
            let certificates = std::mem::take(&mut self.certificates);
            match kind {
                CLIENT_HELLO => Message::ClientHello(body),
                SERVER_HELLO => Message::ServerHello(body),
                CERTIFICATE => Message::Certificate(certificates.found),
                CERTIFICATE_REQUEST => Message::CertificateRequest,
                SERVER_HELLO_DONE => Message::ServerHelloDone,
                CLIENT_KEY_EXCHANGE => Message::ClientKeyExchange,
                _ => Message::Other,
            }
        });
        (head + part.len(), message)
    }
}

/// Parses a certificate list (RFC 5246, 7.4.2): the length of the list, then each certificate after its length.
#[derive(Debug, Default)]
struct Lengths {
    found: Vec<u32>,
    /// The length of the list has been consumed.
    in_list: bool,
    length: [u8; 3],
    /// Bytes of `length` received.
    have: usize,
    /// Bytes of this certificate still to come.
    left: usize,
}

impl Lengths {
    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = &bytes[skipped..];
            let [first, rest @ ..] = bytes else { return };
            self.length[self.have] = *first;
            bytes = rest;
            self.have += 1;
            if self.have == 3 {
                self.have = 0;
                if std::mem::replace(&mut self.in_list, true) {
                    self.left = u24(self.length);
                    if self.found.len() < MOST_CERTIFICATES {
                        self.found.push(self.left as u32);
                    }
                }
            }
        }
    }
}

fn u24([a, b, c]: [u8; 3]) -> usize {
    u32::from_be_bytes([0, a, b, c]) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_measured_byte_by_byte() {
        let list = [0, 0, 13, 0, 0, 4, 9, 9, 9, 9, 0, 0, 3, 9, 9, 9];
        let message = [&[CERTIFICATE, 0, 0, list.len() as u8][..], &list, &[14, 0, 0, 0]].concat();
        let mut messages = Messages::default();
        let mut found = Vec::new();
        for byte in &message {
            let (used, message) = messages.feed(std::slice::from_ref(byte));
            assert_eq!(used, 1);
            found.extend(message);
        }
        let [Message::Certificate(lengths), Message::ServerHelloDone] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(lengths, &[4, 3]);
    }

    #[test]
    fn of_a_message_of_16_mib_no_more_than_a_hello_is_held() {
        let mut messages = Messages::default();
        assert!(messages.feed(&[CLIENT_HELLO, 0xff, 0xff, 0xff]).1.is_none());
        let piece = [7; 65_535];
        for _ in 0..256 {
            assert!(messages.feed(&piece).1.is_none());
            assert!(messages.body.len() <= MOST_HELD);
        }
        let (used, message) = messages.feed(&piece);
        assert_eq!(used, 0xff_ffff - 256 * 65_535);
        assert!(matches!(message, Some(Message::ClientHello(body)) if body.len() == MOST_HELD));
    }
}
