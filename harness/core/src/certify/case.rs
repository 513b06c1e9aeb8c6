//! A case of the matrix.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{BoardTls, BrokerTls, Clock, Line, Trust};

/// One case: a set-up, what is done in it, and what must come of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// Stable name, such as `mfln-512`.
    pub id: &'static str,
    /// The row of docs/reference/certification-cases.md, from 1; 0 for those at MQTT's level.
    pub row: u8,
    /// What it is, in a line.
    pub title: &'static str,
    /// What it proves.
    pub proves: &'static str,
    /// The public issue that it stands for, or where else the failure is known from.
    pub seen: &'static str,
    /// The broker's side.
    pub broker: BrokerTls,
    /// The board's side.
    pub board: BoardTls,
    /// The board's clock.
    pub clock: Clock,
    /// The line between.
    pub line: Line,
    /// What is done.
    pub act: Act,
    /// What must come of it.
    pub expected: Expected,
}

/// What is done in a case. Whatever it is, the board's first step is to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The board connects and answers requests.
    Connect,
    /// Then it is sent a message of so many bytes, which makes records as large as the broker makes
    /// them, and must be there behind it.
    LargeMessage(usize),
    /// Then its connection is cut so many times, and each time it must come back.
    Reconnects(u32),
    /// Then its connection is cut, and on the wire is seen whether its session is resumed.
    Resume,
    /// The rig alone: asks the broker whether it has MFLN, once as small clients do (few suites) and once
    /// as a full client does.
    AskForMfln,
    /// The rig alone: opens a connection, says nothing, or half of a ClientHello, and waits for the broker to give up.
    Stall,
    /// A behaviour at MQTT's level that the device relies on.
    Mqtt(Behaviour),
}

/// What a device relies on at MQTT's level (MQTT 3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// A retained message is kept, and given to a subscriber that comes later (3.3.1.3); the board ignores one.
    Retained,
    /// A client that is silent for 1.5 times its keep-alive is dropped (3.1.2.10), one that pings is not.
    KeepAlive,
    /// A second client of the same id takes the session over (3.1.4-2); the board comes back.
    Takeover,
    /// The will of a client that is lost is published (3.1.2.5).
    Will,
    /// QoS 0 and 1 both arrive, and 1 is acknowledged (4.3).
    Qos,
    /// The largest message that the broker takes and passes on, up to 256 KiB, and what it does beyond.
    PayloadLimit,
    /// A wrong password is refused with return code 4 or 5 (3.2.2.3), and the board says so.
    WrongPassword,
    /// What a client may not publish or subscribe to is refused or dropped, and the connection says which.
    NoPermission,
    /// The broker is restarted, and the board comes back.
    BrokerRestart,
    /// All boards of the run and a crowd of clients beside them connect at once, again and again.
    ReconnectStorm,
}

/// What must come of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The board must connect, and what the case does then must work.
    MustConnect,
    /// The board must not get through, and say one of these reasons.
    MustRefuse(&'static [Reason]),
    /// Works or not: it is told, with what it costs.
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

/// Why a connection did not come about, or broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No version or cipher suite in common (alerts 40, 70 and 71).
    NothingInCommon,
    /// The certificate is not from a CA that is trusted.
    NotTrusted,
    /// The certificate is for another name.
    WrongName,
    /// Not yet valid, or no longer.
    OutOfDate,
    /// The board does not know the time.
    TimeUnknown,
    /// Not the certificate that was pinned.
    WrongPin,
    /// The certificate's key or signature is of a kind that the board does not take.
    UnsupportedCertificate,
    /// A record is larger than the board takes.
    RecordTooLarge,
    /// The broker wants a client certificate (alerts 42, 43, 46 to 48, 116).
    CertificateWanted,
    /// The broker takes none of the protocols (alert 120), or wants one.
    NoProtocol,
    /// The broker does not know the name (alert 112), or wants one.
    UnknownName,
    /// Another alert of the broker's.
    Alert(u8),
    /// The other side closed the connection without a word.
    Closed,
    /// Not done in time.
    TimedOut,
    /// The board had no memory for it.
    NoMemory,
    /// User or password refused.
    BadLogin,
    /// A rule of the broker: its access list, what it allows of client ids, a limit of connections.
    BrokerRule,
    /// Any other error of the board's TLS, by its number.
    Other(u16),
}

impl Reason {
    /// What a fatal alert of the broker's says (RFC 5246, 7.2; RFC 8446, 6).
    pub fn of_alert(number: u8) -> Reason {
        match number {
            40 | 70 | 71 => Reason::NothingInCommon,
            42 | 43 | 46..=48 | 116 => Reason::CertificateWanted,
            112 => Reason::UnknownName,
            120 => Reason::NoProtocol,
            _ => Reason::Alert(number),
        }
    }

    /// The same with what was seen on the wire. In TLS 1.2 alert 40 is also the answer to a client that
    /// shows no certificate (RFC 5246, 7.4.6): where one was asked for, version and suite were agreed on.
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
    /// It can be run at a broker that the rig does not control: nothing is asked of the broker's set-up.
    pub fn fits_any_broker(&self) -> bool {
        let usual_broker = self.broker == BrokerTls::USUAL;
        let own_pin = !matches!(self.board.trust, Trust::FirstIntermediate | Trust::PinOfUsual);
        let act = !matches!(
            self.act,
            Act::Mqtt(
                Behaviour::WrongPassword | Behaviour::NoPermission | Behaviour::BrokerRestart
            )
        );
        // Its certificate's dates are known from the wire alone where the rig did not make it.
        usual_broker && own_pin && act && !self.board.certificate
    }
}
