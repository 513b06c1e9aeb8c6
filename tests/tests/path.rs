//! The whole path on virtual boards, and the record that it leaves.

use std::path::Path;

use hilrig_core::check::CheckOutcome;
use hilrig_core::event::What;
use hilrig_core::exit;
use hilrig_core::heap::HeapPhase;
use hilrig_core::phase::Phase;
use hilrig_core::verdict::Verdict;
use hilrig_tests::artifacts;
use hilrig_tests::attached::AttachedBoard;
use hilrig_tests::engine::Engine;
use hilrig_tests::record::Record;
use hilrig_tests::redact;
use hilrig_tests::running::RunningProgram;
use hilrig_tests::sandbox::{Configuration, Sandbox, path_text};
use hilrig_tests::terminal;

/// The checks of a run with all floors.
const CHECKS: [&str; 16] = [
    "boot_log.configuration",
    "configuration.page",
    "configuration.requests",
    "configuration.ca",
    "refusal",
    "boot_log.mqtt",
    "connection",
    "mqtt.requests",
    "mqtt.invalid",
    "switch_back",
    "crash",
    "restarts",
    "heap.boot",
    "heap.page",
    "heap.handshake",
    "heap.connected",
];

/// Floors that the bundled firmware keeps by far.
fn with_floors(configuration: &mut Configuration) {
    for phase in HeapPhase::ALL {
        configuration.set(&format!("heap.floor.{}", phase.name()), "16 KiB");
    }
}

fn passed(record: &Record, board: &str) {
    record.must_be_whole();
    assert_eq!(record.verdict(board), (Verdict::Passed, String::new()));
    assert_eq!(record.phases(board), Phase::ALL);
    assert_eq!(record.checks_that(board, CheckOutcome::NotHeld), [""; 0]);
    assert_eq!(record.checks_that(board, CheckOutcome::NotMeasured), [""; 0]);
}

#[test]
fn one_board_passes_and_its_record_is_whole() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    with_floors(&mut configuration);
    bench.configure(&configuration);
    let ended = bench.run(&["run", "--seed", "7"]).with_code(exit::PASSED);
    assert_eq!(ended.stderr, "", "{ended}");
    bench.nothing_may_be_left();

    let record = bench.record();
    passed(&record, "virtual-1");
    assert_eq!(record.checks_that("virtual-1", CheckOutcome::Held), CHECKS);

    // What the issue promises to other tools.
    let summary = record.summary();
    assert_eq!(summary["schema"], 1);
    assert_eq!(summary["verdict"], "passed");
    assert_eq!(summary["seed"], 7);
    assert_eq!(summary["broker"]["kind"], "process");
    assert_eq!(summary["broker"]["software"], "mosquitto");
    let version = summary["broker"]["version"].as_str().unwrap();
    assert!(version.starts_with(|digit: char| digit.is_ascii_digit()), "{version}");
    let board = record.board("virtual-1");
    assert!(board["seconds"].as_f64().unwrap() > 0.0);
    let image = std::fs::metadata(artifacts::firmware()).unwrap().len();
    assert_eq!(board["flashed_bytes"], image);
    let ids: Vec<&str> =
        board["checks"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap()).collect();
    assert_eq!(ids, CHECKS);
    for phase in HeapPhase::ALL {
        let lowest = board["heap"][phase.name()]["lowest_free"].as_u64().unwrap();
        // An ESP8266 has 80 KiB of data memory.
        assert!((16 * 1024..80 * 1024).contains(&lowest), "{}: {lowest}", phase.name());
    }

    // The timed log has the same lines as the raw one. The last may be cut off in the middle.
    let raw = record.text("virtual-1/boot.log");
    let timed = record.text("virtual-1/boot.timed.log");
    let without_time = timed.lines().map(|line| line.split_once("] ").expect("a time").1);
    let (mut without_time, mut lines): (Vec<_>, Vec<_>) =
        (without_time.collect(), raw.lines().collect());
    assert_eq!(without_time.len(), lines.len());
    without_time.pop();
    lines.pop();
    assert_eq!(without_time, lines);

    // Lines that events and checks name are those of the raw log.
    let lines: Vec<&str> = raw.lines().collect();
    let mut named = 0;
    for event in record.events() {
        if let What::LogLine { line, text } = event.what {
            assert_eq!(lines[line as usize - 1], text);
            named += 1;
        }
    }
    assert!(named > 10, "{named} lines");

    // Each start of the chip is reported with its line, and in words on the page.
    let starts = record.starts("virtual-1");
    let by_log = lines.iter().filter(|line| line.contains("rst cause:")).count();
    assert_eq!(starts.len(), by_log);
    for (number, start) in starts.iter().enumerate() {
        // A new board was never on before; then its firmware restarts it to switch modes.
        let cause = if number == 0 { 1 } else { 2 };
        assert_eq!((start.rst_cause, &start.boot_mode[..]), (cause, &[3, 6][..]));
        let line = lines[start.line as usize - 1];
        assert!(line.contains(&format!("rst cause:{cause}, boot mode:(3,6)")), "{start:?}");
    }
    let page = record.text("report.html");
    assert!(page.contains("power-on, from flash; reset pin or software restart, from flash ("));
    assert!(page.contains("started after: reset pin or software restart; boots from: flash"));

    insta::assert_snapshot!("boot_log", redact::boot_log(raw.as_bytes()));
    insta::assert_snapshot!("plain_output", redact::run_output(&ended.stdout, &bench.path("")));
    insta::assert_snapshot!(
        "summary",
        redact::summary(&record.text("summary.json"), &bench.path(""))
    );
}

#[test]
fn one_board_passes_with_the_broker_in_a_container() {
    let Some(engine) = Engine::find() else { return };
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    // Where no image can be pulled, one is made first.
    configuration.set("broker.kind", "container").set("deadlines.broker", "4 min");
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::PASSED);
    let record = bench.record();
    passed(&record, "virtual-1");
    assert_eq!(record.summary()["broker"]["kind"], "container");
    bench.nothing_may_be_left();
    assert_eq!(engine.containers_of(&record.run()), [""; 0], "containers that are left");
}

#[test]
fn four_boards_pass_side_by_side() {
    let bench = Sandbox::new();
    bench.run(&["run", "--virtual", "4"]).with_code(exit::PASSED).showing("4 boards");
    let record = bench.record();
    let names = ["virtual-1", "virtual-2", "virtual-3", "virtual-4"];
    let mut macs: Vec<_> = names
        .iter()
        .map(|name| {
            passed(&record, name);
            record.board(name)["mac"].as_str().unwrap().to_owned()
        })
        .collect();
    macs.sort();
    macs.dedup();
    assert_eq!(macs.len(), 4, "no two boards are alike");
    // At once, not one after the other: all have begun before one has ended.
    let events = record.events();
    let first_end = events.iter().position(|e| matches!(e.what, What::BoardEnded { .. })).unwrap();
    let begun = events[..first_end].iter();
    let begun = begun.filter(|e| matches!(e.what, What::PhaseStarted { phase: Phase::Flash }));
    assert_eq!(begun.count(), 4);
    bench.nothing_may_be_left();
}

#[test]
fn a_record_goes_where_it_is_asked_for_and_nowhere_over_another() {
    let bench = Sandbox::new();
    let ended = bench.run(&["run", "--record", "out/nightly"]).with_code(exit::PASSED);
    passed(&ended.record_in(&bench.path("")), "virtual-1");
    assert!(!bench.path("hilrig-records").exists());
    let events = bench.path("out/nightly/events.jsonl");
    let before = std::fs::read(&events).unwrap();

    bench
        .run(&["run", "--record", "out/nightly"])
        .with_code(exit::USAGE)
        .saying("out/nightly holds the record of another run");
    assert_eq!(std::fs::read(&events).unwrap(), before, "the record is as it was");

    std::fs::create_dir(bench.path("mine")).unwrap();
    bench.write("mine/letters.txt", "keep");
    bench
        .run(&["run", "--record", "mine"])
        .with_code(exit::USAGE)
        .saying("mine is not empty (it holds `letters.txt`)");
    assert_eq!(std::fs::read_dir(bench.path("mine")).unwrap().count(), 1);
    bench.nothing_may_be_left();
}

#[test]
fn a_run_can_be_repeated_by_its_seed() {
    let bench = Sandbox::new();
    let run = |arguments: &[&str]| {
        bench.run(arguments).with_code(exit::PASSED);
        let summary = bench.record().summary();
        let seed = summary["seed"].as_u64().unwrap().to_string();
        (seed, summary["boards"][0]["mac"].clone())
    };
    let (seed, mac) = run(&["run"]);
    let repeated = run(&["run", "--seed", &seed]);
    assert_eq!(repeated, (seed.clone(), mac.clone()));
    let other = (seed.parse::<u64>().unwrap() + 1).to_string();
    assert_ne!(run(&["run", "--seed", &other]).1, mac);
}

/// One run on a board that stays; whether the image was kept, and how many bytes were written.
fn flashed(bench: &Sandbox, arguments: &[&str]) -> (bool, u64) {
    bench.run(arguments).with_code(exit::PASSED);
    let record = bench.record();
    passed(&record, "desk");
    let board = record.board("desk");
    (board["flash"]["kept"].as_bool().unwrap(), board["flashed_bytes"].as_u64().unwrap())
}

#[test]
fn a_board_that_stays_is_flashed_only_when_it_must_be() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    bench.configure(&configuration);
    let image = std::fs::read(artifacts::firmware()).unwrap();
    let size = image.len() as u64;

    assert_eq!(flashed(&bench, &["run"]), (false, size));
    assert_eq!(flashed(&bench, &["run"]), (true, 0));
    assert_eq!(flashed(&bench, &["run", "--flash"]), (false, size));
    assert_eq!(flashed(&bench, &["run", "--board", "desk"]), (true, 0));

    // Another image, if only by a byte after what the checksum covers.
    let longer = bench.write("longer.bin", [image.as_slice(), &[0; 16]].concat());
    bench.configure(configuration.clone().image(&longer));
    assert_eq!(flashed(&bench, &["run"]), (false, size + 16));
    drop(board);
}

#[test]
fn a_board_that_another_program_flashed_meanwhile_gets_its_image_again() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    bench.configure(&configuration);
    let size = std::fs::metadata(artifacts::firmware()).unwrap().len();
    assert_eq!(flashed(&bench, &["run"]), (false, size));

    // Another user's hilrig, with a state of its own: the bench's record does not know of it.
    let other = artifacts::faulty_firmware("HEAP_HUNGRY");
    let mut command = bench.hilrig(&["flash", "--port", board.port()]);
    command.args(["--control", board.control_socket()]).arg(other);
    command.env("XDG_STATE_HOME", bench.path("somebody"));
    RunningProgram::start(command).ended().with_code(exit::PASSED);

    bench.run(&["run"]).with_code(exit::PASSED);
    let record = bench.record();
    record.must_be_whole();
    assert_eq!(record.verdict("desk").0, Verdict::Passed);
    assert_eq!(record.board("desk")["flashed_bytes"], size);
    let notes = record.notes();
    assert!(notes.iter().any(|note| note.contains("flashed again")), "{notes:?}");
    // What was tried first is in the record, too.
    let phases = record.phases("desk");
    assert_eq!(phases[..4], [Phase::Lock, Phase::Flash, Phase::Boot, Phase::Flash]);

    board.stop().with_code(exit::PASSED);
    assert!(!Path::new(bench.path("desk/control").as_path()).exists(), "its socket is gone");
    bench.nothing_may_be_left();
}

#[test]
fn a_secret_is_in_no_file_and_no_line() {
    // The rig sends the one percent-encoded; the other is what the firmware prints.
    let secret = "kTh9 not/for any&eyes";
    let printed = "WebServer Port";
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.set("firmware.secrets.password", "HILRIG_TEST_SECRET");
    configuration.set("firmware.secrets.ssid", "HILRIG_TEST_PRINTED");
    configuration.board(board.as_board("desk"));
    bench.configure(&configuration);
    let mut command = bench.hilrig(&["run"]);
    command.env("HILRIG_TEST_SECRET", secret).env("HILRIG_TEST_PRINTED", printed);
    command.env("HILRIG_LOG", "trace");
    let ended = RunningProgram::start(command).ended().with_code(exit::PASSED);
    let shown = |text: &str| {
        let parts = ["kTh9", "not%2Ffor", "not/for", "eyes", printed];
        parts.into_iter().find(|part| text.contains(part)).map(ToOwned::to_owned)
    };
    for (what, text) in [("output", &ended.stdout), ("log", &ended.stderr)] {
        assert_eq!(shown(text), None, "in the {what}");
    }
    let record = bench.record();
    passed(&record, "desk");
    let files = ["events.jsonl", "summary.json", "junit.xml", "report.html"];
    for file in files.into_iter().chain(["desk/boot.log", "desk/boot.timed.log"]) {
        assert_eq!(shown(&record.text(file)), None, "in {file}");
    }
    assert!(record.text("desk/boot.log").contains("ESP8266 **************: 9705"));
    // The board has it, so it could have been printed.
    board.stop();
    let flash = std::fs::read(bench.path("desk/flash.bin")).unwrap();
    assert!(flash.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()));
}

#[test]
fn a_secret_that_a_board_prints_encoded_or_cut_is_masked_and_no_character_reorders_a_line() {
    let secret = "kTh9 not/for any&eyes";
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.set("firmware.secrets.password", "HILRIG_TEST_SECRET");
    configuration.set("broker.executable", path_text(&bench.gated_broker()));
    configuration.board(board.as_board("desk"));
    bench.configure(&configuration);
    let mut command = bench.hilrig(&["run"]);
    command.env("HILRIG_TEST_SECRET", secret).env("HILRIG_LOG", "trace");
    let mut run = RunningProgram::start(command);
    run.line_with("desk  configuration mode");
    // As a query has it, in a form and in a path; where a long line is cut; in the words of a crash.
    let mut text =
        String::from("\r\nGET /?p=kTh9+not%2Ffor+any%26eyes and kTh9%20not%2ffor%20any%26eyes\r\n");
    for before in 2030..2048 {
        text += &format!("{}{secret}\r\n", "x".repeat(before));
    }
    text +=
        &format!("assert failed: login auth.c:7 ({secret} \u{202e}txt\u{2066} \u{2028}end)\r\n");
    board.say(&text);
    bench.open_gate();
    let ended = run.ended().with_code(exit::BOARD_FAILED);
    let record = bench.record();
    record.must_be_whole();
    let why = record.verdict("desk").1;
    assert!(why.contains("auth.c:7"), "{why}");
    let log = String::from_utf8_lossy(&record.bytes("desk/boot.log")).into_owned();
    let mut outputs = vec![("output", ended.stdout), ("log", ended.stderr)];
    for file in ["events.jsonl", "summary.json", "junit.xml", "report.html", "desk/boot.timed.log"]
    {
        outputs.push((file, record.text(file)));
    }
    for (what, text) in &outputs {
        let reorders = |c: char| matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert_eq!(text.chars().find(|c| reorders(*c)), None, "in {what}");
    }
    outputs.push(("desk/boot.log", log));
    for (what, text) in &outputs {
        let part = ["kTh9", "not/for", "not%2", "any&eyes", "any%26", "eyes"]
            .into_iter()
            .find(|part| text.contains(part));
        assert_eq!(part, None, "in {what}");
    }
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn on_a_terminal_each_board_has_a_line_and_the_table_stands_at_the_end() {
    let bench = Sandbox::new();
    let (status, shown) = terminal::run(bench.hilrig(&["run", "--virtual", "2"]), 100);
    assert_eq!(status.code(), Some(i32::from(exit::PASSED)), "{shown}");
    // The picture is drawn some twenty times a second; a phase of milliseconds may never be in it.
    let phases = ["refusal of a wrong CA", "switch to MQTT", "switch back", "MQTT mode"];
    assert!(phases.iter().any(|phase| shown.contains(phase)), "{shown}");
    let end = shown.rfind("lowest free heap, bytes").expect("the table");
    let table = &shown[end..];
    for words in ["virtual-1", "virtual-2", "handshake", "record: ", "2 boards in "] {
        assert!(table.contains(words), "{words} in: {table}");
    }
    // Lines that are written over again, not one for each phase; and a table that stays.
    let moves_up = |text: &str| {
        let mut sequences = text.split("\x1b[").skip(1);
        sequences.any(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with('A'))
    };
    assert!(moves_up(&shown[..end]) && !moves_up(table), "{shown:?}");
    let hidden = shown.rfind("\x1b[?25l");
    assert!(hidden.is_none() || hidden < shown.rfind("\x1b[?25h"), "the cursor is hidden still");
    passed(&bench.record(), "virtual-2");
    bench.nothing_may_be_left();

    // NO_COLOR is kept to on a terminal, too (https://no-color.org).
    let mut command = bench.hilrig(&["doctor"]);
    command.env("NO_COLOR", "1");
    let (_, shown) = terminal::run(command, 100);
    assert!(!shown.contains("\x1b["), "{shown:?}");
}
