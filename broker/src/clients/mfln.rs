//! Asks a broker whether it supports MFLN (RFC 6066, 4), in two ways: a device whose ClientHello offers too little
//! gets a negative answer from a broker that supports it, and allocates a buffer of 16 KiB for nothing
//! (esp8266/Arduino#5996).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hilrig_core::certify::{Side, Suites, WireSeen};
use hilrig_wire::Witness;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::hello::{self, extension, sized};
use super::suites;

/// The maximum record length that is requested, bytes.
const FRAGMENT: u16 = 1024;
/// An answer's first message comes in one or two pieces; after so many without it the rig disconnects.
const PIECES: u32 = 1000;

/// A broker's answer to a ClientHello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A ServerHello.
    Hello {
        /// The suite, its IANA number.
        suite: u16,
        /// The confirmed max_fragment_length, bytes; `None` if it was not confirmed.
        max_fragment: Option<u16>,
    },
    /// An alert, by its number.
    Alert(u8),
    /// It closed the connection, or never sent an answer.
    Closed,
    /// No answer within this time.
    Nothing(Duration),
    /// An answer that is not TLS; its first bytes, printable.
    NotTls(String),
}

impl Answer {
    /// It confirms MFLN.
    pub fn is_yes(&self) -> bool {
        matches!(self, Answer::Hello { max_fragment: Some(_), .. })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Hello { max_fragment: Some(size), .. } => write!(f, "yes, {size} bytes"),
            Answer::Hello { .. } => f.write_str("no, a ServerHello without it"),
            Answer::Alert(number) => write!(f, "no, alert {number}"),
            Answer::Closed => f.write_str("no, it closes the connection"),
            Answer::Nothing(waited) => write!(f, "nothing within {:.1} s", waited.as_secs_f64()),
            Answer::NotTls(said) => write!(f, "no TLS, but \"{said}\""),
        }
    }
}

/// A broker's answers to both ClientHellos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MflnAsked {
    /// To one like small clients send: two suites, no name, no signature algorithms and no curves.
    pub narrow: Answer,
    /// To one with the complete contents of the board's ClientHello.
    pub full: Answer,
}

impl MflnAsked {
    /// The broker supports it, and answers a small client that it does not.
    pub fn is_false_no(&self) -> bool {
        self.full.is_yes() && !self.narrow.is_yes()
    }
}

impl fmt::Display for MflnAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (narrow, full) = (&self.narrow, &self.full);
        match (narrow.is_yes(), full.is_yes()) {
            _ if narrow == full => write!(f, "the narrow and the full question are told: {full}"),
            (false, true) => write!(
                f,
                "the narrow question is told no, the full one yes: a false \"no\" (narrow: {narrow}; full: {full})"
            ),
            _ => write!(f, "the narrow question is told: {narrow}; the full one: {full}"),
        }
    }
}

/// Sends the broker at `address` both ClientHellos, and waits up to `deadline` for each answer.
///
/// # Errors
/// If the broker cannot be reached, or the system has no random numbers.
pub async fn ask_for_mfln(
    address: SocketAddr,
    server_name: &str,
    deadline: Duration,
) -> io::Result<MflnAsked> {
    let narrow = [0xcca8, 0xc02f];
    let narrow = hello::client_hello(random()?, narrow, &hello::max_fragment_length(FRAGMENT));
    Ok(MflnAsked {
        narrow: ask(address, &narrow, deadline).await?,
        full: ask(address, &full(server_name)?, deadline).await?,
    })
}

/// A ClientHello with the contents of the bundled firmware's (BearSSL's full client).
pub(super) fn full(server_name: &str) -> io::Result<Vec<u8>> {
    let mut extensions = Vec::new();
    if server_name.parse::<IpAddr>().is_err() {
        let name = [&[0], &sized(server_name.as_bytes())[..]].concat();
        extensions.extend(extension(0, &sized(&name)));
    }
    extensions.extend(hello::max_fragment_length(FRAGMENT));
    // SHA-256, -384 and -512 with ECDSA, then with RSA.
    let signatures = [4, 3, 5, 3, 6, 3, 4, 1, 5, 1, 6, 1];
    extensions.extend(extension(13, &sized(&signatures)));
    // P-256, P-384, P-521, X25519.
    extensions.extend(extension(10, &sized(&[0, 23, 0, 24, 0, 25, 0, 29])));
    // Points are uncompressed.
    extensions.extend(extension(11, &[1, 0]));
    let suites = suites::offered(Suites::All).map(|suite| suite.number);
    Ok(hello::client_hello(random()?, suites, &extensions))
}

fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("no random numbers from the system"))?;
    Ok(bytes)
}

async fn ask(address: SocketAddr, hello: &[u8], deadline: Duration) -> io::Result<Answer> {
    let asked = async {
        let mut tcp = TcpStream::connect(address).await?;
        if tcp.write_all(hello).await.is_err() {
            return Ok(Answer::Closed);
        }
        let mut witness = Witness::default();
        witness.feed(Side::Board, hello, Duration::ZERO);
        let mut piece = [0; 2048];
        for _ in 0..PIECES {
            match tcp.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(n) => witness.feed(Side::Broker, &piece[..n], Duration::ZERO),
            }
            if let Some(answer) = answer(witness.seen()) {
                return Ok(answer);
            }
        }
        Ok(Answer::Closed)
    };
    timeout(deadline, asked).await.unwrap_or(Ok(Answer::Nothing(deadline)))
}

/// The relevant part of an answer, as far as it has arrived.
fn answer(seen: &WireSeen) -> Option<Answer> {
    if let Some(taken) = &seen.taken {
        return Some(Answer::Hello { suite: taken.suite, max_fragment: taken.max_fragment });
    }
    // A warning, such as unrecognized_name, is not its final answer.
    let alert = seen.alerts.iter().find(|alert| alert.from == Side::Broker && alert.fatal);
    if let Some(number) = alert.and_then(|alert| alert.number) {
        return Some(Answer::Alert(number));
    }
    let (_, said) = seen.not_tls.as_ref()?;
    Some(Answer::NotTls(said.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_false_no_is_told_in_words() {
        let yes = Answer::Hello { suite: 0xc02f, max_fragment: Some(1024) };
        let asked = MflnAsked { narrow: Answer::Alert(40), full: yes.clone() };
        assert!(asked.is_false_no());
        assert!(asked.to_string().starts_with("the narrow question is told no, the full one yes"));
        let both = MflnAsked { narrow: yes.clone(), full: yes };
        assert!(!both.is_false_no());
        assert_eq!(both.to_string(), "the narrow and the full question are told: yes, 1024 bytes");
    }
}
