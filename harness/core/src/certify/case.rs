//! A case of the matrix.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{BoardTls, BrokerTls, Clock, Line, Trust};

/// One case: a set-up, an action and an expected result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// Stable name, such as `mfln-512`.
    pub id: &'static str,
    /// The row of docs/reference/certification-cases.md, from 1; 0 for those at MQTT's level.
    pub row: u8,
    /// Its title, one line.
    pub title: &'static str,
    /// What it proves.
    pub proves: &'static str,
    /// The public issue it represents, or another source for the failure.
    pub seen: &'static str,
    /// The broker's side.
    pub broker: BrokerTls,
    /// The board's side.
    pub board: BoardTls,
    /// The board's clock.
    pub clock: Clock,
    /// The line between them.
    pub line: Line,
    /// The action.
    pub act: Act,
    /// The expected result.
    pub expected: Expected,
}

/// The action of a case. The board always connects first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The board connects and answers requests.
    Connect,
    /// Then it gets a message of this many bytes, which produces the broker's largest records, and must still be
    /// connected after it.
    LargeMessage(usize),
    /// Then its connection is cut this many times, and it must reconnect each time.
    Reconnects(u32),
    /// Then its connection is cut, and the wire shows whether its session is resumed.
    Resume,
    /// The rig alone: checks whether the broker supports MFLN, once like a small client (few suites) and once like a
    /// full client.
    AskForMfln,
    /// The rig alone: opens a connection, sends nothing or half of a ClientHello, and waits for the broker's timeout.
    Stall,
    /// An MQTT behaviour that the device relies on.
    Mqtt(Behaviour),
}

/// MQTT behaviours that a device relies on (MQTT 3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// A retained message is stored and delivered to a later subscriber (3.3.1.3); the board ignores one.
    Retained,
    /// A client that is silent for 1.5 times its keep-alive is disconnected (3.1.2.10), one that pings is not.
    KeepAlive,
    /// A second client with the same id takes over the session (3.1.4-2); the board reconnects.
    Takeover,
    /// The will of a client that loses its connection is published (3.1.2.5).
    Will,
    /// QoS 0 and 1 both arrive, and 1 is acknowledged (4.3).
    Qos,
    /// The largest message that the broker accepts and forwards, up to 256 KiB, and what it does with a larger one.
    PayloadLimit,
    /// A wrong password is refused with return code 4 or 5 (3.2.2.3), and the board reports it.
    WrongPassword,
    /// A forbidden publish or subscribe is refused or dropped; the case reports which.
    NoPermission,
    /// The broker restarts, and the board reconnects.
    BrokerRestart,
    /// All boards of the run and many other clients connect at once, repeatedly.
    ReconnectStorm,
}

/// The expected result of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The board must connect, and the action must work.
    MustConnect,
    /// The board must not connect, and must log one of these reasons.
    MustRefuse(&'static [Reason]),
    /// Either result is fine: it is reported, with its cost.
    Reported,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::MustConnect => f.write_str("must connect"),
            Expected::Reported => f.write_str("reported"),
            Expected::MustRefuse(reasons) => {
                f.write_str("must refuse: ")?;
                for (n, reason) in reasons.iter().enumerate() {
                    let or = if n == 0 { "" } else { " or " };
                    write!(f, "{or}{reason}")?;
                }
                Ok(())
            }
        }
    }
}

/// Why a connection failed or broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No version or cipher suite in common (alerts 40, 70 and 71).
    NothingInCommon,
    /// The certificate is not from a trusted CA.
    NotTrusted,
    /// The certificate is for another name.
    WrongName,
    /// The certificate is not yet valid or has expired.
    OutOfDate,
    /// The board does not know the time.
    TimeUnknown,
    /// Not the certificate that was pinned.
    WrongPin,
    /// The board does not support the kind of the certificate's key or signature.
    UnsupportedCertificate,
    /// A record is larger than the board accepts.
    RecordTooLarge,
    /// The broker requires a client certificate (alerts 42, 43, 46 to 48, 116).
    CertificateWanted,
    /// The broker accepts none of the ALPN protocols (alert 120), or requires one.
    NoProtocol,
    /// The broker does not know the server name (alert 112), or requires one.
    UnknownName,
    /// Another alert from the broker.
    Alert(u8),
    /// The other side closed the connection without an alert.
    Closed,
    /// Timeout.
    TimedOut,
    /// The board ran out of memory.
    NoMemory,
    /// User or password refused.
    BadLogin,
    /// A rule of the broker: its access list, its rules for client ids, a connection limit.
    BrokerRule,
    /// Any other error of the board's TLS library, by its number.
    Other(u16),
}

impl Reason {
    /// The reason for a fatal alert from the broker (RFC 5246, 7.2; RFC 8446, 6).
    pub fn of_alert(number: u8) -> Reason {
        match number {
            40 | 70 | 71 => Reason::NothingInCommon,
            42 | 43 | 46..=48 | 116 => Reason::CertificateWanted,
            112 => Reason::UnknownName,
            120 => Reason::NoProtocol,
            _ => Reason::Alert(number),
        }
    }

    /// The same, using what was seen on the wire. In TLS 1.2 alert 40 is also the answer to a client that sends no
    /// certificate (RFC 5246, 7.4.6): if the broker requested one, version and suite were agreed.
    pub fn seen_with(self, wire: &super::WireSeen) -> Reason {
        match self {
            Reason::NothingInCommon
                if wire.certificate_asked && wire.board_certificates.is_empty() =>
            {
                Reason::CertificateWanted
            }
            reason => reason,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::NothingInCommon => "no version or suite in common",
            Reason::NotTrusted => "CA not trusted",
            Reason::WrongName => "another name",
            Reason::OutOfDate => "out of date",
            Reason::TimeUnknown => "time unknown",
            Reason::WrongPin => "not the pinned certificate",
            Reason::UnsupportedCertificate => "certificate of an unsupported kind",
            Reason::RecordTooLarge => "record too large",
            Reason::CertificateWanted => "client certificate wanted",
            Reason::NoProtocol => "protocol (ALPN) wanted",
            Reason::UnknownName => "name (SNI) wanted",
            Reason::Closed => "closed without a word",
            Reason::TimedOut => "not done in time",
            Reason::NoMemory => "no memory",
            Reason::BadLogin => "user or password refused",
            Reason::BrokerRule => "a rule of the broker",
            Reason::Alert(number) => return write!(f, "alert {number}"),
            Reason::Other(number) => return write!(f, "TLS error {number}"),
        })
    }
}

impl Case {
    /// Whether it can run against a broker that the rig does not control: it requires nothing of the broker's set-up.
    pub fn fits_any_broker(&self) -> bool {
        let usual_broker = self.broker == BrokerTls::USUAL;
        let own_pin = !matches!(self.board.trust, Trust::FirstIntermediate | Trust::PinOfUsual);
        let act = !matches!(
            self.act,
            Act::Mqtt(
                Behaviour::WrongPassword | Behaviour::NoPermission | Behaviour::BrokerRestart
            )
        );
        // If the rig did not make the certificate, its dates are known from the wire only.
        usual_broker && own_pin && act && !self.board.certificate
    }
}
