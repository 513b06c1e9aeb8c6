//! `hilrig certify`: the matrix on virtual boards, and what can go wrong with it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hilrig_core::certify::matrix::CASES;
use hilrig_core::certify::{Act, Expected};
use hilrig_tests::attached::AttachedBoard;
use hilrig_tests::engine::Engine;
use hilrig_tests::record::Record;
use hilrig_tests::running::RunningProgram;
use hilrig_tests::sandbox::{Configuration, Sandbox};
use hilrig_tests::{PATIENCE, artifacts, outside_broker};
use rustix::process::Signal;
use serde_json::Value;

/// The certificate that a certification of this broker has left.
fn certificate(folder: &Path, broker: &str) -> Value {
    let path = folder.join(broker).join("certificate.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn case<'a>(certificate: &'a Value, id: &str) -> &'a Value {
    let cases = certificate["cases"].as_array().unwrap();
    cases.iter().find(|case| case["id"] == id).unwrap_or_else(|| panic!("no case {id}"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[test]
fn the_matrix_of_mosquitto_comes_out_as_it_must() {
    let bench = Sandbox::new();
    let record = bench.path("record");
    let ended = bench
        .run(&["certify", "--virtual", "4", "--seed", "5", "--record", record.to_str().unwrap()])
        .with_code(0);
    let certificate = certificate(&record, "mosquitto");

    let ids: Vec<&str> =
        certificate["cases"].as_array().unwrap().iter().map(|case| text(case, "id")).collect();
    assert_eq!(ids, CASES.iter().map(|case| case.id).collect::<Vec<_>>());
    for known in CASES {
        let case = case(&certificate, known.id);
        let verdict = match known.expected {
            // Mosquitto's listener has one certificate.
            _ if known.id == "two-leaves-pin" => "not_run",
            Expected::Reported => "reported",
            Expected::MustConnect | Expected::MustRefuse(_) => "held",
        };
        assert_eq!(text(case, "verdict"), verdict, "{case:#}");
        // What a board connected for has its cost, and the wire as its witness.
        if text(case, "outcome") == "connected" {
            for cost in ["heap_handshake", "heap_connected", "handshake_bytes"] {
                assert!(case["cost"][cost].as_u64().is_some_and(|cost| cost > 0), "{case:#}");
            }
            assert!(case["evidence"]["wire"][0]["finished"].as_bool().unwrap(), "{case:#}");
        }
        let large =
            matches!(known.act, Act::LargeMessage(_)) && text(case, "outcome") == "connected";
        assert_eq!(case["cost"]["heap_after_message"].is_u64(), large, "{case:#}");
    }

    // What is known of this broker: OpenSSL keeps to MFLN, resumes by tickets and ids, and has no suite for
    // those who stop at 1.2 where it takes 1.3 alone.
    for (id, found) in [
        ("mfln-512", "MFLN of 512 B was confirmed and kept to"),
        ("mfln-4096", "MFLN of 4096 B was confirmed and kept to"),
        ("reconnects", "came back 10 times of 10"),
        ("mqtt-will", "the board's own will was published"),
        ("mqtt-retained", "the board did not do what was kept for it"),
        ("mqtt-broker-restart", "the board came back by itself"),
        (
            "resumption",
            "after a cut: the session was offered by its id, and not resumed; after the broker's orderly close: the session was resumed by its id",
        ),
        (
            "mqtt-reconnect-storm",
            "without a password to check, 50 clients at once were answered with return code 5",
        ),
    ] {
        let found_here = text(&case(&certificate, id)["evidence"], "found");
        assert!(found_here.contains(found), "{id}: {found_here}");
    }
    let storm = text(&case(&certificate, "mqtt-reconnect-storm")["evidence"], "found");
    for board in certificate["device"]["boards"].as_array().unwrap() {
        assert!(storm.contains(board.as_str().unwrap()), "{board} is not in: {storm}");
    }
    assert!(storm.starts_with("4 boards (") && storm.contains("50 clients"), "{storm}");
    let small = case(&certificate, "mfln-512")["cost"]["heap_connected"].as_u64().unwrap();
    let whole = case(&certificate, "control")["cost"]["heap_connected"].as_u64().unwrap();
    assert!(
        small > whole + 14_000,
        "{small} B free with records of 512 B, {whole} B with whole ones"
    );

    // Who refused is the device: the same set-up lets others in.
    let clients = &case(&certificate, "clock-1970")["evidence"]["clients"];
    assert_eq!(clients.as_array().map(Vec::len), Some(2), "{clients}");

    bench.run(&["certify", "check", record.to_str().unwrap()]).with_code(0);
    ended.showing("mosquitto, control: passed");
    bench.nothing_may_be_left();
}

#[test]
fn a_broker_in_a_container_is_reported_as_such() {
    let Some(engine) = Engine::find() else { return };
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    // Where no image can be pulled, one is made first.
    configuration.set("broker.kind", "container").set("deadlines.broker", "4 min");
    bench.configure(&configuration);
    let record = bench.path("record");
    let arguments = ["certify", "--virtual", "1", "--record", record.to_str().unwrap()];
    let cases = ["--case", "control", "--case", "mqtt-broker-restart"];
    bench.run(&[&arguments[..], &cases].concat()).with_code(0);
    let certificate = certificate(&record, "mosquitto");
    let broker = &certificate["broker"];
    assert_eq!(text(broker, "kind"), "container");
    assert!(text(broker, "from").contains("mosquitto:"), "{broker}");
    for id in ["control", "mqtt-broker-restart"] {
        let case = case(&certificate, id);
        assert!(["held", "reported"].contains(&text(case, "verdict")), "{case:#}");
    }
    bench.nothing_may_be_left();
    assert_eq!(
        engine.containers_of(&Record::open(&record).run()),
        [""; 0],
        "containers that are left"
    );

    bench.configure(&configuration);
    let refused = bench.run(&["certify", "--broker", "aedes", "--virtual", "1"]).with_code(120);
    assert!(refused.stderr.contains("names no image"), "{refused}");
}

#[test]
fn a_board_that_dies_in_a_case_is_reported_there_and_the_matrix_goes_on() {
    let bench = Sandbox::new();
    bench.configure(Configuration::new().image(&artifacts::faulty_firmware("CRASH_IN_HANDSHAKE")));
    let record = bench.path("record");
    let arguments = ["certify", "--virtual", "1", "--record", record.to_str().unwrap()];
    let cases = ["--case", "control", "--case", "mfln-asked", "--case", "other-ca"];
    bench.run(&[&arguments[..], &cases].concat()).with_code(100);
    let certificate = certificate(&record, "mosquitto");
    for id in ["control", "other-ca"] {
        let case = case(&certificate, id);
        assert_eq!(
            (text(case, "outcome"), text(case, "verdict")),
            ("broken", "not_held"),
            "{case:#}"
        );
        assert!(text(case, "why").contains("the board crashed"), "{case:#}");
    }
    assert_eq!(text(case(&certificate, "mfln-asked"), "outcome"), "measured");
    bench.nothing_may_be_left();
}

#[test]
fn a_certification_that_is_stopped_leaves_its_certificate() {
    let bench = Sandbox::new();
    let record = bench.path("record");
    let mut running =
        bench.start(&["certify", "--virtual", "1", "--record", record.to_str().unwrap()]);
    running.line_with("control: passed");
    running.signal(Signal::INT);
    running.ended().with_code(120);
    let certificate = certificate(&record, "mosquitto");
    assert_eq!(text(case(&certificate, "control"), "verdict"), "held");
    let last = case(&certificate, "mqtt-reconnect-storm");
    assert_eq!(text(last, "outcome"), "not_run", "{last:#}");
    assert!(text(last, "why").contains("stopped by SIGINT"), "{last:#}");
    assert_eq!(certificate["cases"].as_array().unwrap().len(), CASES.len());
    bench.nothing_may_be_left();
}

#[test]
fn what_is_no_case_no_broker_and_no_ca_is_refused_before_anything_runs() {
    let bench = Sandbox::new();
    bench.write("ca.pem", "this is no certificate");
    bench.write("empty", "");
    let refused = |arguments: &[&str], saying: &str| {
        bench
            .run(&[&["certify", "--virtual", "1"], arguments].concat())
            .with_code(2)
            .saying(saying);
        bench.must_be_untouched();
    };
    refused(&["--case", "mfln-513"], "there is no case `mfln-513`");
    refused(&["--broker", "mosquito"], "there is no broker `mosquito`");
    refused(&["--broker", "localhost:8883"], "it needs the broker's CA");
    refused(&["--broker", "localhost:88833", "--ca", "ca.pem"], "the port is a number");
    let at = ["--broker", "localhost:8883"];
    refused(&[&at[..], &["--ca", "ca.pem"]].concat(), "it is no CA certificate");
    refused(&[&at[..], &["--ca", "missing.pem"]].concat(), "it cannot be read");
}

/// Mosquitto that hilrig did not start, with a certificate for these names, as OpenSSL writes a subjectAltName; and
/// the CA of the certificate.
fn mosquitto(bench: &Sandbox, names: &str) -> (RunningProgram, u16, PathBuf) {
    let ca = authority(bench, names);
    let (running, port) = outside_broker::mosquitto(bench, "broker", "allow_anonymous true");
    (running, port, ca)
}

/// A CA, with a broker's certificate for these names.
fn authority(bench: &Sandbox, names: &str) -> PathBuf {
    outside_broker::authority(bench, "ca");
    outside_broker::request(bench, "broker", "-newkey rsa:2048", "broker");
    bench.write("names", format!("subjectAltName={names}\n"));
    outside_broker::sign(bench, "ca", "broker", "-days 2 -extfile names");
    bench.path("ca.pem")
}

#[test]
fn a_broker_that_runs_already_is_asked_what_needs_nothing_of_it() {
    let bench = Sandbox::new();
    let (running, port, ca) = mosquitto(&bench, "DNS:localhost");
    let record = bench.path("record");
    let broker = format!("localhost:{port}");
    let cases = ["control", "mfln-1024", "wrong-pin", "leaf-pinned", "expired", "other-ca"];
    let mut arguments = vec!["certify", "--virtual", "1", "--record", record.to_str().unwrap()];
    arguments.extend(["--broker", &broker, "--ca", ca.to_str().unwrap()]);
    arguments.extend(cases.iter().flat_map(|id| ["--case", id]));
    let ended = bench.run(&arguments).with_code(0);
    let folder = std::fs::read_dir(&record).unwrap().flatten();
    let folder =
        folder.map(|entry| entry.path()).find(|path| path.join("certificate.json").is_file());
    let folder = folder.unwrap_or_else(|| panic!("no certificate of {broker}: {ended}"));
    let certificate = certificate(&folder, "");
    assert_eq!(certificate["name"], broker);
    for (id, verdict) in [
        ("control", "held"),
        ("mfln-1024", "reported"),
        ("wrong-pin", "held"),
        ("leaf-pinned", "held"),
        ("expired", "held"),
        ("other-ca", "not_run"),
    ] {
        let case = case(&certificate, id);
        assert_eq!(text(case, "verdict"), verdict, "{case:#}");
    }
    assert!(text(case(&certificate, "other-ca"), "why").contains("does not control"));
    running.signal(Signal::TERM);
    running.ended();
    bench.nothing_may_be_left();
}

#[test]
fn a_broker_whose_certificate_has_a_name_and_no_address_is_known_by_that_name() {
    let bench = Sandbox::new();
    let (running, port, ca) = mosquitto(&bench, "DNS:broker.hilrig.test");
    let broker = format!("127.0.0.1:{port}");
    let named = |name: &str| {
        let record = bench.path(name);
        let mut arguments = vec!["certify", "--virtual", "1", "--case", "control"];
        arguments.extend(["--broker", &broker, "--ca", ca.to_str().unwrap()]);
        arguments.extend(["--name", name, "--record", record.to_str().unwrap()]);
        bench.run(&arguments)
    };
    named("broker.hilrig.test").with_code(0).showing("control: passed");
    // The board refuses it, and what is to be done is said.
    let refused = named("other.hilrig.test").with_code(100);
    refused.showing("not for `other.hilrig.test`").showing("--name broker.hilrig.test");
    running.signal(Signal::TERM);
    running.ended();
    bench.nothing_may_be_left();
}

#[test]
fn a_broker_that_is_none_is_the_bench_s_trouble_and_is_named() {
    let bench = Sandbox::new();
    let ca = authority(&bench, "DNS:localhost");
    let told = |broker: &str, name: &str, why: &str| {
        let record = bench.path(name);
        let mut arguments = vec!["certify", "--virtual", "1", "--case", "control"];
        arguments.extend(["--broker", broker, "--ca", ca.to_str().unwrap()]);
        arguments.extend(["--record", record.to_str().unwrap()]);
        bench.run(&arguments).with_code(120).showing(broker).showing(why);
        bench.nothing_may_be_left();
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Each connection is closed at once.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    told(&format!("localhost:{port}"), "closes", "closes it in the handshake");
}

#[test]
fn a_restart_that_nobody_asked_for_fails_the_case_in_which_it_came() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    bench.configure(&configuration);
    let record = bench.path("record");
    let mut arguments = vec!["certify", "--record", record.to_str().unwrap()];
    // The second waits for seconds while the board is connected.
    for case in ["control", "mqtt-keep-alive", "mqtt-qos"] {
        arguments.extend(["--case", case]);
    }
    let mut certify = bench.start(&arguments);
    certify.line_with("control: passed");
    let log = record.join("desk/boot.log");
    let connected = || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        log.matches("Attempting MQTT connection...connected").count()
    };
    let deadline = Instant::now() + PATIENCE;
    while connected() < 2 {
        assert!(Instant::now() < deadline, "the board does not connect within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    board.control(r#"{"do":"reset"}"#);
    certify.ended().with_code(100);
    let certificate = certificate(&record, "mosquitto");
    let restarted = case(&certificate, "mqtt-keep-alive");
    assert_eq!(text(restarted, "verdict"), "not_held", "{restarted:#}");
    let why = text(restarted, "why");
    assert!(why.contains("the rig did not ask for it"), "{why}");
    for id in ["control", "mqtt-qos"] {
        assert_eq!(text(case(&certificate, id), "verdict"), "held", "{id}");
    }
    board.stop();
    bench.nothing_may_be_left();
}
