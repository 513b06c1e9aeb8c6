//! Scenarios: the same step many times over, and what the heap does.

use std::time::{Duration, Instant};

use hilrig_core::check::{Check, CheckOutcome};
use hilrig_core::event::What;
use hilrig_core::exit;
use hilrig_core::phase::Phase;
use hilrig_core::verdict::Verdict;
use hilrig_tests::PATIENCE;
use hilrig_tests::artifacts;
use hilrig_tests::engine::Engine;
use hilrig_tests::hold;
use hilrig_tests::record::Record;
use hilrig_tests::sandbox::{Configuration, Sandbox, path_text};
use rustix::process::{Signal, kill_process};

/// The scenario's check of a board.
fn check(record: &Record, board: &str, scenario: &str) -> Check {
    let id = format!("scenario.{scenario}");
    let found = record.events().into_iter().find_map(|event| match event.what {
        What::Check(check) if check.id == id && event.board.as_deref() == Some(board) => {
            Some(check)
        }
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{board} has no check {id}"))
}

/// What the steps of a board were.
fn steps(record: &Record, board: &str, of: &str) -> Vec<String> {
    let steps = record.events().into_iter().filter_map(|event| match event.what {
        What::Step { scenario, text, .. }
            if scenario == of && event.board.as_deref() == Some(board) =>
        {
            Some(text)
        }
        _ => None,
    });
    steps.collect()
}

#[test]
fn a_firmware_without_a_leak_passes_every_scenario() {
    let bench = Sandbox::new();
    let scenarios = ["page", "handshake", "payload", "reconnect"];
    let mut arguments = vec!["run", "--seed", "7", "--count", "9"];
    scenarios.iter().for_each(|scenario| arguments.extend(["--scenario", scenario]));
    let ended = bench.run(&arguments).with_code(exit::PASSED);
    // Their results are shown, and not only that they passed.
    let ended = ended.showing("virtual-1, scenario.handshake passed: 9 steps worked; free heap ");
    let ended = ended.showing(" B in 8 samples, ").showing(" B a connection (99 %: ");
    ended.showing(", no leak beyond 256 B");
    bench.nothing_may_be_left();
    let record = bench.record();
    record.must_be_whole();
    let page = record.text("report.html");
    assert!(page.contains("<h3>Scenarios</h3>") && page.contains(" a connection ("), "{page}");
    let board = "virtual-1";
    assert_eq!(
        record.phases(board),
        [
            Phase::Lock,
            Phase::Flash,
            Phase::Boot,
            Phase::Configuration,
            Phase::ScenarioPage,
            Phase::Refusal,
            Phase::Switch,
            Phase::Mqtt,
            Phase::ScenarioHandshake,
            Phase::ScenarioPayload,
            Phase::ScenarioReconnect,
            Phase::SwitchBack,
        ]
    );
    for scenario in scenarios {
        let check = check(&record, board, scenario);
        assert_eq!(check.outcome, CheckOutcome::Held, "{check:?}");
    }
    assert_eq!(steps(&record, board, "handshake"), ["a TLS connection"; 9]);
    assert_eq!(steps(&record, board, "reconnect"), ["a restart of the broker"; 9]);
    // Nine in a row, and then nine at once.
    assert_eq!(steps(&record, board, "page").len(), 10);
    let payloads = steps(&record, board, "payload");
    let message = |fits: &str| payloads.iter().filter(|text| text.ends_with(fits)).count();
    assert!(message("B, refused") >= 4 && message("B, dropped") >= 4, "{payloads:?}");
    // The broker was restarted on purpose, and is not lost.
    assert!(record.summary().get("broker_lost").is_none());
}

#[test]
fn boards_that_share_a_broker_meet_for_its_restarts() {
    let bench = Sandbox::new();
    bench
        .run(&["run", "--virtual", "3", "--scenario", "reconnect", "--count", "9"])
        .with_code(exit::PASSED);
    let record = bench.record();
    for board in ["virtual-1", "virtual-2", "virtual-3"] {
        assert_eq!(record.verdict(board), (Verdict::Passed, String::new()));
        assert_eq!(steps(&record, board, "reconnect").len(), 9);
    }
    bench.nothing_may_be_left();
}

#[test]
fn a_scenario_is_refused_where_nothing_would_come_of_it() {
    let bench = Sandbox::new();
    let too_few = bench.run(&["run", "--scenario", "handshake", "--count", "8"]);
    too_few.with_code(exit::USAGE).saying("8 is not in 9..=100000");
    bench.run(&["run", "--count", "20"]).with_code(exit::USAGE).saying("--scenario");
    let mut configuration = Configuration::new();
    bench.configure(configuration.set("scenario.page.count", 3));
    bench
        .run(&["run", "--scenario", "page"])
        .with_code(exit::USAGE)
        .saying("3 steps are too few to tell a leak by");
    bench.must_be_untouched();
}

/// The fewest steps of a scenario. A leak takes 3 s a step: the rig waits for the heap to come back.
const LEAK_STEPS: &str = "9";

/// A firmware that leaks 64 B with each connection.
fn leak_is_found(scenario: &str, each: &str) {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration.image(&artifacts::faulty_firmware("LEAK_ON_RECONNECT"));
    bench.configure(&configuration);
    bench
        .run(&["run", "--scenario", scenario, "--count", LEAK_STEPS])
        .with_code(exit::BOARD_FAILED)
        .showing("It leaks");
    let record = bench.record();
    let check = check(&record, "virtual-1", scenario);
    assert_eq!(check.outcome, CheckOutcome::NotHeld);
    let found = check.found.unwrap();
    // Exactly, on a busy machine too: what is on its way after a step is waited for.
    assert!(found.contains(&format!(", -64.0 B a {each} (99 %")), "{found}");
    assert!(found.contains(". It leaks: ") && found.ends_with("256 B are allowed"), "{found}");
    assert_eq!(record.checks_that("virtual-1", CheckOutcome::NotHeld), [check.id.as_str()]);
    // The same for other tools.
    let scenarios = record.board("virtual-1")["scenarios"].clone();
    assert_eq!(scenarios.as_array().map(Vec::len), Some(1), "{scenarios}");
    let told = &scenarios[0];
    assert_eq!((&told["scenario"], &told["steps"]), (&scenario.into(), &9.into()));
    assert_eq!(told["outcome"], "not_held");
    let slope = serde_json::json!({ "each": each, "slope": -64.0, "low": -64.0, "high": -64.0 });
    assert_eq!(told["slopes"], serde_json::json!([slope]));
    bench.nothing_may_be_left();
}

#[test]
fn a_leak_of_64_bytes_a_reconnect_is_found() {
    leak_is_found("reconnect", "reconnect");
}

#[test]
fn a_leak_of_64_bytes_a_connection_is_found() {
    leak_is_found("handshake", "connection");
}

#[test]
fn a_soak_ends_in_time_with_boards_that_met_for_every_restart() {
    let bench = Sandbox::new();
    // A seed whose first steps have a restart among them.
    bench
        .run(&["run", "--virtual", "2", "--scenario", "soak", "--for", "15 s", "--seed", "3"])
        .with_code(exit::PASSED);
    bench.nothing_may_be_left();
    let record = bench.record();
    let [one, other] = ["virtual-1", "virtual-2"].map(|board| {
        let check = check(&record, board, "soak");
        assert_eq!(check.outcome, CheckOutcome::Held, "{check:?}");
        let found = check.found.unwrap();
        for each in ["B a step (99 %", "B an hour (99 %"] {
            assert!(found.contains(each), "{found}");
        }
        steps(&record, board, "soak")
    });
    let restarts = one.iter().filter(|text| *text == "a restart of the broker").count();
    assert!(restarts > 0, "{one:?}");
    // The same steps in the same order, as far as the slower one got.
    let both = one.len().min(other.len());
    assert_eq!(one[..both], other[..both]);
}

#[test]
fn the_seed_decides_what_is_sent() {
    let bench = Sandbox::new();
    let payloads = |seed: &str| {
        bench
            .run(&["run", "--scenario", "payload", "--count", "16", "--seed", seed])
            .with_code(exit::PASSED);
        steps(&bench.record(), "virtual-1", "payload")
    };
    let first = payloads("7");
    assert_eq!(first.len(), 16);
    assert_eq!(payloads("7"), first);
    assert_ne!(payloads("8"), first);
}

#[test]
fn a_message_that_fits_by_the_contract_must_be_refused_and_not_dropped() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    let edits = [("largest_publish = 384", "largest_publish = 500")];
    hold::contract(&bench, &mut configuration, &edits);
    bench.configure(&configuration);
    bench.run(&["run", "--scenario", "payload"]).with_code(exit::BOARD_FAILED);
    let record = bench.record();
    record.must_be_whole();
    let check = check(&record, "virtual-1", "payload");
    assert_eq!(check.outcome, CheckOutcome::NotHeld);
    let found = check.found.unwrap();
    assert!(found.starts_with("step 3 of 20: a message of 47"), "{found}");
    assert!(found.ends_with(" B was not refused, and it fits"), "{found}");
    assert_eq!(record.phases("virtual-1").last(), Some(&Phase::ScenarioPayload));
}

#[test]
fn a_broker_that_is_killed_during_a_scenario_is_the_benchs_trouble() {
    let bench = Sandbox::new();
    let mut run = bench.start(&["run", "--scenario", "handshake", "--count", "1000"]);
    run.line_with("scenario handshake");
    kill_process(bench.process("mosquitto.conf").pid, Signal::KILL).unwrap();
    run.ended().with_code(exit::RIG_FAULT);
    let record = bench.record();
    record.must_be_whole();
    assert_eq!(record.verdict("virtual-1").0, Verdict::RigFault);
    assert_eq!(record.checks_that("virtual-1", CheckOutcome::NotHeld), [""; 0]);
    let check = check(&record, "virtual-1", "handshake");
    assert_eq!(check.outcome, CheckOutcome::NotMeasured);
    bench.nothing_may_be_left();
}

/// Waits until something is so.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "no {what} within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A scenario that is stopped after some steps, with the run's exit code.
fn stopped_after(
    bench: &Sandbox,
    image: Option<&std::path::Path>,
    fewest: usize,
    code: u8,
) -> (Record, Check) {
    let mut configuration = Configuration::new();
    if let Some(image) = image {
        configuration.image(image);
    }
    bench.configure(&configuration);
    let mut run = bench.start(&["run", "--scenario", "handshake", "--count", "1000"]);
    run.line_with("scenario handshake");
    let events = bench.path("hilrig-records/latest/events.jsonl");
    let step = format!("\"step\":{fewest},\"of\":1000,");
    wait_until("so many steps", || std::fs::read_to_string(&events).unwrap().contains(&step));
    run.signal(Signal::INT);
    let ended = run.ended().with_code(code).showing("stopped after ");
    bench.nothing_may_be_left();
    let record = bench.record();
    record.must_be_whole();
    let check = check(&record, "virtual-1", "handshake");
    // In Markdown, too.
    let markdown = ["report", "hilrig-records/latest", "--format", "markdown"];
    let markdown = bench.run(&markdown).with_code(exit::PASSED).stdout;
    assert!(markdown.contains("| `virtual-1` | `handshake` | "), "{markdown}");
    assert!(ended.stdout.contains("SIGINT"), "{ended}");
    // It is no measurement of the commit.
    let csv = bench.run(&["heap", "history", "--format", "csv"]).with_code(exit::PASSED).stdout;
    assert_eq!(csv.lines().count(), 1, "{csv}");
    (record, check)
}

#[test]
fn a_scenario_that_is_stopped_is_judged_by_what_was_measured() {
    let bench = Sandbox::new();
    let (record, check) = stopped_after(&bench, None, 12, exit::RIG_FAULT);
    assert_eq!(check.outcome, CheckOutcome::Held, "{check:?}");
    let found = check.found.unwrap();
    assert!(found.starts_with("stopped after 1") && found.contains(" samples, "), "{found}");
    assert!(found.ends_with(", no leak beyond 256 B"), "{found}");
    let told = &record.board("virtual-1")["scenarios"][0];
    assert!(told["stopped"].as_str().unwrap().contains("stopped by SIGINT"), "{told}");
    assert_ne!(record.verdict("virtual-1").0, Verdict::Passed);
}

#[test]
fn a_leak_in_a_scenario_that_is_stopped_fails_the_board() {
    let bench = Sandbox::new();
    let leaks = artifacts::faulty_firmware("LEAK_ON_RECONNECT");
    let (record, check) = stopped_after(&bench, Some(&leaks), 10, exit::BOARD_FAILED);
    assert_eq!(check.outcome, CheckOutcome::NotHeld, "{check:?}");
    let found = check.found.unwrap();
    assert!(found.starts_with("stopped after 1") && found.contains(". It leaks: "), "{found}");
    assert_eq!(record.verdict("virtual-1").0, Verdict::Failed);
}

#[test]
fn a_broker_that_does_not_come_back_is_the_benchs_trouble() {
    let bench = Sandbox::new();
    // The second start is its last.
    let once =
        "if [ -e started ]; then echo no more >&2; exit 3; fi; : >started; exec mosquitto \"$@\"";
    let program = bench.script("mosquitto-once", once);
    let mut configuration = Configuration::new();
    configuration.set("broker.executable", path_text(&program));
    bench.configure(&configuration);
    bench.run(&["run", "--virtual", "2", "--scenario", "reconnect"]).with_code(exit::RIG_FAULT);
    let record = bench.record();
    record.must_be_whole();
    for board in ["virtual-1", "virtual-2"] {
        let (verdict, why) = record.verdict(board);
        assert_eq!(verdict, Verdict::RigFault, "{why}");
        for words in ["the broker is gone: restarting it: ", "no more", "scenario reconnect"] {
            assert!(why.contains(words), "`{words}` is not in: {why}");
        }
    }
    bench.nothing_may_be_left();
}

#[test]
fn a_broker_in_a_container_comes_back_at_its_ports() {
    let Some(engine) = Engine::find() else { return };
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration.set("broker.kind", "container").set("deadlines.broker", "4 min");
    bench.configure(&configuration);
    bench.run(&["run", "--scenario", "reconnect", "--count", "9"]).with_code(exit::PASSED);
    let record = bench.record();
    assert_eq!(record.summary()["broker"]["kind"], "container");
    assert_eq!(steps(&record, "virtual-1", "reconnect").len(), 9);
    bench.nothing_may_be_left();
    assert_eq!(engine.containers_of(&record.run()), [""; 0], "containers that are left");
}
