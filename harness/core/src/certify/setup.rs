//! What a case sets up: the broker's side of TLS, the board's, its clock, and the line between them.

use std::time::Duration;

use serde::Serialize;

/// The TLS versions that a broker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Versions {
    /// 1.2 and what is newer, as brokers come.
    From12,
    /// 1.3 alone.
    Only13,
}

/// The certificate that a broker shows, with the chain behind it. All are for the broker's name, from
/// the case's root, and valid now, but for what their names say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// RSA of 2048 bits, signed by the root: what most of the field has.
    Rsa2048,
    /// EC P-256, signed by an EC root.
    Ecdsa256,
    /// RSA of 4096 bits under an intermediate and a root of 4096 bits each.
    Rsa4096,
    /// RSA of 2048 bits whose signature is over SHA-1.
    RsaSha1,
    /// RSA of 2048 bits under three intermediates that are long: over 4 KiB of certificates in all.
    LongChain,
    /// EC leaf under five EC intermediates (P-384 and P-256 in turn).
    DeepEc,
    /// From another root of the same name.
    OtherCa,
    /// For another name.
    OtherName,
    /// RSA of 2048 bits under the intermediate that was there first.
    Intermediate,
    /// The same leaf key under a new intermediate, from the same root.
    RotatedIntermediate,
    /// As `Rsa2048`, issued anew: the same key and name, another serial number.
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

/// What asks for more than brokers do, as the load balancer before one does: the rig's own TLS
/// server (rustls), which takes the board's connection and passes what is in it on to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Front {
    /// Asks for nothing. It has no MFLN: records are as large as what is in them.
    Plain,
    /// Refuses a client that does not name the broker (SNI).
    SniRequired,
    /// Refuses a client that does not offer the protocol `mqtt` (ALPN).
    AlpnRequired,
}

/// The broker's side of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct BrokerTls {
    /// Versions.
    pub versions: Versions,
    /// The certificate that it shows.
    pub identity: Identity,
    /// A second one, of another kind of key, at the same port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<Identity>,
    /// It asks for a client certificate and refuses who has none.
    pub client_certificate: bool,
    /// What stands before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub front: Option<Front>,
}

impl BrokerTls {
    /// The control: what a broker has that was set up with care for the field as it is.
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

    /// The same behind this.
    pub const fn behind(self, front: Front) -> BrokerTls {
        BrokerTls { front: Some(front), ..self }
    }
}

/// The cipher suites that a board offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suites {
    /// All that it has.
    All,
    /// ECDHE with an authenticated cipher.
    Aead,
    /// CBC alone.
    Cbc,
    /// RSA key exchange alone.
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

/// What a board goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// The root that the broker's certificate comes from, and the broker's name.
    Root,
    /// The intermediate that was there first ([`Identity::Intermediate`]), as its CA.
    FirstIntermediate,
    /// The digest of the leaf that [`BrokerTls::identity`] shows.
    Pin,
    /// The digest of the leaf of [`Identity::Rsa2048`], whatever is shown.
    PinOfUsual,
    /// The digest of no certificate.
    WrongPin,
}

/// The board's side of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct BoardTls {
    /// Offered.
    pub suites: Suites,
    /// The largest record that it takes, bytes; below 16384 it asks for MFLN (RFC 6066).
    pub record: u16,
    /// What it goes by.
    pub trust: Trust,
    /// It offers the protocol `mqtt` (ALPN).
    pub alpn: bool,
    /// It has a client certificate.
    pub certificate: bool,
    /// It offers to resume its session.
    pub resume: bool,
}

impl BoardTls {
    /// As a board comes.
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

    /// The same going by this.
    pub const fn going_by(self, trust: Trust) -> BoardTls {
        BoardTls { trust, ..self }
    }
}

/// What the board is told that the time is. The certificate is the same each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// The time.
    Now,
    /// 1 January 1970, as a board has it that nobody told the time.
    At1970,
    /// A day before the certificate is valid.
    BeforeValid,
    /// A day after its last.
    AfterValid,
}

/// What the line between board and broker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Carries everything as it comes.
    Clean,
    /// Carries each piece so much later, each way.
    Delay(Duration),
    /// Carries what the broker sends one byte at a time: a segment each.
    ByteByByte,
    /// Breaks, without a word (FIN both ways), when this message of the handshake has gone by.
    CutAfter(super::HandshakeAt),
    /// Is reset (RST both ways) when this message has gone by.
    ResetAfter(super::HandshakeAt),
}
