//! Passive TLS parser: records (RFC 5246, 6.2) and the plaintext part of the handshake.
//!
//! The input may be any bytes, split anywhere. Encrypted content is not copied, and all stored data is bounded.

use std::time::Duration;

use hilrig_core::certify::{Alert, HandshakeAt, Side, WireSeen};
use hilrig_core::text::printable;

use crate::handshake::{Message, Messages};
use crate::hello::{self, Server};
use crate::suite::{self, TLS_1_2};

/// Maximum number of alerts stored.
const MOST_ALERTS: usize = 16;

/// Maximum number of bytes shown of data that is not TLS.
const MOST_SHOWN: usize = 64;

/// Maximum length of a TLS 1.2 record, bytes (RFC 5246, 6.2.3). TLS 1.3 allows less.
const LARGEST_RECORD: u16 = (1 << 14) + 2048;

/// Record header: type, version and length.
const HEADER: usize = 5;

/// Record types, from IANA's registry. Types from the last of these up to 0x18 (heartbeat) are TLS, too.
mod record {
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const APPLICATION_DATA: u8 = 23;
    pub const HEARTBEAT: u8 = 24;
}

/// Length of an alert, bytes (RFC 5246, 7.2).
const ALERT: u16 = 2;

/// Minimum length of a TLS 1.3 Finished, bytes: header and SHA-256 (RFC 8446, 4.4.4).
const LEAST_FINISHED: u16 = 4 + 32;

/// Reads one connection.
#[derive(Debug, Default)]
pub struct Witness {
    seen: WireSeen,
    board: Stream,
    broker: Stream,
    /// Time of the board's first byte.
    began: Option<Duration>,
    /// The side that sent last.
    last: Option<Side>,
    server_hello_done: bool,
    /// The connection was aborted or closed.
    over: bool,
}

/// The stream from one side.
#[derive(Debug, Default)]
struct Stream {
    at: At,
    /// It has sent ChangeCipherSpec (TLS 1.2).
    encrypted: bool,
    messages: Messages,
    /// The first byte of an alert, until the second arrives.
    half_alert: Option<u8>,
    finished: bool,
}

/// Position of the stream within a record.
#[derive(Debug)]
enum At {
    Header { bytes: [u8; HEADER], have: usize },
    Content { kind: u8, length: u16, left: u16 },
    NoTls { shown: Vec<u8> },
}

impl Default for At {
    fn default() -> At {
        At::Header { bytes: [0; HEADER], have: 0 }
    }
}

/// Parses a whole connection from its pieces, in the order they were sent. Times are not set.
pub fn read_recording<'a>(pieces: impl IntoIterator<Item = (Side, &'a [u8])>) -> WireSeen {
    let mut witness = Witness::default();
    for (from, bytes) in pieces {
        witness.feed(from, bytes, Duration::ZERO);
    }
    witness.seen.handshake_seconds = None;
    witness.seen
}

impl Witness {
    /// The state seen so far. The owner of the connection sets [`WireSeen::ended`] and [`WireSeen::seconds`].
    pub fn seen(&self) -> &WireSeen {
        &self.seen
    }

    /// Processes a piece sent by `from`; `at` is the time since the connection began.
    pub fn feed(&mut self, from: Side, bytes: &[u8], at: Duration) {
        self.feed_until(from, bytes, at, None);
    }

    /// The same, but stops after a message. Returns the number of bytes up to the end of that message, if it ends
    /// in this piece. The bytes after it are not parsed. In TLS 1.3 only `ClientHello`, `ServerHello` and
    /// `ClientFinished` can be recognized. The board's first encrypted message counts as the last of these; it is
    /// the board's certificate if it sends one.
    pub fn feed_until(
        &mut self,
        from: Side,
        bytes: &[u8],
        at: Duration,
        stop: Option<HandshakeAt>,
    ) -> Option<usize> {
        if bytes.is_empty() {
            return None;
        }
        if !self.seen.finished && self.last == Some(Side::Board) && from == Side::Broker {
            self.seen.round_trips += 1;
        }
        self.last = Some(from);
        if from == Side::Board {
            self.began.get_or_insert(at);
        }
        let mut used = 0;
        while used < bytes.len() {
            let (count, message) = self.step(from, &bytes[used..]);
            used += count;
            self.count(from, count);
            let Some(message) = message else { continue };
            if matches!(message, HandshakeAt::ClientFinished | HandshakeAt::ServerFinished) {
                self.finish(from, at);
            }
            if Some(message) == stop {
                return Some(used);
            }
        }
        None
    }

    fn count(&mut self, from: Side, bytes: usize) {
        let bytes = bytes as u64;
        match from {
            Side::Board => self.seen.bytes_from_board += bytes,
            Side::Broker => self.seen.bytes_from_broker += bytes,
        }
        if !self.seen.finished {
            self.seen.handshake_bytes += bytes;
        }
    }

    fn stream(&mut self, from: Side) -> &mut Stream {
        match from {
            Side::Board => &mut self.board,
            Side::Broker => &mut self.broker,
        }
    }

    fn is_1_3(&self) -> bool {
        self.seen.taken.as_ref().is_some_and(|taken| taken.version > TLS_1_2)
    }

    /// Consumes bytes up to the end of the current unit. Returns how many, at least one, and the handshake message
    /// that ends there.
    fn step(&mut self, from: Side, bytes: &[u8]) -> (usize, Option<HandshakeAt>) {
        match &mut self.stream(from).at {
            At::Header { bytes: header, have } => {
                header[*have] = bytes[0];
                *have += 1;
                if !may_be_header(&header[..*have]) {
                    let shown = header[..*have].to_vec();
                    self.no_tls(from, shown);
                } else if *have == HEADER {
                    let [kind, _, _, length @ ..] = *header;
                    let length = u16::from_be_bytes(length);
                    self.header(from, kind, length);
                }
                (1, None)
            }
            At::NoTls { shown } => {
                let room = MOST_SHOWN - shown.len();
                if room > 0 {
                    let mut shown = std::mem::take(shown);
                    shown.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    self.no_tls(from, shown);
                }
                (bytes.len(), None)
            }
            &mut At::Content { kind, length, left } => {
                let part = &bytes[..bytes.len().min(left.into())];
                let (count, message) = self.content(from, kind, part);
                let left = left - count as u16;
                if left > 0 {
                    self.stream(from).at = At::Content { kind, length, left };
                    return (count, message);
                }
                self.stream(from).at = At::default();
                (count, message.or_else(|| self.record(from, kind, length)))
            }
        }
    }

    /// The data from here on is not TLS.
    fn no_tls(&mut self, from: Side, shown: Vec<u8>) {
        if self.seen.not_tls.as_ref().is_none_or(|(side, _)| *side == from) {
            self.seen.not_tls = Some((from, printable(&shown)));
        }
        self.stream(from).at = At::NoTls { shown };
    }

    /// Starts a record.
    fn header(&mut self, from: Side, kind: u8, length: u16) {
        let encrypted = match self.is_1_3() {
            true => kind == record::APPLICATION_DATA,
            false => self.stream(from).encrypted,
        };
        let added = match &self.seen.taken {
            Some(taken) if encrypted => suite::adds(taken.version, taken.suite),
            _ => 0,
        };
        let largest = match from {
            Side::Board => &mut self.seen.largest_from_board,
            Side::Broker => &mut self.seen.largest_from_broker,
        };
        *largest = (*largest).max(length.saturating_sub(added).into());
        self.stream(from).at = match length {
            0 => At::default(),
            _ => At::Content { kind, length, left: length },
        };
    }

    /// Consumes the content of a plaintext record up to the end of a message; any other content as a whole.
    fn content(&mut self, from: Side, kind: u8, part: &[u8]) -> (usize, Option<HandshakeAt>) {
        match kind {
            _ if self.stream(from).encrypted => (part.len(), None),
            record::HANDSHAKE => {
                let (count, message) = self.stream(from).messages.feed(part);
                (count, message.and_then(|message| self.message(from, message)))
            }
            record::ALERT => {
                for byte in part {
                    let half = &mut self.stream(from).half_alert;
                    match half.take() {
                        None => *half = Some(*byte),
                        // 1 is warning (RFC 5246, 7.2).
                        Some(level) => self.alert(from, level != 1, Some(*byte)),
                    }
                }
                (part.len(), None)
            }
            _ => (part.len(), None),
        }
    }

    /// Records the side that ends the connection, unless one is recorded already. This covers alerts; the carrier
    /// handles every other kind of end.
    pub fn breaks_off(&mut self, from: Option<Side>) {
        if !self.over {
            self.over = true;
            self.seen.broke_off = from;
        }
    }

    fn alert(&mut self, from: Side, fatal: bool, number: Option<u8>) {
        // An encrypted alert is the last message of a failed handshake or of a connection being closed.
        if fatal || matches!(number, None | Some(0)) {
            self.breaks_off(Some(from));
        }
        if self.seen.alerts.len() < MOST_ALERTS {
            self.seen.alerts.push(Alert { from, fatal, number });
        }
    }

    /// Handles a plaintext message.
    fn message(&mut self, from: Side, message: Message) -> Option<HandshakeAt> {
        let seen = &mut self.seen;
        match (from, message) {
            (Side::Board, Message::ClientHello(body)) => {
                // The second ClientHello, after a HelloRetryRequest, offers no more than the first.
                let offered = || hello::client(&body);
                seen.offered.get_or_insert_with(offered);
                Some(HandshakeAt::ClientHello)
            }
            (Side::Broker, Message::ServerHello(body)) => match hello::server(&body) {
                (Server::AsksAgain, _) => {
                    seen.retry_asked = true;
                    None
                }
                (Server::Takes(taken), resumed) => {
                    seen.resumed |= resumed;
                    seen.taken.get_or_insert(taken);
                    Some(HandshakeAt::ServerHello)
                }
            },
            (Side::Broker, Message::Certificate(lengths)) => {
                seen.certificates = lengths;
                Some(HandshakeAt::Certificate)
            }
            (Side::Board, Message::Certificate(lengths)) => {
                seen.board_certificates = lengths;
                None
            }
            (Side::Broker, Message::CertificateRequest) => {
                seen.certificate_asked = true;
                None
            }
            (Side::Broker, Message::ServerHelloDone) => {
                self.server_hello_done = true;
                Some(HandshakeAt::ServerHelloDone)
            }
            (Side::Board, Message::ClientKeyExchange) => Some(HandshakeAt::ClientKeyExchange),
            _ => None,
        }
    }

    /// Handles the end of a record.
    fn record(&mut self, from: Side, kind: u8, length: u16) -> Option<HandshakeAt> {
        let answered = self.seen.taken.is_some();
        if let Some(taken) = self.seen.taken.as_ref().filter(|taken| taken.version > TLS_1_2) {
            // All records have the same type and are distinguished by length. After the handshake an alert looks
            // like any message of two bytes.
            let added = suite::adds(taken.version, taken.suite);
            if kind != record::APPLICATION_DATA || self.seen.finished {
                return None;
            }
            if length == added + ALERT {
                self.alert(from, false, None);
            }
            let finished = from == Side::Board && length >= added + LEAST_FINISHED;
            return finished.then_some(HandshakeAt::ClientFinished);
        }
        let stream = self.stream(from);
        match kind {
            // Before the ServerHello it is a TLS 1.3 ChangeCipherSpec and has no meaning (RFC 8446, D.4).
            record::CHANGE_CIPHER_SPEC if answered => {
                stream.encrypted = true;
                if from == Side::Broker && !self.server_hello_done {
                    self.seen.resumed = true;
                }
                None
            }
            record::ALERT if stream.encrypted => {
                self.alert(from, false, None);
                None
            }
            record::HANDSHAKE if stream.encrypted && !stream.finished => Some(match from {
                Side::Board => HandshakeAt::ClientFinished,
                Side::Broker => HandshakeAt::ServerFinished,
            }),
            _ => None,
        }
    }

    /// A side has sent its Finished.
    fn finish(&mut self, from: Side, at: Duration) {
        self.stream(from).finished = true;
        // In TLS 1.3 the board's is the last: the broker's cannot be distinguished from the messages around it.
        if self.is_1_3() || self.board.finished && self.broker.finished {
            self.seen.finished = true;
            self.seen.handshake_seconds =
                self.began.map(|began| at.saturating_sub(began).as_secs_f64());
        }
    }
}

/// Whether these can be the first bytes of a record header. Checked byte by byte: data that is not TLS may be
/// shorter than a header.
fn may_be_header(bytes: &[u8]) -> bool {
    let kind = |kind| (record::CHANGE_CIPHER_SPEC..=record::HEARTBEAT).contains(&kind);
    match *bytes {
        [k] => kind(k),
        [k, major] => kind(k) && major == 3,
        [k, major, minor] | [k, major, minor, _] => kind(k) && major == 3 && minor <= 4,
        [k, major, minor, a, b] => {
            let length = u16::from_be_bytes([a, b]);
            kind(k) && major == 3 && minor <= 4 && length <= LARGEST_RECORD
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests;
