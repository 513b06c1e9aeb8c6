//! What a plain TCP relay between a board and its broker sees of TLS. Nothing is decrypted: in TLS 1.2
//! (RFC 5246) the handshake goes in the clear up to ChangeCipherSpec, and the record headers always.

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

/// A message of the handshake, as far as it can be told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandshakeAt {
    /// The first of all, from the board.
    ClientHello,
    /// The broker's answer.
    ServerHello,
    /// The broker's certificates.
    Certificate,
    /// The end of the broker's part.
    ServerHelloDone,
    /// The board's share of the key.
    ClientKeyExchange,
    /// The board's first encrypted message.
    ClientFinished,
    /// The broker's.
    ServerFinished,
}

/// What the board's ClientHello offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Offered {
    /// The highest version, as it stands there: 0x0303 is TLS 1.2.
    pub version: u16,
    /// Cipher suites, in the board's order.
    pub suites: Vec<u16>,
    /// The name of SNI (RFC 6066), printable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The largest fragment that MFLN (RFC 6066) asks for, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_fragment: Option<u16>,
    /// Protocols of ALPN (RFC 7301), printable.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
    /// It offers a session to resume by its id.
    pub session_id: bool,
    /// It can take a session ticket (RFC 5077), or offers one.
    pub ticket: bool,
    /// It asks for the extended master secret (RFC 7627).
    pub extended_master_secret: bool,
    /// Numbers of all extensions, in their order.
    pub extensions: Vec<u16>,
}

/// What the broker's ServerHello takes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Taken {
    /// The version (that of supported_versions where it is there): 0x0303 is TLS 1.2.
    pub version: u16,
    /// The cipher suite.
    pub suite: u16,
    /// The fragment that MFLN was confirmed with, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_fragment: Option<u16>,
    /// It read the name of SNI (an empty extension says so).
    pub server_name: bool,
    /// The protocol of ALPN, printable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// It will send a session ticket.
    pub ticket: bool,
    /// It gave the session an id, so that it can be resumed.
    pub session_id: bool,
    /// It confirms the extended master secret.
    pub extended_master_secret: bool,
    /// Numbers of all extensions, in their order.
    pub extensions: Vec<u16>,
}

/// An alert in the clear (RFC 5246, 7.2). One that is encrypted shows its place alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Who sent it.
    pub from: Side,
    /// Fatal, or a warning; `false` where it is encrypted, as that cannot be told then.
    pub fatal: bool,
    /// The number, such as 40 for handshake_failure; `None` where it is encrypted.
    pub number: Option<u8>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how", content = "by")]
pub enum Ended {
    /// Closed in order, by this side first.
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
    /// Length of each certificate of the broker's, bytes of DER, in its order. TLS 1.3 encrypts them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<u32>,
    /// The broker asked for a client certificate.
    pub certificate_asked: bool,
    /// Length of each certificate of the board's, bytes of DER.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub board_certificates: Vec<u32>,
    /// The broker took up an earlier session (RFC 5246, 7.3: ChangeCipherSpec right behind ServerHello).
    pub resumed: bool,
    /// The broker asked for another ClientHello (HelloRetryRequest, RFC 8446, 4.1.4).
    pub retry_asked: bool,
    /// Both sides have sent Finished.
    pub finished: bool,
    /// Seconds from ClientHello to the last Finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_seconds: Option<f64>,
    /// How often the line turned from board to broker and back during the handshake.
    pub round_trips: u32,
    /// The most bytes of content in one record, from the board: the length in the record's header without
    /// what its cipher adds (exact for AEAD in TLS 1.2, an upper bound for CBC and TLS 1.3, which may pad).
    pub largest_from_board: u32,
    /// The same, from the broker.
    pub largest_from_broker: u32,
    /// Bytes of TCP payload in all, from the board.
    pub bytes_from_board: u64,
    /// The same, from the broker.
    pub bytes_from_broker: u64,
    /// Of these, until the handshake was over, both ways; all of them if it never was.
    pub handshake_bytes: u64,
    /// Alerts, in their order; at most 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
    /// What was no TLS, from whom: the first bytes, printable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_tls: Option<(Side, String)>,
    /// The side that broke it off: the first that sent a fatal alert or close_notify, closed or reset. What the other
    /// sent after that is an answer and blames nobody. `None` while nobody has, and where the rig cut the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broke_off: Option<Side>,
    /// How it ended, or who began to; `None` while both sides hold it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// Seconds that it stood.
    pub seconds: f64,
}
