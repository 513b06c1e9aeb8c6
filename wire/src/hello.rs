//! Parses ClientHello and ServerHello (RFC 5246, 7.4.1; RFC 8446, 4.1). The content is untrusted: only the first
//! few entries of each list are stored, and a truncated message is parsed as far as it goes.

use hilrig_core::certify::{Offered, Taken};
use hilrig_core::text::printable;

/// Maximum number of cipher suites stored. OpenSSL offers 30 by default.
const MOST_SUITES: usize = 256;

/// Maximum number of extensions stored. IANA has numbered about 65.
const MOST_EXTENSIONS: usize = 64;

/// Maximum number of ALPN protocols stored.
const MOST_PROTOCOLS: usize = 16;

/// The random value that marks a ServerHello as a HelloRetryRequest (RFC 8446, 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Numbers of the extensions parsed here, from IANA's registry.
mod extension {
    pub const SERVER_NAME: u16 = 0;
    pub const MAX_FRAGMENT_LENGTH: u16 = 1;
    pub const ALPN: u16 = 16;
    pub const EXTENDED_MASTER_SECRET: u16 = 23;
    pub const SESSION_TICKET: u16 = 35;
    pub const PRE_SHARED_KEY: u16 = 41;
    pub const SUPPORTED_VERSIONS: u16 = 43;
}

/// The bytes left to parse.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(length)?;
        self.0 = left;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A field with a one-byte length prefix, as much of it as is present.
    fn short(&mut self) -> Option<Bytes<'a>> {
        let length = self.u8()?.into();
        self.at_most(length)
    }

    /// The same with a two-byte length prefix.
    fn long(&mut self) -> Option<Bytes<'a>> {
        let length = self.u16()?.into();
        self.at_most(length)
    }

    fn at_most(&mut self, length: usize) -> Option<Bytes<'a>> {
        self.take(length.min(self.0.len())).map(Bytes)
    }

    /// Two-byte numbers, to the end.
    fn numbers(self) -> impl Iterator<Item = u16> + use<'a> {
        self.0.as_chunks().0.iter().map(|bytes| u16::from_be_bytes(*bytes))
    }
}

/// Parses the body of a ClientHello.
pub(crate) fn client(body: &[u8]) -> Offered {
    let mut offered = Offered::default();
    // `None` is a truncated message: the fields parsed so far are kept.
    let _ = read_client(Bytes(body), &mut offered);
    offered
}

fn read_client(mut body: Bytes, offered: &mut Offered) -> Option<()> {
    offered.version = body.u16()?;
    body.take(32)?;
    let session = body.short()?;
    offered.session_id = !session.0.is_empty();
    offered.suites = body.long()?.numbers().take(MOST_SUITES).collect();
    body.short()?; // compression
    let mut extensions = body.long()?;
    loop {
        let (kind, mut content) = next_extension(&mut extensions, &mut offered.extensions)?;
        match kind {
            extension::SERVER_NAME => {
                let mut names = content.long()?;
                // 0 is a host name, the only kind defined (RFC 6066, 3).
                if names.u8() == Some(0) {
                    offered.server_name = names.long().map(|name| name_of(&name));
                }
            }
            extension::MAX_FRAGMENT_LENGTH => offered.max_fragment = fragment(&mut content),
            extension::ALPN => {
                let mut protocols = content.long()?;
                while offered.alpn.len() < MOST_PROTOCOLS
                    && let Some(protocol) = protocols.short()
                {
                    offered.alpn.push(printable(protocol.0));
                }
            }
            extension::EXTENDED_MASTER_SECRET => offered.extended_master_secret = true,
            extension::SESSION_TICKET => offered.ticket = true,
            extension::SUPPORTED_VERSIONS => {
                let versions = content.short()?.numbers().filter(|version| !is_grease(*version));
                offered.version = versions.max().unwrap_or(offered.version);
                // A TLS 1.3 client sends a session id even without a session (RFC 8446, D.4).
                offered.session_id &= offered.version < 0x0304;
            }
            _ => {}
        }
    }
}

/// The kind of a ServerHello.
pub(crate) enum Server {
    /// A normal ServerHello.
    Takes(Taken),
    /// A HelloRetryRequest.
    AsksAgain,
}

/// Parses the body of a ServerHello. Also returns whether it resumes a session with a TLS 1.3 pre-shared key.
pub(crate) fn server(body: &[u8]) -> (Server, bool) {
    if body.get(2..34) == Some(&RETRY) {
        return (Server::AsksAgain, false);
    }
    let mut taken = Taken::default();
    let _ = read_server(Bytes(body), &mut taken);
    let resumed = taken.extensions.contains(&extension::PRE_SHARED_KEY);
    (Server::Takes(taken), resumed)
}

fn read_server(mut body: Bytes, taken: &mut Taken) -> Option<()> {
    taken.version = body.u16()?;
    body.take(32)?;
    let session = body.short()?;
    taken.session_id = !session.0.is_empty();
    taken.suite = body.u16()?;
    body.u8()?; // compression
    let mut extensions = body.long()?;
    loop {
        let (kind, mut content) = next_extension(&mut extensions, &mut taken.extensions)?;
        match kind {
            extension::SERVER_NAME => taken.server_name = true,
            extension::MAX_FRAGMENT_LENGTH => taken.max_fragment = fragment(&mut content),
            extension::ALPN => {
                taken.alpn = content.long()?.short().map(|protocol| printable(protocol.0));
            }
            extension::EXTENDED_MASTER_SECRET => taken.extended_master_secret = true,
            extension::SESSION_TICKET => taken.ticket = true,
            extension::SUPPORTED_VERSIONS => {
                taken.version = content.u16()?;
                // TLS 1.3 echoes the client's session id (RFC 8446, 4.1.3).
                taken.session_id &= taken.version < 0x0304;
            }
            _ => {}
        }
    }
}

/// The next extension; records its number.
fn next_extension<'a>(
    extensions: &mut Bytes<'a>,
    numbers: &mut Vec<u16>,
) -> Option<(u16, Bytes<'a>)> {
    let kind = extensions.u16()?;
    if numbers.len() == MOST_EXTENSIONS {
        return None;
    }
    numbers.push(kind);
    Some((kind, extensions.long()?))
}

/// The MFLN codes (RFC 6066, 4).
fn fragment(content: &mut Bytes) -> Option<u16> {
    match content.u8()? {
        code @ 1..=4 => Some(256 << code),
        _ => None,
    }
}

/// Maximum length stored: a DNS name has at most 255 bytes.
fn name_of(name: &Bytes) -> String {
    printable(&name.0[..name.0.len().min(255)])
}

/// Whether this is a GREASE value: reserved numbers that make servers ignore unknown values (RFC 8701).
fn is_grease(number: u16) -> bool {
    let [high, low] = number.to_be_bytes();
    high == low && high & 0x0f == 0x0a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hello_that_ends_early_is_read_as_far_as_it_goes() {
        let mut body = vec![3, 3];
        body.extend([0; 32]);
        body.extend([0, 0, 4, 0xc0, 0x2f, 0xc0]);
        let offered = client(&body);
        assert_eq!((offered.version, offered.suites.as_slice()), (0x0303, &[0xc02f][..]));
        assert_eq!(client(&[3]), Offered::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_in_bounds(bytes: Vec<u8>) {
            let offered = client(&bytes);
            prop_assert!(offered.suites.len() <= MOST_SUITES);
            prop_assert!(offered.extensions.len() <= MOST_EXTENSIONS);
            server(&bytes);
        }
    }
}
