//! Trouble: of the bench, which is never blamed on the firmware, and of the firmware, which is distinguished
//! from the bench's. Every message has what was tried, what was found and what to do next.

use std::net::TcpListener;

use hilrig_core::check::CheckOutcome;
use hilrig_core::event::What;
use hilrig_core::exit;
use hilrig_core::phase::Phase;
use hilrig_core::verdict::Verdict;
use hilrig_tests::artifacts;
use hilrig_tests::attached::AttachedBoard;
use hilrig_tests::engine::Engine;
use hilrig_tests::hold;
use hilrig_tests::record::Record;
use hilrig_tests::running::RunningProgram;
use hilrig_tests::sandbox::{Configuration, Sandbox, path_text};
use rustix::process::{Signal, kill_process};

/// The run ended as the bench's trouble: no check counts against the board.
#[track_caller]
fn rig_fault(record: &Record, board: &str, says: &[&str]) {
    record.must_be_whole();
    let (verdict, why) = record.verdict(board);
    assert_eq!(verdict, Verdict::RigFault, "{why}");
    assert_eq!(record.checks_that(board, CheckOutcome::NotHeld), [""; 0]);
    for words in says {
        assert!(why.contains(words), "`{words}` is not in: {why}");
    }
}

/// The board failed, and why.
#[track_caller]
fn failed(record: &Record, board: &str, says: &[&str]) {
    record.must_be_whole();
    let (verdict, why) = record.verdict(board);
    assert_eq!(verdict, Verdict::Failed, "{why}");
    for words in says {
        assert!(why.contains(words), "`{words}` is not in: {why}");
    }
}

/// No byte of a board moves the cursor, colours the text or rings the bell.
#[track_caller]
fn only_printable(text: &str) {
    let odd = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    assert_eq!(odd, None, "a control character in: {text:?}");
}

// -- what is not there --

#[test]
fn without_qemu_no_board_is_judged() {
    let bench = Sandbox::new();
    let mut command = bench.hilrig(&["run"]);
    command.env("PATH", bench.path("empty"));
    let ended = RunningProgram::start(command).ended().with_code(exit::RIG_FAULT);
    rig_fault(&bench.record(), "virtual-1", &["qemu-system-xtensa", "apt-get install"]);
    ended.showing("rig fault");
    bench.nothing_may_be_left();
}

#[test]
fn without_any_broker_no_board_is_judged() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration.set("broker.kind", "auto").set("broker.executable", "no-such-mosquitto");
    bench.configure(&configuration);
    let mut command = bench.hilrig(&["run"]);
    command.env("DOCKER_HOST", format!("unix://{}", path_text(&bench.path("no-engine"))));
    RunningProgram::start(command).ended().with_code(exit::RIG_FAULT);
    let record = bench.record();
    rig_fault(&record, "virtual-1", &["no-such-mosquitto", "no-engine", "apt-get install"]);
    bench.nothing_may_be_left();
}

#[test]
fn a_container_that_is_asked_for_is_not_replaced_by_a_process() {
    let bench = Sandbox::new();
    let mut command = bench.hilrig(&["run", "--broker", "container"]);
    command.env("DOCKER_HOST", format!("unix://{}", path_text(&bench.path("no-engine"))));
    RunningProgram::start(command).ended().with_code(exit::RIG_FAULT);
    rig_fault(&bench.record(), "virtual-1", &["no-engine", "Docker"]);
    bench.nothing_may_be_left();
}

#[test]
fn without_an_engine_auto_takes_a_process() {
    let bench = Sandbox::new();
    let mut command = bench.hilrig(&["run", "--broker", "auto"]);
    command.env("DOCKER_HOST", format!("unix://{}", path_text(&bench.path("no-engine"))));
    RunningProgram::start(command).ended().with_code(exit::PASSED);
    let record = bench.record();
    assert_eq!(record.summary()["broker"]["kind"], "process");
    let notes = record.notes();
    assert!(
        notes.iter().any(|note| note.contains("no-engine")),
        "the reason is reported: {notes:?}"
    );
}

#[test]
fn a_board_that_is_not_there_does_not_keep_the_others_from_their_verdicts() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    let there = toml::toml! { name = "there" kind = "virtual" };
    let gone = toml::toml! {
        name = "gone" kind = "virtual" port = "/dev/hilrig-no-such-port" control = "no-such-socket"
    };
    configuration.board(there).board(gone);
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::RIG_FAULT).showing("1 passed, 1 rig fault");
    let record = bench.record();
    rig_fault(&record, "gone", &["/dev/hilrig-no-such-port"]);
    assert_eq!(record.verdict("there").0, Verdict::Passed);
    assert_eq!(record.summary()["verdict"], "rig_fault");
    bench.nothing_may_be_left();
}

// -- what another run has --

#[test]
fn a_port_that_another_run_holds_is_left_to_it() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    hold::in_phase(&bench, &mut configuration, Phase::Boot);
    configuration.set("deadlines.lock", "100 ms");
    bench.configure(&configuration);
    let mut first = bench.start(&["run", "--record", "first"]);
    first.line_with("desk  boot");

    bench.run(&["run", "--record", "second"]).with_code(exit::RIG_FAULT);
    let second = Record::open(&bench.path("second"));
    let holder = format!("process {} has had it", first.pid().as_raw_nonzero());
    rig_fault(&second, "desk", &[board.port(), &holder, "hilrig run", "Wait for that process"]);
    assert_eq!(second.phases("desk"), [Phase::Lock]);
    // So are the commands that touch a board.
    for command in ["flash", "monitor"] {
        bench.run(&[command, "--board", "desk"]).with_code(exit::RIG_FAULT).saying(&holder);
    }

    first.signal(Signal::TERM);
    first.ended().with_code(exit::RIG_FAULT);
    let first = Record::open(&bench.path("first"));
    assert_eq!(
        first.phases("desk"),
        [Phase::Lock, Phase::Flash, Phase::Boot],
        "it was not disturbed"
    );
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn a_port_that_is_given_free_in_time_is_waited_for() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk")).set("deadlines.lock", "60 s");
    bench.configure(&configuration);
    bench.run(&["flash", "--board", "desk"]).with_code(exit::PASSED);
    let mut monitor = bench.start(&["monitor", "--board", "desk", "--reset"]);
    monitor.line_with("ESP8266 Mode");
    let mut run = bench.start(&["run"]);
    run.line_with("desk  lock");
    monitor.signal(Signal::INT);
    monitor.ended().with_code(exit::PASSED);
    run.ended().with_code(exit::PASSED);
    board.stop();
    bench.nothing_may_be_left();
}

fn broker_port_is_taken(kind: &str) {
    let somebody = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = somebody.local_addr().unwrap().port();
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration.set("broker.kind", kind).set("broker.port", i64::from(port));
    configuration.set("deadlines.broker", "4 min");
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::RIG_FAULT);
    let port = port.to_string();
    rig_fault(&bench.record(), "virtual-1", &[&port, "taken", "take the port out"]);
    bench.nothing_may_be_left();
}

#[test]
fn a_broker_port_that_is_taken_is_the_rigs_trouble() {
    broker_port_is_taken("process");
}

#[test]
fn a_broker_port_that_is_taken_is_the_rigs_trouble_with_a_container_too() {
    if Engine::find().is_some() {
        broker_port_is_taken("container");
    }
}

// -- what a board sends --

/// A run on a board that stays, which waits in vain for configuration mode; `do_to` is done to the
/// board in the meantime.
fn while_booting(do_to: impl FnOnce(&AttachedBoard)) -> (Sandbox, Record) {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    hold::in_phase(&bench, &mut configuration, Phase::Boot);
    configuration.set("deadlines.boot", "8 s");
    bench.configure(&configuration);
    let mut run = bench.start(&["run"]);
    run.line_with("desk  boot");
    do_to(&board);
    let ended = run.ended().with_code(exit::BOARD_FAILED);
    only_printable(&ended.stdout);
    only_printable(&ended.stderr);
    board.stop();
    bench.nothing_may_be_left();
    let record = bench.record();
    assert_eq!(record.phases("desk"), [Phase::Lock, Phase::Flash, Phase::Boot]);
    for name in ["events.jsonl", "summary.json", "junit.xml", "desk/boot.timed.log"] {
        only_printable(&record.text(name));
    }
    (bench, record)
}

#[test]
fn a_board_that_says_nothing_at_all_is_the_rigs_trouble() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk")).set("deadlines.boot", "2 s");
    configuration.set("heap.floor.boot", "1 KiB");
    bench.configure(&configuration);
    board.control(r#"{"do":"silent"}"#);
    bench.run(&["run"]).with_code(exit::RIG_FAULT);
    let record = bench.record();
    // The ROM speaks before any firmware does, so this is a cable or the power.
    let says = ["waited 2 s for the boot log's line 1 of 3", "said nothing at all", "its ROM"];
    rig_fault(&record, "desk", &says);
    rig_fault(&record, "desk", &["A power cycle did not help"]);
    assert_eq!(record.bytes("desk/boot.log"), b"");
    // Not measured is never passed.
    assert_eq!(record.check("desk", "heap.boot").outcome, CheckOutcome::NotMeasured);
    assert_eq!(record.check("desk", "mqtt.requests").outcome, CheckOutcome::NotMeasured);

    // The next run finds it as it was, and it speaks again.
    board.control(r#"{"do":"normal"}"#);
    configuration.set("deadlines.boot", "60 s");
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::PASSED);
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn a_flood_that_is_no_text_does_not_reach_the_terminal() {
    let bytes = 8 << 20;
    let (_bench, record) = while_booting(|board| {
        board.control(&format!(r#"{{"do":"garbage","bytes":{bytes},"seed":3}}"#));
    });
    failed(&record, "desk", &["waited 8 s for the boot log's line", "the board sent", "the last:"]);
    let raw = record.bytes("desk/boot.log");
    assert!(String::from_utf8(raw.clone()).is_err(), "the raw log has the bytes as they came");
    assert!(raw.len() > 64 * 1024, "{} bytes", raw.len());
}

#[test]
fn a_line_that_never_ends_is_read_all_the_same() {
    let (_bench, record) = while_booting(|board| {
        board.control(r#"{"do":"flood","bytes":33554432,"newline":false}"#);
    });
    failed(&record, "desk", &["waited 8 s for the boot log's line", "the board sent"]);
    let raw = record.bytes("desk/boot.log");
    let longest = raw.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap();
    assert!(longest > 64 * 1024, "{longest} bytes in the longest line");
}

#[test]
fn a_flood_of_lines_does_not_hide_what_the_board_prints() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    bench.configure(&configuration);
    // The firmware's bytes are kept back meanwhile: mixed into the flood they would be no lines.
    board.control(r#"{"do":"silent"}"#);
    let mut run = bench.start(&["run"]);
    run.line_with("desk  boot");
    board.control(r#"{"do":"flood","bytes":4194304}"#);
    board.trouble_over();
    board.control(r#"{"do":"normal"}"#);
    board.control(r#"{"do":"reset"}"#);
    run.ended().with_code(exit::PASSED);
    let record = bench.record();
    record.must_be_whole();
    assert!(record.bytes("desk/boot.log").len() > 4 << 20);
    // The figures of lines count the flood, too.
    let line = record.check("desk", "boot_log.configuration").log_line.unwrap() as usize;
    let log = record.text("desk/boot.log");
    assert!(log.lines().nth(line - 1).unwrap().starts_with("ESP8266 Mode: Web Server"));
    assert!(line > 10_000, "line {line}");
    board.stop();
}

// -- what a firmware does wrong --

/// A run of a firmware that has a fault. The record lies in the bench's folder.
fn with_fault(fault: &str, set: impl FnOnce(&mut Configuration)) -> (Sandbox, Record) {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration.image(&artifacts::faulty_firmware(fault));
    set(&mut configuration);
    bench.configure(&configuration);
    let ended = bench.run(&["run"]).with_code(exit::BOARD_FAILED);
    only_printable(&ended.stdout);
    bench.nothing_may_be_left();
    let record = bench.record();
    record.must_be_whole();
    (bench, record)
}

#[test]
fn a_boot_loop_fails_and_its_crash_is_reported() {
    let (_bench, record) = with_fault("BOOT_LOOP", |_| {});
    failed(&record, "virtual-1", &["crashed", "Exception ("]);
    let crash = record.check("virtual-1", "crash");
    assert_eq!(crash.outcome, CheckOutcome::NotHeld);
    assert_eq!(record.phases("virtual-1"), [Phase::Lock, Phase::Flash, Phase::Boot]);
}

#[test]
fn a_crash_in_the_handshake_fails_in_that_phase() {
    let (_bench, record) = with_fault("CRASH_IN_HANDSHAKE", |_| {});
    failed(&record, "virtual-1", &["crashed", "Exception ("]);
    assert_eq!(record.phases("virtual-1").last(), Some(&Phase::Refusal));
    let crash = record.check("virtual-1", "crash");
    assert_eq!(crash.outcome, CheckOutcome::NotHeld);
    let log = record.text("virtual-1/boot.log");
    let line = log.lines().nth(crash.log_line.unwrap() as usize - 1).unwrap();
    assert!(line.contains("Exception ("), "{line}");
    assert_eq!(record.check("virtual-1", "mqtt.requests").outcome, CheckOutcome::NotMeasured);
}

#[test]
fn a_board_that_answers_no_request_fails() {
    let (_bench, record) = with_fault("SILENT_MQTT", |configuration| {
        configuration.set("deadlines.reply", "3 s");
    });
    failed(&record, "virtual-1", &["no reply to GetSensors over MQTT within 3 s"]);
    assert_eq!(record.phases("virtual-1").last(), Some(&Phase::Mqtt));
    assert_eq!(record.check("virtual-1", "refusal").outcome, CheckOutcome::Held);
}

#[test]
fn a_board_that_trusts_any_ca_fails() {
    let (_bench, record) = with_fault("ACCEPTS_ANY_CA", |_| {});
    failed(&record, "virtual-1", &["another CA", "connected"]);
    let refusal = record.check("virtual-1", "refusal");
    assert_eq!(refusal.outcome, CheckOutcome::NotHeld);
}

#[test]
fn a_firmware_that_takes_too_much_heap_breaks_its_floor() {
    let (_bench, record) = with_fault("HEAP_HUNGRY", |configuration| {
        configuration.set("heap.floor.boot", "16 KiB").set("heap.floor.handshake", "16 KiB");
    });
    failed(&record, "virtual-1", &["lowest free heap, handshake: at least 16384 B"]);
    assert_eq!(record.check("virtual-1", "heap.boot").outcome, CheckOutcome::Held);
    let handshake = record.check("virtual-1", "heap.handshake");
    assert_eq!(handshake.outcome, CheckOutcome::NotHeld);
}

#[test]
fn a_floor_that_no_firmware_keeps_is_broken_at_the_end_of_the_path() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    // The kind's own floor counts, not that of all kinds.
    configuration.set("heap.floor.connected", "1 B");
    configuration.set("firmware.virtual.floor.connected", "1 MiB");
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::BOARD_FAILED);
    let record = bench.record();
    failed(&record, "virtual-1", &["connected: at least 1048576 B"]);
    assert_eq!(record.phases("virtual-1"), Phase::ALL);
    assert_eq!(record.checks_that("virtual-1", CheckOutcome::NotHeld), ["heap.connected"]);
}

#[test]
fn a_phase_without_heap_figures_does_not_keep_its_floor() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    let edits = [
        ("^Heap (?P<phase>boot|page|handshake|connected)", "^Heap (?P<phase>boot|page|handshake)"),
        (", connected = \"SYS_HeapConnected\" }", " }"),
    ];
    hold::contract(&bench, &mut configuration, &edits);
    configuration.set("heap.floor.connected", "1 B").set("heap.floor.boot", "1 B");
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::BOARD_FAILED);
    let record = bench.record();
    failed(&record, "virtual-1", &["the board reported no figure for this phase"]);
    assert_eq!(record.checks_that("virtual-1", CheckOutcome::NotMeasured), ["heap.connected"]);
    assert_eq!(record.checks_that("virtual-1", CheckOutcome::NotHeld), [""; 0]);
}

#[test]
fn a_wrong_reply_fails_and_the_path_goes_on() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    hold::contract(&bench, &mut configuration, &[("'LED is now OFF'", "'LED is off'")]);
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::BOARD_FAILED);
    let record = bench.record();
    failed(&record, "virtual-1", &["LedOff: expected `LED is off`, got `LED is now OFF`"]);
    assert_eq!(
        record.checks_that("virtual-1", CheckOutcome::NotHeld),
        ["configuration.requests", "mqtt.requests"]
    );
    assert_eq!(record.phases("virtual-1"), Phase::ALL);
}

// -- what breaks in the middle --

#[test]
fn a_broker_that_is_killed_is_the_rigs_trouble() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    hold::in_phase(&bench, &mut configuration, Phase::Mqtt);
    bench.configure(&configuration);
    let mut run = bench.start(&["run"]);
    run.line_with("virtual-1  MQTT mode");
    kill_process(bench.process("mosquitto").pid, Signal::KILL).unwrap();
    run.ended().with_code(exit::RIG_FAULT).showing("broker lost");
    let record = bench.record();
    rig_fault(&record, "virtual-1", &["the broker is gone: mosquitto ended by itself", "SIGKILL"]);
    assert_eq!(record.phases("virtual-1").last(), Some(&Phase::Mqtt));
    assert!(record.events().iter().any(|event| matches!(event.what, What::BrokerLost { .. })));
    bench.nothing_may_be_left();
}

#[test]
fn a_broker_in_a_container_that_is_killed_is_the_rigs_trouble() {
    let Some(engine) = Engine::find() else { return };
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    hold::in_phase(&bench, &mut configuration, Phase::Mqtt);
    configuration.set("broker.kind", "container");
    bench.configure(&configuration);
    let mut run = bench.start(&["run"]);
    run.line_with("virtual-1  MQTT mode");
    let container = engine.containers_of(&bench.record().run());
    assert_eq!(container.len(), 1, "{container:?}");
    engine.kill(&container[0]);
    run.ended().with_code(exit::RIG_FAULT).showing("broker lost");
    let record = bench.record();
    rig_fault(&record, "virtual-1", &["the broker is gone"]);
    bench.nothing_may_be_left();
    assert_eq!(engine.containers_of(&record.run()), [""; 0]);
}

#[test]
fn a_virtual_board_whose_machine_is_killed_is_the_rigs_trouble() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    hold::in_phase(&bench, &mut configuration, Phase::Mqtt);
    configuration.set("deadlines.reply", "5 s");
    bench.configure(&configuration);
    let mut run = bench.start(&["run"]);
    run.line_with("virtual-1  MQTT mode");
    kill_process(bench.process("qemu-system-xtensa").pid, Signal::KILL).unwrap();
    run.ended().with_code(exit::RIG_FAULT);
    rig_fault(&bench.record(), "virtual-1", &["QEMU"]);
    bench.nothing_may_be_left();
}

#[test]
fn a_board_that_goes_away_is_the_rigs_trouble() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    hold::in_phase(&bench, &mut configuration, Phase::Mqtt);
    bench.configure(&configuration);
    let mut run = bench.start(&["run"]);
    run.line_with("desk  MQTT mode");
    let port = board.port().to_owned();
    board.stop().with_code(exit::PASSED);
    run.ended().with_code(exit::RIG_FAULT);
    rig_fault(&bench.record(), "desk", &[&port, "gone"]);
    bench.nothing_may_be_left();
}
