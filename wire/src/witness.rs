//! Reads TLS from outside: records (RFC 5246, 6.2), and what of the handshake goes in the clear.
//!
//! Any bytes may come, in any pieces. Nothing is copied of what is encrypted, and what is kept has
//! bounds.

use std::time::Duration;

use hilrig_core::certify::{Alert, HandshakeAt, Side, WireSeen};
use hilrig_core::text::printable;

use crate::handshake::{Message, Messages};
use crate::hello::{self, Server};
use crate::suite::{self, TLS_1_2};

/// Alerts that are kept.
const MOST_ALERTS: usize = 16;

/// Bytes that are shown of what is no TLS.
const MOST_SHOWN: usize = 64;

/// The most that a record of TLS 1.2 holds, bytes (RFC 5246, 6.2.3). TLS 1.3 has less.
const LARGEST_RECORD: u16 = (1 << 14) + 2048;

/// Type, version and length.
const HEADER: usize = 5;

/// Types of records, in IANA's registry. What lies between the last and 0x18 (heartbeat) is TLS, too.
mod record {
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const APPLICATION_DATA: u8 = 23;
    pub const HEARTBEAT: u8 = 24;
}

/// Bytes of an alert (RFC 5246, 7.2).
const ALERT: u16 = 2;

/// The least bytes of a Finished in TLS 1.3: header and SHA-256 (RFC 8446, 4.4.4).
const LEAST_FINISHED: u16 = 4 + 32;

/// Reads one connection.
#[derive(Debug, Default)]
pub struct Witness {
    seen: WireSeen,
    board: Stream,
    broker: Stream,
    /// When the board's first byte came.
    began: Option<Duration>,
    /// Who sent last.
    last: Option<Side>,
    server_hello_done: bool,
    /// It was broken off.
    over: bool,
}

/// What one side sends.
#[derive(Debug, Default)]
struct Stream {
    at: At,
    /// It has sent ChangeCipherSpec (TLS 1.2).
    encrypted: bool,
    messages: Messages,
    /// The first byte of an alert whose second is to come.
    half_alert: Option<u8>,
    finished: bool,
}

/// Where in a record the stream is.
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

/// Reads a whole connection out of its pieces, in the order in which they were sent. Times are
/// left out.
pub fn read_recording<'a>(pieces: impl IntoIterator<Item = (Side, &'a [u8])>) -> WireSeen {
    let mut witness = Witness::default();
    for (from, bytes) in pieces {
        witness.feed(from, bytes, Duration::ZERO);
    }
    witness.seen.handshake_seconds = None;
    witness.seen
}

impl Witness {
    /// What was seen so far. [`WireSeen::ended`] and [`WireSeen::seconds`] are for whoever holds the
    /// connection to fill in.
    pub fn seen(&self) -> &WireSeen {
        &self.seen
    }

    /// Takes a piece of what `from` sent; `at` is the time since the connection began.
    pub fn feed(&mut self, from: Side, bytes: &[u8], at: Duration) {
        self.feed_until(from, bytes, at, None);
    }

    /// The same, but stops behind a message: how many bytes belong to it and to what came before, if it
    /// ends in this piece. What lies behind is not read. In TLS 1.3 only `ClientHello`, `ServerHello` and
    /// `ClientFinished` can be told, and the last is taken for what comes first of the board's encrypted
    /// messages, its certificate if it shows one.
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

    /// Takes bytes up to the end of what stands together, and tells how many, at least one; and the message
    /// of the handshake that ends there.
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

    /// What follows is no TLS.
    fn no_tls(&mut self, from: Side, shown: Vec<u8>) {
        if self.seen.not_tls.as_ref().is_none_or(|(side, _)| *side == from) {
            self.seen.not_tls = Some((from, printable(&shown)));
        }
        self.stream(from).at = At::NoTls { shown };
    }

    /// A record begins.
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

    /// Takes content of a record that goes in the clear up to the end of a message; any other as a whole.
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
                        // 1 is a warning (RFC 5246, 7.2).
                        Some(level) => self.alert(from, level != 1, Some(*byte)),
                    }
                }
                (part.len(), None)
            }
            _ => (part.len(), None),
        }
    }

    /// A side breaks the connection off, if nobody has before. Alerts do that; of what ends a connection else, the
    /// carrier knows.
    pub fn breaks_off(&mut self, from: Option<Side>) {
        if !self.over {
            self.over = true;
            self.seen.broke_off = from;
        }
    }

    fn alert(&mut self, from: Side, fatal: bool, number: Option<u8>) {
        // An encrypted one is the last word of a handshake that failed, or of a connection that is closed.
        if fatal || matches!(number, None | Some(0)) {
            self.breaks_off(Some(from));
        }
        if self.seen.alerts.len() < MOST_ALERTS {
            self.seen.alerts.push(Alert { from, fatal, number });
        }
    }

    /// A message in the clear.
    fn message(&mut self, from: Side, message: Message) -> Option<HandshakeAt> {
        let seen = &mut self.seen;
        match (from, message) {
            (Side::Board, Message::ClientHello(body)) => {
                // The second one, behind a HelloRetryRequest, offers no more than the first.
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

    /// A record is complete.
    fn record(&mut self, from: Side, kind: u8, length: u16) -> Option<HandshakeAt> {
        let answered = self.seen.taken.is_some();
        if let Some(taken) = self.seen.taken.as_ref().filter(|taken| taken.version > TLS_1_2) {
            // All is of one type, and told apart by its length. Behind the handshake an alert looks like
            // any message of two bytes.
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
            // Before the ServerHello it is one of TLS 1.3, and means nothing (RFC 8446, D.4).
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
        // In TLS 1.3 the board's is the last, as the broker's cannot be told from what is about it.
        if self.is_1_3() || self.board.finished && self.broker.finished {
            self.seen.finished = true;
            self.seen.handshake_seconds =
                self.began.map(|began| at.saturating_sub(began).as_secs_f64());
        }
    }
}

/// Whether these may be the first bytes of a record's header. Looked at byte by byte: what is no TLS
/// may end before it is as long as one.
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
