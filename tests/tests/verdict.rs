//! Who is to blame: trouble of the bench in every phase is a rig fault that names what was found dead, and
//! a start of the chip that the rig did not ask for fails the board. Boards never share a fate.

use std::fs;
use std::time::{Duration, Instant};

use hilrig_core::check::CheckOutcome;
use hilrig_core::exit;
use hilrig_core::phase::Phase;
use hilrig_core::verdict::Verdict;
use hilrig_tests::PATIENCE;
use hilrig_tests::attached::AttachedBoard;
use hilrig_tests::hold;
use hilrig_tests::record::Record;
use hilrig_tests::running::RunningProgram;
use hilrig_tests::sandbox::{Configuration, Sandbox, path_text};
use rustix::process::{Pid, Signal, kill_process};

/// What is done to a board, and what the verdict reports.
const FAULTS: [(&str, &str); 4] = [
    ("off", "it has no power"),
    ("hung", "its chip hangs"),
    ("stopped", "is stopped"),
    ("unplugged", "its network cable is out"),
];

/// Boards of these names, on a run that stays in `phase` for a few seconds.
fn held_in(bench: &Sandbox, phase: Phase, names: &[&str]) -> (Vec<AttachedBoard>, RunningProgram) {
    let mut configuration = Configuration::new();
    match phase {
        Phase::Configuration => {
            // The boards wait for the broker.
            configuration.set("broker.executable", path_text(&bench.gated_broker()));
        }
        _ => hold::in_phase(bench, &mut configuration, phase),
    }
    // The phase goes on for this long, and no wait after that takes longer.
    configuration
        .set("deadlines.boot", "8 s")
        .set("deadlines.connect", "5 s")
        .set("deadlines.reply", "5 s");
    configuration.set("deadlines.broker", "20 s");
    let boards = attached(bench, &mut configuration, names);
    bench.configure(&configuration);
    let mut run = bench.start(&["run"]);
    for _ in names {
        run.line_with(phase.words());
    }
    // Each board is in MQTT mode in the refusal for the first time, and after the switch for the second.
    let starts = match phase {
        Phase::Refusal => 1,
        Phase::Switch => 2,
        _ => 0,
    };
    for name in names {
        in_mqtt_mode(bench, name, starts);
    }
    (boards, run)
}

/// Boards of these names, each with a process of its own.
fn attached(
    bench: &Sandbox,
    configuration: &mut Configuration,
    names: &[&str],
) -> Vec<AttachedBoard> {
    let board = |(seed, name): (u64, &&str)| {
        let board = AttachedBoard::seeded(bench, name, seed);
        configuration.board(board.as_board(name));
        board
    };
    (0..).zip(names).map(board).collect()
}

/// Waits until a board has come up in MQTT mode this many times.
fn in_mqtt_mode(bench: &Sandbox, board: &str, starts: usize) {
    printed(bench, board, "MQTT Client Running", starts);
}

/// Waits until a board has printed a text this many times.
fn printed(bench: &Sandbox, board: &str, text: &str, times: usize) {
    let log = bench.path(format!("hilrig-records/latest/{board}/boot.log"));
    let deadline = Instant::now() + PATIENCE;
    while fs::read(&log).map_or(0, |log| count(&log, text.as_bytes())) < times {
        assert!(Instant::now() < deadline, "{board} did not print `{text}` within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn count(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len()).filter(|window| *window == part).count()
}

fn qemu(board: &AttachedBoard) -> Pid {
    let status = board.control(r#"{"do":"status"}"#);
    let pid = status["status"]["qemu"].as_i64().unwrap_or_else(|| panic!("no QEMU in {status}"));
    Pid::from_raw(pid as i32).unwrap()
}

fn do_to(board: &AttachedBoard, fault: &str) {
    match fault {
        "off" => drop(board.control(r#"{"do":"power_off"}"#)),
        "hung" => drop(board.control(r#"{"do":"hang"}"#)),
        "stopped" => kill_process(qemu(board), Signal::STOP).unwrap(),
        "unplugged" => drop(board.control(r#"{"do":"link_down"}"#)),
        "reset" => drop(board.control(r#"{"do":"reset"}"#)),
        "power-came-back" => {
            board.control(r#"{"do":"power_off"}"#);
            board.control(r#"{"do":"power_on"}"#);
        }
        other => panic!("{other}"),
    }
}

#[track_caller]
fn rig_fault(record: &Record, board: &str, says: &str) {
    let (verdict, why) = record.verdict(board);
    assert_eq!(verdict, Verdict::RigFault, "{board}: {why}");
    assert!(why.contains(says), "`{says}` is not in: {why}");
    assert_eq!(record.checks_that(board, CheckOutcome::NotHeld), [""; 0], "{board}");
}

/// The board failed by this check alone, and no JUnit failure is beside it.
#[track_caller]
fn failed_by(record: &Record, board: &str, check: &str, says: &[&str]) {
    let (verdict, why) = record.verdict(board);
    assert_eq!(verdict, Verdict::Failed, "{board}: {why}");
    assert_eq!(record.checks_that(board, CheckOutcome::NotHeld), [check], "{board}: {why}");
    let found = record.check(board, check).found.unwrap();
    for words in says {
        assert!(found.contains(words), "`{words}` is not in: {found}");
    }
    let junit = record.text("junit.xml");
    let suite =
        junit.split("<testsuite ").find(|suite| suite.starts_with(&format!("name=\"{board}\"")));
    let suite = suite.unwrap_or_else(|| panic!("no suite of {board} in {junit}"));
    assert_eq!(suite.matches("<failure").count(), 1, "{suite}");
}

fn trouble_of_the_bench(phase: Phase) {
    let bench = Sandbox::new();
    // Something is done to all but the last, and the last shows the verdict on a firmware that hangs.
    let names: Vec<&str> = FAULTS.iter().map(|(name, _)| *name).chain(["sound"]).collect();
    let (boards, run) = held_in(&bench, phase, &names);
    for (board, (fault, _)) in boards.iter().zip(FAULTS) {
        do_to(board, fault);
    }
    if phase == Phase::Configuration {
        bench.open_gate();
    }
    let ended = run.ended();
    let record = bench.record();
    record.must_be_whole();
    for (fault, says) in FAULTS {
        rig_fault(&record, fault, says);
        rig_fault(&record, fault, phase.words());
    }
    let last = match phase {
        Phase::Configuration => Verdict::Passed,
        _ => Verdict::Failed,
    };
    let (verdict, why) = record.verdict("sound");
    assert_eq!(verdict, last, "{why}");
    let code = if last == Verdict::Failed { exit::BOARD_FAILED } else { exit::RIG_FAULT };
    ended.with_code(code);
    for board in boards {
        board.stop();
    }
    bench.nothing_may_be_left();
}

#[test]
fn trouble_of_the_bench_in_configuration_mode() {
    trouble_of_the_bench(Phase::Configuration);
}

#[test]
fn trouble_of_the_bench_in_the_refusal() {
    trouble_of_the_bench(Phase::Refusal);
}

#[test]
fn trouble_of_the_bench_in_the_switch() {
    trouble_of_the_bench(Phase::Switch);
}

#[test]
fn trouble_of_the_bench_in_mqtt_mode() {
    trouble_of_the_bench(Phase::Mqtt);
}

fn a_broker_that_stands_still(phase: Phase) {
    let bench = Sandbox::new();
    let (boards, mut run) = held_in(&bench, phase, &["desk"]);
    if phase == Phase::Configuration {
        bench.open_gate();
        run.line_with(", ready in ");
    }
    let broker = bench.process("mosquitto").pid;
    kill_process(broker, Signal::STOP).unwrap();
    let ended = run.ended();
    let record = bench.record();
    record.must_be_whole();
    rig_fault(&record, "desk", "the broker does not answer the rig either");
    ended.with_code(exit::RIG_FAULT);
    boards.into_iter().for_each(|board| drop(board.stop()));
    bench.nothing_may_be_left();
}

#[test]
fn a_broker_that_stands_still_in_configuration_mode() {
    a_broker_that_stands_still(Phase::Configuration);
}

#[test]
fn a_broker_that_stands_still_in_the_refusal() {
    a_broker_that_stands_still(Phase::Refusal);
}

#[test]
fn a_broker_that_stands_still_in_mqtt_mode() {
    a_broker_that_stands_still(Phase::Mqtt);
}

fn a_restart_that_was_not_asked_for(phase: Phase) {
    const RESTARTS: [(&str, &str); 2] =
        [("reset", "reset cause 2"), ("power-came-back", "reset cause 1: power-on")];
    let bench = Sandbox::new();
    let (boards, run) = held_in(&bench, phase, &["reset", "power-came-back"]);
    for (board, (fault, _)) in boards.iter().zip(RESTARTS) {
        do_to(board, fault);
    }
    let ended = run.ended().with_code(exit::BOARD_FAILED);
    let record = bench.record();
    record.must_be_whole();
    for (board, cause) in RESTARTS {
        // With the line hidden that reports that it gives up, the start after that is the one too many.
        let cause = if phase == Phase::Refusal { "reset cause " } else { cause };
        let says = ["the rig did not ask for it", phase.words(), "while the rig ", cause];
        failed_by(&record, board, "restarts", &says);
        let line = record.check(board, "restarts").log_line.unwrap() as usize;
        let log = record.text(&format!("{board}/boot.log"));
        assert!(log.lines().nth(line - 1).unwrap().contains("rst cause:"), "line {line} of {log}");
    }
    ended.showing("restarts");
    boards.into_iter().for_each(|board| drop(board.stop()));
    bench.nothing_may_be_left();
}

#[test]
fn a_restart_in_configuration_mode_fails_the_board() {
    a_restart_that_was_not_asked_for(Phase::Configuration);
}

#[test]
fn a_restart_in_the_refusal_fails_the_board() {
    a_restart_that_was_not_asked_for(Phase::Refusal);
}

#[test]
fn a_restart_on_the_way_to_mqtt_mode_fails_the_board() {
    a_restart_that_was_not_asked_for(Phase::Switch);
}

#[test]
fn a_restart_in_mqtt_mode_fails_the_board() {
    a_restart_that_was_not_asked_for(Phase::Mqtt);
}

#[test]
fn a_topic_that_is_none_fails_its_board_before_it_is_used() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    // The bundled firmware stores no wildcard; what a boot log names is what the pattern finds.
    let edits = [
        ("(?P<rx_topic>.+)$", "(?P<rx_topic>mqtt_).+$"),
        ("(?P<tx_topic>.+)$", "(?P<tx_topic>mqtt_).+$"),
    ];
    hold::contract(&bench, &mut configuration, &edits);
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::BOARD_FAILED);
    let record = bench.record();
    record.must_be_whole();
    failed_by(&record, "virtual-1", "boot_log.mqtt", &["one topic for both directions, `mqtt_`"]);
    bench.nothing_may_be_left();
}

#[test]
fn a_topic_that_a_broker_ends_the_connection_for_fails_its_board_and_no_other() {
    // The topic as the board prints it, and what the verdict reports of it.
    let topics = [
        ("wildcard", "bench/#".to_owned(), "has a wildcard"),
        ("nul", "mqtt_\0tx".to_owned(), "bytes that no topic may have"),
        ("long", "t".repeat(65_536), "longer than 2,048 bytes"),
    ];
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    let names: Vec<&str> = topics.iter().map(|(name, ..)| *name).chain(["sound"]).collect();
    let boards = attached(&bench, &mut configuration, &names);
    // The bundled firmware stores no such topic. So the rig does not read its lines on these boards, but the test's.
    let sound = boards.last().unwrap().mac().replace(':', "");
    let read = format!("(?P<tx_topic>mqtt_tx_{sound}|bench/#|mqtt_.tx|tt+)$");
    let edits = [
        ("(?P<tx_topic>.+)$", read.as_str()),
        // Without it there is no refusal, and MQTT mode is entered once.
        (r"given_up = '^MQTT given up after \d+ attempts, HTTP Server Restored$'", ""),
    ];
    hold::contract(&bench, &mut configuration, &edits);
    bench.configure(&configuration);
    let run = bench.start(&["run"]);
    for (board, (name, topic, _)) in boards.iter().zip(&topics) {
        // The last line that it prints by itself: nothing breaks the test's lines after it.
        printed(&bench, name, "Heap connected: ", 1);
        let text = format!("MQTT Tx Topic: {topic}\r\nESP8266 Mode: MQTT Client Running\r\n");
        board.say(&format!("\r\n{text}"));
    }
    run.ended().with_code(exit::BOARD_FAILED);
    let record = bench.record();
    record.must_be_whole();
    for (board, _, words) in &topics {
        let (verdict, why) = record.verdict(board);
        assert_eq!(verdict, Verdict::Failed, "{board}: {why}");
        assert!(why.contains("the boot log's tx_topic `") && why.contains(words), "{why}");
        assert_eq!(record.checks_that(board, CheckOutcome::NotHeld), ["boot_log.mqtt"], "{board}");
    }
    // All but the refusal, which this contract has no way for.
    let (_, why) = record.verdict("sound");
    assert_eq!(record.checks_that("sound", CheckOutcome::NotHeld), [""; 0], "{why}");
    assert_eq!(record.checks_that("sound", CheckOutcome::NotMeasured), ["refusal"], "{why}");
    boards.into_iter().for_each(|board| drop(board.stop()));
    bench.nothing_may_be_left();
}
