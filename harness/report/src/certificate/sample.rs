//! Cases for tests.

use hilrig_core::certify::certificate::{Device, Evidence, OtherClient, Verdict};
use hilrig_core::certify::wire::{Alert, Ended, Offered, Taken};
use hilrig_core::certify::{Case, CaseResult, Cost, Outcome, Reason, Side, WireSeen};
use hilrig_core::event::BrokerFacts;

/// A broker that was certified.
pub fn broker() -> BrokerFacts {
    BrokerFacts {
        kind: "process".into(),
        software: "mosquitto".into(),
        version: "2.0.11".into(),
        from: "mosquitto".into(),
        tls: Some("TLS 1.2 or later, RSA-2048".into()),
        port: 41_883,
        seconds: 0.031,
    }
}

/// The device that it was certified for.
pub fn device() -> Device {
    Device {
        firmware: "virtual".into(),
        build: Some("0.1.0+9f9f9f9f".into()),
        kind: "virtual".into(),
        boards: vec!["v1".into()],
    }
}

/// A case with what a relay sees of it: an alert where it was refused, a TLS 1.2 handshake where not.
pub fn case(id: &str, outcome: Outcome, verdict: Verdict) -> CaseResult {
    let case = Case::named(id).unwrap();
    let connected = outcome == Outcome::Connected;
    let run = outcome != Outcome::NotRun;
    let seen = WireSeen {
        offered: Some(Offered {
            version: 0x0303,
            suites: vec![0xc02f, 0xc02b],
            server_name: Some("broker.test".into()),
            extensions: vec![0, 10, 13],
            ..Offered::default()
        }),
        taken: connected.then(|| Taken {
            version: 0x0303,
            suite: 0xc02f,
            extensions: vec![0],
            ..Taken::default()
        }),
        certificates: if connected { vec![812] } else { Vec::new() },
        finished: connected,
        handshake_seconds: connected.then_some(0.842),
        round_trips: if connected { 2 } else { 1 },
        largest_from_board: 512,
        largest_from_broker: if connected { 1400 } else { 2 },
        bytes_from_board: 700,
        bytes_from_broker: 2100,
        handshake_bytes: 1650,
        alerts: if connected {
            Vec::new()
        } else {
            vec![Alert { from: Side::Broker, fatal: true, number: Some(70) }]
        },
        broke_off: Some(if connected { Side::Board } else { Side::Broker }),
        ended: Some(Ended::Closed(Side::Board)),
        seconds: 1.2,
        ..WireSeen::default()
    };
    CaseResult {
        id: id.into(),
        row: case.row,
        title: case.title.into(),
        proves: case.proves.into(),
        seen: case.seen.into(),
        expected: case.expected.to_string(),
        outcome,
        verdict,
        reason: (outcome == Outcome::Refused).then_some(Reason::NothingInCommon),
        why: (!run).then(|| "the broker is not the rig's".into()),
        board: run.then(|| "v1".into()),
        set_up: "as it comes".into(),
        evidence: Evidence {
            found: if connected { "connected in 0.842 s" } else { "alert 70 of the broker's" }
                .into(),
            said: (outcome == Outcome::Refused).then(|| "ESP8266 TLS: error 326".into()),
            log_line: (outcome == Outcome::Refused).then_some(40),
            connections: u32::from(run),
            wire: if run { vec![seen] } else { Vec::new() },
            ..Evidence::default()
        },
        cost: Cost {
            heap_handshake: connected.then_some(22_480),
            heap_connected: connected.then_some(39_960),
            handshake_seconds: connected.then_some(0.842),
            handshake_bytes: connected.then_some(1650),
            ..Cost::default()
        },
        repetitions: None,
        seconds: 1.5,
    }
}

/// The same, asked for records of so many bytes; the largest that came is `largest`.
pub fn mfln(id: &str, record: u16, taken: bool, largest: u32) -> CaseResult {
    let mut case = case(id, Outcome::Connected, Verdict::Reported);
    case.cost.heap_handshake = Some(22_480 + u64::from(16_384 - record));
    case.cost.heap_after_message = Some(37_000);
    let seen = &mut case.evidence.wire[0];
    seen.offered.as_mut().unwrap().max_fragment = Some(record);
    seen.taken.as_mut().unwrap().max_fragment = taken.then_some(record);
    seen.largest_from_broker = largest;
    case
}

/// The same, with what the rig's own clients met.
pub fn beside(mut case: CaseResult, clients: &[(&str, Outcome)]) -> CaseResult {
    case.evidence.clients = clients
        .iter()
        .map(|(client, outcome)| OtherClient {
            client: (*client).into(),
            version: "1".into(),
            outcome: *outcome,
            reason: None,
            said: "what it said".into(),
        })
        .collect();
    case
}

/// Cases of every kind: passed, failed, reported, not run and broken.
pub fn cases() -> Vec<CaseResult> {
    use Outcome::{Broken, Connected, Measured, NotRun, Refused};
    let both = |outcome| [("rustls", outcome), ("openssl", outcome)];
    let mut missing = case("client-certificate-missing", Connected, Verdict::NotHeld);
    missing.evidence.said = Some("MQTT: connected".into());
    missing.evidence.log_line = Some(112);
    let mut asked = case("mfln-asked", Measured, Verdict::Reported);
    asked.evidence.found = "MFLN for a full client, and for a small one".into();
    asked.evidence.wire.clear();
    let mut broken = case("long-chain", Broken, Verdict::NotRun);
    broken.why = Some("the board fell silent for 30 s".into());
    vec![
        beside(case("control", Connected, Verdict::Held), &both(Connected)),
        beside(case("tls13-only", Refused, Verdict::Held), &[("rustls", Connected)]),
        beside(case("static-rsa", Refused, Verdict::Reported), &both(Refused)),
        mfln("mfln-512", 512, true, 512),
        mfln("mfln-1024", 1024, true, 6005),
        mfln("mfln-2048", 2048, false, 6005),
        asked,
        broken,
        missing,
        case("mqtt-broker-restart", NotRun, Verdict::NotRun),
    ]
}
