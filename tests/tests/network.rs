//! The network between a board and the rig: where it is dead, the firmware is not blamed, and where a
//! firmware never connects, the network is not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use hilrig_core::check::CheckOutcome;
use hilrig_core::exit;
use hilrig_core::phase::Phase;
use hilrig_core::verdict::Verdict;
use hilrig_tests::PATIENCE;
use hilrig_tests::attached::AttachedBoard;
use hilrig_tests::hold;
use hilrig_tests::record::Record;
use hilrig_tests::sandbox::{Configuration, Sandbox, path_text};

/// An address in QEMU's network without an owner.
const NOBODY: &str = "10.0.2.99";

/// A control socket in front of the board's own that always reports that the network cable is in: a real
/// board has nothing that reports it.
fn without_link_state(sandbox: &Sandbox, board: &AttachedBoard) -> String {
    let path = sandbox.path("control");
    let listener = UnixListener::bind(&path).unwrap();
    let own = board.control_socket().to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, own) = (client.unwrap(), UnixStream::connect(&own));
            // The board is gone when the test is over.
            let Ok(own) = own else { return };
            std::thread::spawn(move || forward(client, own));
        }
    });
    path_text(&path)
}

fn forward(mut client: UnixStream, mut own: UnixStream) -> std::io::Result<()> {
    let commands = BufReader::new(client.try_clone()?).lines();
    let mut answers = BufReader::new(own.try_clone()?).lines();
    for command in commands {
        writeln!(own, "{}", command?)?;
        let Some(answer) = answers.next() else { break };
        writeln!(client, "{}", answer?.replace("\"link\":false", "\"link\":true"))?;
    }
    Ok(())
}

/// Short deadlines, and the board `desk` with these further keys.
fn configure(configuration: &mut Configuration, board: &AttachedBoard, more: &[(&str, &str)]) {
    configuration
        .set("deadlines.boot", "8 s")
        .set("deadlines.connect", "15 s")
        .set("deadlines.reply", "5 s");
    let mut desk = board.as_board("desk");
    for (key, value) in more {
        desk.insert((*key).into(), (*value).into());
    }
    configuration.board(desk);
}

#[track_caller]
fn ended_in(record: &Record, verdict: Verdict, phase: Phase, says: &[&str]) {
    record.must_be_whole();
    let (found, why) = record.verdict("desk");
    assert_eq!(found, verdict, "{why}");
    for words in says {
        assert!(why.contains(words), "`{words}` is not in: {why}");
    }
    assert_eq!(record.phases("desk").last(), Some(&phase), "{why}");
    if verdict == Verdict::RigFault {
        assert_eq!(record.checks_that("desk", CheckOutcome::NotHeld), [""; 0]);
    }
}

fn a_network_that_goes_down(phase: Phase) {
    let sandbox = Sandbox::new();
    let board = AttachedBoard::start(&sandbox, "desk");
    let mut configuration = Configuration::new();
    hold::in_phase(&sandbox, &mut configuration, phase);
    let control = without_link_state(&sandbox, &board);
    configure(&mut configuration, &board, &[("control", &control)]);
    sandbox.configure(&configuration);
    let mut run = sandbox.start(&["run"]);
    run.line_with(&format!("desk  {}", phase.words()));
    // It has connected, so that the network was there.
    let log = sandbox.path("hilrig-records/latest/desk/boot.log");
    let connected = "Attempting MQTT connection...connected";
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&log).is_ok_and(|log| log.contains(connected)) {
        assert!(Instant::now() < deadline, "the board does not connect within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    board.control(r#"{"do":"link_down"}"#);
    run.ended().with_code(exit::RIG_FAULT);
    let says = ["reports that it has no network", "`WiFi lost`", "access point", phase.words()];
    ended_in(&sandbox.record(), Verdict::RigFault, phase, &says);
    board.stop();
    std::fs::remove_file(sandbox.path("control")).unwrap();
    sandbox.nothing_may_be_left();
}

#[test]
fn a_network_that_goes_down_in_the_switch_is_the_bench_s_trouble() {
    a_network_that_goes_down(Phase::Switch);
}

#[test]
fn a_network_that_goes_down_in_mqtt_mode_is_the_bench_s_trouble() {
    a_network_that_goes_down(Phase::Mqtt);
}

/// A run whose board has these keys, with these texts of the contract replaced; its exit code.
fn run(sandbox: &Sandbox, more: &[(&str, &str)], edits: &[(&str, &str)], code: u8) -> Record {
    let board = AttachedBoard::start(sandbox, "desk");
    let mut configuration = Configuration::new();
    hold::contract(sandbox, &mut configuration, edits);
    configure(&mut configuration, &board, more);
    sandbox.configure(&configuration);
    sandbox.run(&["run"]).with_code(code);
    board.stop();
    sandbox.nothing_may_be_left();
    sandbox.record()
}

#[test]
fn a_request_for_the_time_that_does_not_arrive_is_the_bench_s_trouble() {
    let sandbox = Sandbox::new();
    let record = run(&sandbox, &[("rig", NOBODY)], &[], exit::RIG_FAULT);
    let says = ["asks for the time", "no request reached the rig", "firewall", "`rig`"];
    ended_in(&record, Verdict::RigFault, Phase::Refusal, &says);
}

/// The log has no attempt of which the rig could know.
const NO_ATTEMPT: [(&str, &str); 2] = [
    (
        r"failed = '^Attempting MQTT connection\.\.\.failed, rc=(?P<rc>-?\d+) try again in \d+ seconds$'",
        "failed = '^never$'",
    ),
    (r"asks_time = '^Waiting for time\.\.\.\.$'", ""),
];

#[test]
fn a_firmware_that_never_tries_to_connect_fails() {
    let sandbox = Sandbox::new();
    // Nothing arrives, and the log has no attempt.
    let record = run(&sandbox, &[("rig", NOBODY)], &NO_ATTEMPT, exit::BOARD_FAILED);
    ended_in(&record, Verdict::Failed, Phase::Refusal, &["waited 8 s for the boot log's line 1"]);
    let notes = record.notes();
    let note = "no connection from the board reached the rig";
    assert!(notes.iter().any(|text| text == note), "{notes:?}");
}

#[test]
fn a_firmware_that_connects_to_another_port_fails() {
    let sandbox = Sandbox::new();
    // The time that it gets from the rig shows that the network carries what it sends.
    let edits = [("retry_attempts = \"mqtt_ra\"", "retry_attempts = \"mqtt_pt\"")];
    let record = run(&sandbox, &[], &edits, exit::BOARD_FAILED);
    ended_in(&record, Verdict::Failed, Phase::Refusal, &["it gave up without saying"]);
    let notes = record.notes();
    let note = "no connection from the board reached the rig";
    assert!(notes.iter().any(|text| text == note), "{notes:?}");
}

#[test]
fn a_broker_with_a_fixed_port_is_connected_to_directly_and_the_record_notes_that() {
    let sandbox = Sandbox::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut configuration = Configuration::new();
    hold::contract(&sandbox, &mut configuration, &NO_ATTEMPT);
    configuration.set("broker.port", i64::from(port));
    let board = AttachedBoard::start(&sandbox, "desk");
    configure(&mut configuration, &board, &[("rig", NOBODY)]);
    sandbox.configure(&configuration);
    sandbox.run(&["run"]).with_code(exit::BOARD_FAILED);
    let notes = sandbox.record().notes();
    assert!(notes.iter().any(|text| text.contains("fixed `port`")), "{notes:?}");
    board.stop();
    sandbox.nothing_may_be_left();
}
