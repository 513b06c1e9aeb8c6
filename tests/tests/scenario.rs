//! Scenarios: the same step many times over, and what the heap does.

use hilrig_core::check::{Check, CheckOutcome};
use hilrig_core::event::What;
use hilrig_core::exit;
use hilrig_core::phase::Phase;
use hilrig_core::verdict::Verdict;
use hilrig_tests::bench::{Bench, Configuration};
use hilrig_tests::record::Record;

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
    let bench = Bench::new();
    let scenarios = ["page", "handshake", "payload", "reconnect"];
    let mut arguments = vec!["run", "--seed", "7", "--count", "9"];
    scenarios.iter().for_each(|scenario| arguments.extend(["--scenario", scenario]));
    bench.run(&arguments).with_code(exit::PASSED);
    bench.nothing_may_be_left();
    let record = bench.record();
    record.must_be_whole();
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
    let bench = Bench::new();
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
    let bench = Bench::new();
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
