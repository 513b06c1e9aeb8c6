//! The matrix: each row represents a failure of small devices in the field and has one or a few cases.
//! docs/reference/certification-cases.md lists the public issue of each row.

use std::time::Duration;

use super::case::Behaviour::{self, *};
use super::case::Reason::*;
use super::{
    Act, BoardTls, BrokerTls, Case, Clock, Expected, Front, HandshakeAt, Identity, Line, Suites,
    Trust, Versions,
};

/// The largest message that a case sends to a board, bytes: larger than any record size MFLN can request.
pub const LARGE_MESSAGE: usize = 6000;

/// How often a case cuts the connection to check that the free heap does not shrink.
pub const RECONNECTS: u32 = 10;

/// A case that must connect, in the default set-up.
const CONTROL: Case = Case {
    id: "",
    row: 0,
    title: "",
    proves: "",
    seen: "",
    broker: BrokerTls::USUAL,
    board: BoardTls::USUAL,
    clock: Clock::Now,
    line: Line::Clean,
    act: Act::Connect,
    expected: Expected::MustConnect,
};

const USUAL: BrokerTls = BrokerTls::USUAL;
const BOARD: BoardTls = BoardTls::USUAL;

/// Every case, in the order of the report.
pub const CASES: &[Case] = &[
    Case {
        id: "control",
        row: 1,
        title: "TLS 1.2, ECDHE with an authenticated cipher, RSA-2048",
        proves: "The bench works: what is refused below is refused for its own reason.",
        seen: "the control",
        board: BOARD.offering(Suites::Aead),
        ..CONTROL
    },
    Case {
        id: "tls13-only",
        row: 2,
        title: "the broker takes TLS 1.3 alone",
        proves: "A client that stops at 1.2 is told so by an alert, and says so.",
        seen: "ESP8266 Arduino core's documentation: BearSSL stops at TLS 1.2",
        broker: BrokerTls { versions: Versions::Only13, ..USUAL },
        expected: Expected::MustRefuse(&[NothingInCommon]),
        ..CONTROL
    },
    Case {
        id: "static-rsa",
        row: 3,
        title: "the client has RSA key exchange alone",
        proves: "Whether old firmware still finds a suite.",
        seen: "rabbitmq-server#3605",
        board: BOARD.offering(Suites::StaticRsa),
        expected: Expected::Reported,
        ..CONTROL
    },
    Case {
        id: "cbc",
        row: 3,
        title: "the client has CBC suites alone",
        proves: "Whether old firmware still finds a suite.",
        seen: "emqx#3090",
        board: BOARD.offering(Suites::Cbc),
        expected: Expected::Reported,
        ..CONTROL
    },
    Case {
        id: "ecdsa",
        row: 4,
        title: "an ECDSA certificate",
        proves: "The other kind of key works, and what it costs.",
        seen: "the control of the next",
        broker: USUAL.showing(Identity::Ecdsa256),
        ..CONTROL
    },
    Case {
        id: "ecdsa-not-offered",
        row: 4,
        title: "an ECDSA certificate, and a client without ECDSA",
        proves: "It ends in an alert (40), not in silence.",
        seen: "Tasmota#20714, mosquitto#2902",
        broker: USUAL.showing(Identity::Ecdsa256),
        board: BOARD.offering(Suites::Rsa),
        expected: Expected::MustRefuse(&[NothingInCommon]),
        ..CONTROL
    },
    Case {
        id: "two-leaves-pin",
        row: 5,
        title: "the broker has an RSA and an ECDSA certificate, and the client pins the first",
        proves: "Which of the two is shown to a client that takes both: a pin matches only one.",
        seen: "Tasmota#22656",
        broker: BrokerTls { second: Some(Identity::Ecdsa256), ..USUAL },
        board: BOARD.going_by(Trust::Pin),
        expected: Expected::Reported,
        ..CONTROL
    },
    Case {
        id: "sha1",
        row: 6,
        title: "a certificate signed over SHA-1",
        proves: "Nobody takes it: such a signature can be forged.",
        seen: "otp#8376",
        broker: USUAL.showing(Identity::RsaSha1),
        // Erlang's ssl does not send it to a client that does not offer SHA-1 (alert 71).
        expected: Expected::MustRefuse(&[UnsupportedCertificate, NotTrusted, NothingInCommon]),
        ..CONTROL
    },
    mfln("mfln-512", "records of at most 512 bytes are asked for (MFLN)", 512),
    mfln("mfln-1024", "records of at most 1024 bytes are asked for (MFLN)", 1024),
    mfln("mfln-2048", "records of at most 2048 bytes are asked for (MFLN)", 2048),
    mfln("mfln-4096", "records of at most 4096 bytes are asked for (MFLN)", 4096),
    Case {
        id: "no-mfln-small-buffer",
        row: 8,
        title: "no MFLN before the broker, and a buffer of 1024 bytes",
        proves: "A record that is too large ends the connection with a reason, and does no harm.",
        seen: "esp8266/Arduino#6711, esp-open-rtos#729",
        broker: USUAL.behind(Front::Plain),
        board: BOARD.taking(1024),
        act: Act::LargeMessage(LARGE_MESSAGE),
        expected: Expected::MustRefuse(&[RecordTooLarge]),
        ..CONTROL
    },
    Case {
        id: "mfln-asked",
        row: 9,
        title: "asking the broker whether it has MFLN",
        proves: "Whether a short ClientHello is told the same as a full one: a false \"no\" costs a device 15 KiB.",
        seen: "esp8266/Arduino#5996",
        act: Act::AskForMfln,
        expected: Expected::Reported,
        ..CONTROL
    },
    Case {
        id: "long-chain",
        row: 10,
        title: "over 4 KiB of certificates",
        proves: "A long chain works with a whole buffer.",
        seen: "mbedtls#387",
        broker: USUAL.showing(Identity::LongChain),
        ..CONTROL
    },
    Case {
        id: "long-chain-small-buffer",
        row: 10,
        title: "over 4 KiB of certificates, and a buffer of 1024 bytes",
        proves: "Whether the certificates come in records of the size that was asked for.",
        seen: "mbedtls#387",
        broker: USUAL.showing(Identity::LongChain),
        board: BOARD.taking(1024),
        expected: Expected::Reported,
        ..CONTROL
    },
    Case {
        id: "rsa-4096",
        row: 11,
        title: "RSA-4096 from leaf to root",
        proves: "Whether it fits, what it costs, and how long it takes.",
        seen: "Tasmota#9704, Tasmota#2499",
        broker: USUAL.showing(Identity::Rsa4096),
        expected: Expected::Reported,
        ..CONTROL
    },
    Case {
        id: "deep-ec",
        row: 12,
        title: "an EC chain of seven",
        proves: "Whether the stack of the TLS library holds.",
        seen: "esp8266/Arduino#9218, esp8266/Arduino#6143",
        broker: USUAL.showing(Identity::DeepEc),
        expected: Expected::Reported,
        ..CONTROL
    },
    Case {
        id: "clock-1970",
        row: 13,
        title: "the board's clock is at 1970",
        proves: "A board that does not know the time trusts nobody.",
        seen: "Tasmota#9757, esp-at#432",
        clock: Clock::At1970,
        expected: Expected::MustRefuse(&[OutOfDate, TimeUnknown]),
        ..CONTROL
    },
    Case {
        id: "expired",
        row: 14,
        title: "the certificate has expired",
        proves: "It is refused, and the board says that it is the date.",
        seen: "esp8266/Arduino#5019",
        clock: Clock::AfterValid,
        expected: Expected::MustRefuse(&[OutOfDate]),
        ..CONTROL
    },
    Case {
        id: "not-yet-valid",
        row: 14,
        title: "the certificate is not yet valid",
        proves: "It is refused, and the board says that it is the date.",
        seen: "esp8266/Arduino#5019",
        clock: Clock::BeforeValid,
        expected: Expected::MustRefuse(&[OutOfDate]),
        ..CONTROL
    },
    Case {
        id: "intermediate-rotated",
        row: 15,
        title: "a new intermediate, and a client that trusts the root",
        proves: "Who trusts the root sees nothing of it.",
        seen: "Tasmota#10083",
        broker: USUAL.showing(Identity::RotatedIntermediate),
        ..CONTROL
    },
    Case {
        id: "intermediate-rotated-pinned",
        row: 15,
        title: "a new intermediate, and a client that trusts the old one",
        proves: "It is an outage for all who trusted the intermediate.",
        seen: "Tasmota#10083",
        broker: USUAL.showing(Identity::RotatedIntermediate),
        board: BOARD.going_by(Trust::FirstIntermediate),
        expected: Expected::MustRefuse(&[NotTrusted]),
        ..CONTROL
    },
    Case {
        id: "leaf-pinned",
        row: 16,
        title: "the client pins the certificate that is shown",
        proves: "The control of the next: a pin works.",
        seen: "the control of the next",
        board: BOARD.going_by(Trust::Pin),
        ..CONTROL
    },
    Case {
        id: "leaf-renewed",
        row: 16,
        title: "the certificate was renewed, and the client pins the old one",
        proves: "It is an outage for all who pinned the certificate.",
        seen: "Tasmota#433",
        broker: USUAL.showing(Identity::Renewed),
        board: BOARD.going_by(Trust::PinOfUsual),
        expected: Expected::MustRefuse(&[WrongPin]),
        ..CONTROL
    },
    Case {
        id: "wrong-pin",
        row: 17,
        title: "the pin of no certificate",
        proves: "It is refused: elsewhere it connected.",
        seen: "Tasmota#2033",
        board: BOARD.going_by(Trust::WrongPin),
        expected: Expected::MustRefuse(&[WrongPin]),
        ..CONTROL
    },
    Case {
        id: "other-ca",
        row: 18,
        title: "a certificate from a CA that is not trusted",
        proves: "It is refused: elsewhere it connected.",
        seen: "the article that this firmware comes from",
        broker: USUAL.showing(Identity::OtherCa),
        expected: Expected::MustRefuse(&[NotTrusted]),
        ..CONTROL
    },
    Case {
        id: "other-name",
        row: 19,
        title: "a certificate for another name",
        proves: "It is refused, and the board says that it is the name.",
        seen: "SSLClient#48",
        broker: USUAL.showing(Identity::OtherName),
        expected: Expected::MustRefuse(&[WrongName]),
        ..CONTROL
    },
    Case {
        id: "sni-required",
        row: 20,
        title: "who does not name the broker is refused (SNI)",
        proves: "The board says whom it wants, as a broker with many customers at one address needs it.",
        seen: "reports on HiveMQ Cloud",
        broker: USUAL.behind(Front::SniRequired),
        ..CONTROL
    },
    Case {
        id: "alpn-required",
        row: 21,
        title: "who does not offer the protocol mqtt is refused (ALPN)",
        proves: "The board can reach a broker that shares port 443.",
        seen: "ArduinoBearSSL#17",
        broker: USUAL.behind(Front::AlpnRequired),
        board: BoardTls { alpn: true, ..BOARD },
        ..CONTROL
    },
    Case {
        id: "alpn-missing",
        row: 21,
        title: "the protocol mqtt is wanted (ALPN), and the client offers none",
        proves: "It ends with a reason, not in silence.",
        seen: "ArduinoBearSSL#17",
        broker: USUAL.behind(Front::AlpnRequired),
        expected: Expected::MustRefuse(&[NoProtocol, NothingInCommon, Closed]),
        ..CONTROL
    },
    Case {
        id: "client-certificate",
        row: 22,
        title: "the broker wants a client certificate, and the board has one",
        proves: "The board signs, and what it costs.",
        seen: "esp8266/Arduino#3944, esp8266/Arduino#7574",
        broker: BrokerTls { client_certificate: true, ..USUAL },
        board: BoardTls { certificate: true, ..BOARD },
        ..CONTROL
    },
    Case {
        id: "client-certificate-missing",
        row: 22,
        title: "the broker wants a client certificate, and the board has none",
        proves: "It is refused: a broker that lets it in checks nobody.",
        seen: "esp8266/Arduino#3944, esp8266/Arduino#7574",
        broker: BrokerTls { client_certificate: true, ..USUAL },
        expected: Expected::MustRefuse(&[CertificateWanted, Closed]),
        ..CONTROL
    },
    Case {
        id: "slow-line",
        row: 23,
        title: "each piece takes half a second, each way",
        proves: "Whether broker and board have the patience for a slow line or a slow client.",
        seen: "vernemq#735, vernemq#1670, emqx#806",
        line: Line::Delay(Duration::from_millis(500)),
        expected: Expected::Reported,
        ..CONTROL
    },
    Case {
        id: "byte-by-byte",
        row: 23,
        title: "what the broker sends comes one byte at a time",
        proves: "Records are put together whatever pieces they come in.",
        seen: "what every TCP stream may do (RFC 9293, 3.9.1)",
        line: Line::ByteByByte,
        ..CONTROL
    },
    Case {
        id: "cut-in-handshake",
        row: 23,
        title: "the connection breaks behind the broker's certificates",
        proves: "The board gives back what it had taken, and says what happened.",
        seen: "vernemq#735",
        line: Line::CutAfter(HandshakeAt::Certificate),
        expected: Expected::MustRefuse(&[Closed]),
        ..CONTROL
    },
    Case {
        id: "reset-in-handshake",
        row: 23,
        title: "the connection is reset behind the board's share of the key",
        proves: "The board gives back what it had taken, and says what happened.",
        seen: "vernemq#735",
        line: Line::ResetAfter(HandshakeAt::ClientKeyExchange),
        expected: Expected::MustRefuse(&[Closed]),
        ..CONTROL
    },
    Case {
        id: "stalled",
        row: 23,
        title: "a client that says nothing, and one that stops in the middle of its ClientHello",
        proves: "How long the broker waits for a slow client, and that others get through meanwhile.",
        seen: "vernemq#1670, emqx#806",
        act: Act::Stall,
        expected: Expected::Reported,
        ..CONTROL
    },
    Case {
        id: "resumption",
        row: 24,
        title: "the session is resumed by its id",
        proves: "Whether a reconnect can do without a whole handshake.",
        seen: "esp8266/Arduino#6331",
        board: BoardTls { resume: true, ..BOARD },
        act: Act::Resume,
        expected: Expected::Reported,
        ..CONTROL
    },
    Case {
        id: "resumption-client-certificate",
        row: 24,
        title: "the session is resumed, with a client certificate",
        proves: "Whether the broker knows the client again: some drop it.",
        seen: "mosquitto#454",
        broker: BrokerTls { client_certificate: true, ..USUAL },
        board: BoardTls { certificate: true, resume: true, ..BOARD },
        act: Act::Resume,
        expected: Expected::Reported,
        ..CONTROL
    },
    Case {
        id: "reconnects",
        row: 25,
        title: "ten connections in a row",
        proves: "The heap stays what it was.",
        seen: "esp8266/Arduino#4733",
        act: Act::Reconnects(RECONNECTS),
        ..CONTROL
    },
    mqtt(
        "mqtt-retained",
        "a retained message",
        "It is kept for who comes later, and the board ignores one.",
        Retained,
    ),
    mqtt(
        "mqtt-keep-alive",
        "keep-alive and ping",
        "A dead client is found, and a quiet one is left alone.",
        KeepAlive,
    ),
    mqtt(
        "mqtt-takeover",
        "a second client of the same id",
        "It takes the session over, and the board comes back.",
        Takeover,
    ),
    mqtt("mqtt-will", "the last will", "The others hear of a client that is lost.", Will),
    mqtt("mqtt-qos", "QoS 0 and 1", "Both arrive, and QoS 1 is acknowledged.", Qos),
    mqtt(
        "mqtt-payload-limit",
        "the largest message",
        "What the broker takes, and what it does with more.",
        PayloadLimit,
    ),
    mqtt(
        "mqtt-wrong-password",
        "a wrong password",
        "It is refused with the return code for it, and the board says so.",
        WrongPassword,
    ),
    mqtt(
        "mqtt-no-permission",
        "a topic without permission",
        "What the broker does to who may not.",
        NoPermission,
    ),
    mqtt(
        "mqtt-broker-restart",
        "the broker is restarted",
        "The board comes back by itself.",
        BrokerRestart,
    ),
    mqtt("mqtt-reconnect-storm", "all connect at once", "Everybody gets through.", ReconnectStorm),
];

const fn mfln(id: &'static str, title: &'static str, record: u16) -> Case {
    Case {
        id,
        row: 7,
        title,
        proves: "Whether the broker keeps to it when it sends, as seen on the wire: some confirm it and then ignore it.",
        seen: "otp#10191",
        board: BOARD.taking(record),
        act: Act::LargeMessage(LARGE_MESSAGE),
        expected: Expected::Reported,
        ..CONTROL
    }
}

const fn mqtt(
    id: &'static str,
    title: &'static str,
    proves: &'static str,
    behaviour: Behaviour,
) -> Case {
    let expected = match behaviour {
        PayloadLimit | NoPermission => Expected::Reported,
        WrongPassword => Expected::MustRefuse(&[BadLogin]),
        _ => Expected::MustConnect,
    };
    Case { id, title, proves, seen: "MQTT 3.1.1", act: Act::Mqtt(behaviour), expected, ..CONTROL }
}

impl Case {
    /// The case with this id.
    pub fn named(id: &str) -> Option<&'static Case> {
        CASES.iter().find(|case| case.id == id)
    }
}

#[cfg(test)]
mod tests;
