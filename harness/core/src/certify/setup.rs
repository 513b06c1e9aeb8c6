//! The set-up of a case: TLS on the broker, TLS on the board, the board's clock, and the line between them.

use std::time::Duration;

use serde::Serialize;

/// The TLS versions that a broker accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Versions {
    /// 1.2 and newer, the default of brokers.
    From12,
    /// 1.3 only.
    Only13,
}

/// The certificate that a broker sends, with its chain. All are for the broker's name, from the case's root and
/// currently valid, except as the variant says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// RSA of 2048 bits, signed by the root: the most common kind in the field.
    Rsa2048,
    /// EC P-256, signed by an EC root.
    Ecdsa256,
    /// RSA of 4096 bits under an intermediate and a root of 4096 bits each.
    Rsa4096,
    /// RSA of 2048 bits, signed with SHA-1.
    RsaSha1,
    /// RSA of 2048 bits under three long intermediates: over 4 KiB of certificates in total.
    LongChain,
    /// EC leaf under five EC intermediates (P-384 and P-256 in turn).
    DeepEc,
    /// From another root with the same name.
    OtherCa,
    /// For another name.
    OtherName,
    /// RSA of 2048 bits under the original intermediate.
    Intermediate,
    /// The same leaf key under a new intermediate, from the same root.
    RotatedIntermediate,
    /// As `Rsa2048`, reissued: the same key and name, another serial number.
    Renewed,
}

impl Identity {
    /// Each of them.
    pub const ALL: &[Identity] = &[
        Identity::Rsa2048,
        Identity::Ecdsa256,
        Identity::Rsa4096,
        Identity::RsaSha1,
        Identity::LongChain,
        Identity::DeepEc,
        Identity::OtherCa,
        Identity::OtherName,
        Identity::Intermediate,
        Identity::RotatedIntermediate,
        Identity::Renewed,
    ];
}

/// A TLS front that requires more than brokers do, like a load balancer: the rig's own TLS server (rustls), which
/// terminates the board's connection and forwards its content to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Front {
    /// Requires nothing. It has no MFLN: records are as large as their content.
    Plain,
    /// Refuses a client that does not send the broker's name (SNI).
    SniRequired,
    /// Refuses a client that does not offer the protocol `mqtt` (ALPN).
    AlpnRequired,
}

/// The broker's side of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct BrokerTls {
    /// Versions.
    pub versions: Versions,
    /// The certificate that it sends.
    pub identity: Identity,
    /// A second certificate with another kind of key, on the same port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<Identity>,
    /// It requests a client certificate and refuses a client without one.
    pub client_certificate: bool,
    /// The TLS front, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub front: Option<Front>,
}

impl BrokerTls {
    /// The control: a broker that is set up carefully for devices in the field.
    pub const USUAL: BrokerTls = BrokerTls {
        versions: Versions::From12,
        identity: Identity::Rsa2048,
        second: None,
        client_certificate: false,
        front: None,
    };

    /// The same with this certificate.
    pub const fn showing(self, identity: Identity) -> BrokerTls {
        BrokerTls { identity, ..self }
    }

    /// The same with this front.
    pub const fn behind(self, front: Front) -> BrokerTls {
        BrokerTls { front: Some(front), ..self }
    }
}

/// The cipher suites that a board offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suites {
    /// All that it supports.
    All,
    /// ECDHE with an AEAD cipher.
    Aead,
    /// CBC only.
    Cbc,
    /// RSA key exchange only.
    StaticRsa,
    /// None with ECDSA.
    Rsa,
}

impl Suites {
    /// The value of the contract's setting `tls_suites`.
    pub fn name(self) -> &'static str {
        match self {
            Suites::All => "all",
            Suites::Aead => "aead",
            Suites::Cbc => "cbc",
            Suites::StaticRsa => "static-rsa",
            Suites::Rsa => "rsa",
        }
    }
}

/// What a board verifies the broker with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// The root of the broker's certificate, and the broker's name.
    Root,
    /// The original intermediate ([`Identity::Intermediate`]), as its CA.
    FirstIntermediate,
    /// The digest of the leaf of [`BrokerTls::identity`].
    Pin,
    /// The digest of the leaf of [`Identity::Rsa2048`], whichever certificate is sent.
    PinOfUsual,
    /// A digest that matches no certificate.
    WrongPin,
}

/// The board's side of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct BoardTls {
    /// The cipher suites offered.
    pub suites: Suites,
    /// The largest record that it accepts, bytes; below 16384 it requests MFLN (RFC 6066).
    pub record: u16,
    /// What it verifies the broker with.
    pub trust: Trust,
    /// It offers the protocol `mqtt` (ALPN).
    pub alpn: bool,
    /// It has a client certificate.
    pub certificate: bool,
    /// It offers to resume its session.
    pub resume: bool,
}

impl BoardTls {
    /// The board's default.
    pub const USUAL: BoardTls = BoardTls {
        suites: Suites::All,
        record: 16384,
        trust: Trust::Root,
        alpn: false,
        certificate: false,
        resume: false,
    };

    /// The same with these suites.
    pub const fn offering(self, suites: Suites) -> BoardTls {
        BoardTls { suites, ..self }
    }

    /// The same with records of at most `record` bytes.
    pub const fn taking(self, record: u16) -> BoardTls {
        BoardTls { record, ..self }
    }

    /// The same with this trust setting.
    pub const fn going_by(self, trust: Trust) -> BoardTls {
        BoardTls { trust, ..self }
    }
}

/// The time that the board gets. The certificate is the same each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// The current time.
    Now,
    /// 1 January 1970, the time of a board without a time source.
    At1970,
    /// A day before the certificate is valid.
    BeforeValid,
    /// A day after the certificate expires.
    AfterValid,
}

/// What the line between board and broker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Forwards everything as it comes.
    Clean,
    /// Delays each piece by this much, each way.
    Delay(Duration),
    /// Forwards the broker's data one byte at a time, each in its own segment.
    ByteByByte,
    /// Closes without an alert (FIN both ways) after this handshake message.
    CutAfter(super::HandshakeAt),
    /// Resets (RST both ways) after this handshake message.
    ResetAfter(super::HandshakeAt),
}
