//! What a plain TCP relay between a board and its broker sees of TLS. Nothing is decrypted: in TLS 1.2
//! (RFC 5246) the handshake is in the clear up to ChangeCipherSpec, and record headers always are.

use serde::{Deserialize, Serialize};

/// An end of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The client.
    Board,
    /// The server.
    Broker,
}

/// A handshake message, as far as it can be recognized without decryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandshakeAt {
    /// The first message, from the board.
    ClientHello,
    /// The broker's answer.
    ServerHello,
    /// The broker's certificates.
    Certificate,
    /// The end of the broker's messages.
    ServerHelloDone,
    /// The board's key share.
    ClientKeyExchange,
    /// The board's first encrypted message.
    ClientFinished,
    /// The broker's first encrypted message.
    ServerFinished,
}

/// What the board's ClientHello offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Offered {
    /// The highest version, as encoded: 0x0303 is TLS 1.2.
    pub version: u16,
    /// Cipher suites, in the board's order.
    pub suites: Vec<u16>,
    /// The SNI name (RFC 6066), printable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The maximum fragment length requested with MFLN (RFC 6066), bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_fragment: Option<u16>,
    /// ALPN protocols (RFC 7301), printable.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
    /// It offers to resume a session by id.
    pub session_id: bool,
    /// It accepts a session ticket (RFC 5077), or offers one.
    pub ticket: bool,
    /// It requests the extended master secret (RFC 7627).
    pub extended_master_secret: bool,
    /// Numbers of all extensions, in order.
    pub extensions: Vec<u16>,
}

/// What the broker's ServerHello selects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Taken {
    /// The version (from supported_versions if present): 0x0303 is TLS 1.2.
    pub version: u16,
    /// The cipher suite.
    pub suite: u16,
    /// The fragment length confirmed with MFLN, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_fragment: Option<u16>,
    /// It acknowledges the SNI name (with an empty extension).
    pub server_name: bool,
    /// The ALPN protocol, printable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// It will send a session ticket.
    pub ticket: bool,
    /// It assigned a session id, so the session can be resumed.
    pub session_id: bool,
    /// It confirms the extended master secret.
    pub extended_master_secret: bool,
    /// Numbers of all extensions, in order.
    pub extensions: Vec<u16>,
}

/// An alert (RFC 5246, 7.2). Of an encrypted alert only its position is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The sender.
    pub from: Side,
    /// Fatal, as opposed to a warning; `false` if it is encrypted, because the level is unknown then.
    pub fatal: bool,
    /// The number, such as 40 for handshake_failure; `None` if it is encrypted.
    pub number: Option<u8>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how", content = "by")]
pub enum Ended {
    /// Closed normally, by this side first.
    Closed(Side),
    /// Reset, by this side.
    Reset(Side),
    /// By the rig, on purpose.
    Cut,
    /// The broker could not be reached.
    NoBroker,
}

/// One TCP connection, as the relay saw it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WireSeen {
    /// ClientHello.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered: Option<Offered>,
    /// ServerHello.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<Taken>,
    /// Length of each of the broker's certificates, bytes of DER, in order. TLS 1.3 encrypts them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<u32>,
    /// The broker requested a client certificate.
    pub certificate_asked: bool,
    /// Length of each of the board's certificates, bytes of DER.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub board_certificates: Vec<u32>,
    /// The broker resumed an earlier session (RFC 5246, 7.3: ChangeCipherSpec directly after ServerHello).
    pub resumed: bool,
    /// The broker requested a second ClientHello (HelloRetryRequest, RFC 8446, 4.1.4).
    pub retry_asked: bool,
    /// Both sides have sent Finished.
    pub finished: bool,
    /// Seconds from ClientHello to the last Finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_seconds: Option<f64>,
    /// Round trips during the handshake: how often the direction changed from board to broker and back.
    pub round_trips: u32,
    /// Largest content of one record from the board, bytes: the length in the record header minus the cipher's
    /// overhead (exact for AEAD in TLS 1.2, an upper bound for CBC and TLS 1.3, which may pad).
    pub largest_from_board: u32,
    /// The same, from the broker.
    pub largest_from_broker: u32,
    /// Total TCP payload from the board, bytes.
    pub bytes_from_board: u64,
    /// The same, from the broker.
    pub bytes_from_broker: u64,
    /// TCP payload up to the end of the handshake, both ways, bytes; the total if the handshake never ended.
    pub handshake_bytes: u64,
    /// Alerts, in order; at most 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
    /// Data that is not TLS, and its sender: the first bytes, printable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_tls: Option<(Side, String)>,
    /// The side that ended it: the first to send a fatal alert or close_notify, to close or to reset. What the other
    /// side sends after that is a reply and does not count. `None` while neither has, and if the rig cut the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broke_off: Option<Side>,
    /// How it ended, or which side started to close; `None` while both sides keep it open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// Seconds it was open.
    pub seconds: f64,
}
