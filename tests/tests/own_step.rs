//! The example of the library `hilrig`: the main path and an own step on a virtual board.

use hilrig_core::exit;
use hilrig_core::verdict::Verdict;
use hilrig_tests::artifacts;
use hilrig_tests::running::{EndedProgram, RunningProgram};
use hilrig_tests::sandbox::{Configuration, Sandbox};

fn own_step(bench: &Sandbox) -> EndedProgram {
    let mut command = bench.command(artifacts::example("own_step"));
    command.arg(bench.path("runner-config.toml"));
    RunningProgram::start(command).ended()
}

#[test]
fn an_own_step_runs_after_the_main_path_and_its_check_is_in_the_record() {
    let bench = Sandbox::new();
    bench.configure(&Configuration::new());
    own_step(&bench).with_code(exit::PASSED);
    let record = bench.record();
    record.must_be_whole();
    assert_eq!(record.verdict("virtual-1"), (Verdict::Passed, String::new()));
    let check = record.check("virtual-1", "own.same_page");
    assert_eq!(check.found.as_deref(), Some("0 of 10 differ"));
    bench.nothing_may_be_left();
}

#[test]
fn an_own_step_that_is_not_reached_is_skipped_with_its_reason() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration.image(&artifacts::faulty_firmware("SILENT_MQTT")).set("deadlines.connect", "5 s");
    bench.configure(&configuration);
    own_step(&bench).with_code(exit::BOARD_FAILED);
    let record = bench.record();
    record.must_be_whole();
    let check = record.check("virtual-1", "own.same_page");
    assert!(check.skipped);
    bench.nothing_may_be_left();
}
