//! A run that is stopped, in any phase, writes what it has and leaves nothing. One
//! that is killed leaves no process, and the next run sweeps the rest.

use std::fs;

use hilrig_core::check::CheckOutcome;
use hilrig_core::exit;
use hilrig_core::phase::Phase;
use hilrig_core::verdict::Verdict;
use hilrig_tests::attached::AttachedBoard;
use hilrig_tests::engine::Engine;
use hilrig_tests::hold;
use hilrig_tests::processes::wait_gone;
use hilrig_tests::running::RunningProgram;
use hilrig_tests::sandbox::{Configuration, Sandbox};
use rustix::process::{Signal, kill_process};

/// A run that stays in `phase`.
fn held_in(bench: &Sandbox, phase: Phase, set: impl FnOnce(&mut Configuration)) -> RunningProgram {
    let mut configuration = Configuration::new();
    hold::in_phase(bench, &mut configuration, phase);
    set(&mut configuration);
    bench.configure(&configuration);
    let mut run = bench.start(&["run"]);
    run.line_with(&format!("virtual-1  {}", phase.words()));
    run
}

fn stopped_in(phase: Phase, signal: Signal, name: &str) {
    let bench = Sandbox::new();
    let run = held_in(&bench, phase, |_| {});
    run.signal(signal);
    let ended = run.ended().with_code(exit::RIG_FAULT);
    bench.nothing_may_be_left();

    let record = bench.record();
    record.must_be_whole();
    let (verdict, why) = record.verdict("virtual-1");
    assert_eq!(verdict, Verdict::Skipped);
    assert_eq!(why, format!("interrupted: stopped by {name} (in: {})", phase.words()));
    assert_eq!(record.phases("virtual-1").last(), Some(&phase));
    assert_eq!(record.checks_that("virtual-1", CheckOutcome::NotHeld), [""; 0]);
    assert_eq!(record.summary()["why"], format!("stopped by {name}"));
    // What was measured before stays measured.
    if phase > Phase::Boot {
        let boot = record.check("virtual-1", "boot_log.configuration");
        assert_eq!(boot.outcome, CheckOutcome::Held);
        assert!(!record.bytes("virtual-1/boot.log").is_empty());
    }
    ended.showing(&format!("stopped by {name}")).showing("record: ");
}

#[test]
fn sigint_in_every_phase_that_waits() {
    for phase in hold::HOLDABLE {
        stopped_in(phase, Signal::INT, "SIGINT");
    }
}

#[test]
fn sigterm_in_every_phase_that_waits() {
    for phase in hold::HOLDABLE {
        stopped_in(phase, Signal::TERM, "SIGTERM");
    }
}

#[test]
fn sighup_as_from_a_terminal_that_closes() {
    stopped_in(Phase::Mqtt, Signal::HUP, "SIGHUP");
}

#[test]
fn while_it_is_flashed() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    bench.configure(&configuration);
    // The board's process is stopped, so the loader never answers.
    board.running().signal(Signal::STOP);
    let mut run = bench.start(&["run"]);
    run.line_with("desk  flash");
    run.signal(Signal::INT);
    run.ended().with_code(exit::RIG_FAULT);
    let record = bench.record();
    record.must_be_whole();
    let (verdict, why) = record.verdict("desk");
    let interrupted = "interrupted: stopped by SIGINT (in: flash)";
    assert_eq!((verdict, why.as_str()), (Verdict::Skipped, interrupted));
    assert_eq!(record.board("desk")["flashed_bytes"], 0);

    // It goes on, and the next run finds it fit.
    board.running().signal(Signal::CONT);
    bench.run(&["run"]).with_code(exit::PASSED);
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn a_second_signal_does_not_wait_for_the_cleaning_up() {
    let bench = Sandbox::new();
    let run = held_in(&bench, Phase::Mqtt, |_| {});
    let qemu = bench.process("qemu-system-xtensa").pid;
    // QEMU is stopped and cannot be ended in order.
    kill_process(qemu, Signal::STOP).unwrap();
    // Two different ones: of two alike, the system may deliver one.
    run.signal(Signal::INT);
    run.signal(Signal::TERM);
    let ended = run.ended();
    assert_eq!(ended.status.code(), Some(i32::from(exit::RIG_FAULT)), "{ended}");
    wait_gone(qemu, "QEMU of a run that is gone");
}

#[test]
fn verdicts_so_far_are_kept() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("held"));
    configuration.board(toml::toml! { name = "quick" kind = "virtual" });
    configuration.set("deadlines.boot", "4 min");
    bench.configure(&configuration);
    board.control(r#"{"do":"silent"}"#);
    let mut run = bench.start(&["run"]);
    run.line_with("quick  passed");
    run.signal(Signal::TERM);
    run.ended().with_code(exit::RIG_FAULT).showing("1 passed, 1 skipped");
    let record = bench.record();
    record.must_be_whole();
    assert_eq!(record.verdict("quick").0, Verdict::Passed);
    assert_eq!(record.verdict("held").0, Verdict::Skipped);
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn a_stopped_run_with_a_container_leaves_none() {
    let Some(engine) = Engine::find() else { return };
    let bench = Sandbox::new();
    let run = held_in(&bench, Phase::Mqtt, |configuration| {
        configuration.set("broker.kind", "container");
    });
    let id = bench.record().run();
    assert_eq!(engine.containers_of(&id).len(), 1);
    run.signal(Signal::INT);
    run.ended().with_code(exit::RIG_FAULT);
    bench.nothing_may_be_left();
    assert_eq!(engine.containers_of(&id), [""; 0]);
}

/// Kills a run that stays in MQTT mode, and waits until its processes are gone.
fn killed(bench: &Sandbox, broker: &str) {
    let run = held_in(bench, Phase::Mqtt, |configuration| {
        configuration.set("broker.kind", broker);
    });
    let children = bench.processes();
    assert!(children.iter().any(|one| one.command.contains("qemu-system-xtensa")), "{children:?}");
    run.signal(Signal::KILL);
    let ended = run.ended();
    assert_eq!(ended.status.code(), None, "{ended}");
    // No hand is needed for these: the system ends them with the run.
    for child in children {
        wait_gone(child.pid, &child.command);
    }
    assert_eq!(bench.processes(), []);
}

#[test]
fn what_a_killed_run_left_is_swept_by_the_next_and_nothing_else() {
    let bench = Sandbox::new();
    killed(&bench, "process");
    let left = bench.temporary_files();
    let run_folder = left.iter().find(|path| path.join("owner.json").is_file());
    let run_folder =
        run_folder.unwrap_or_else(|| panic!("no folder of the run in {left:?}")).clone();
    // The verdict is missing, and the summary shows that.
    let killed = bench.record();
    assert_eq!(killed.summary()["complete"], false);
    assert_eq!(killed.summary()["verdict"], serde_json::Value::Null);
    assert!(killed.events().len() > 10, "the events so far are there, each of them whole");

    // Another program's, with a name like ours.
    let others = bench.path("tmp/hilrig-notes");
    fs::create_dir(&others).unwrap();
    fs::write(others.join("keep"), "this").unwrap();

    bench.configure(&Configuration::new());
    bench.run(&["run"]).with_code(exit::PASSED);
    let notes = bench.record().notes();
    let swept = format!("swept {}", run_folder.display());
    assert!(notes.iter().any(|note| note.starts_with(&swept)), "{swept} is not in {notes:?}");
    assert!(!run_folder.exists());
    assert_eq!(fs::read_to_string(others.join("keep")).unwrap(), "this");
    assert_eq!(bench.temporary_files(), [others], "only the other program's folder stays");
}

#[test]
fn a_run_that_goes_on_is_not_swept() {
    let bench = Sandbox::new();
    let first = held_in(&bench, Phase::Mqtt, |_| {});
    bench.configure(&Configuration::new());
    bench.run(&["run", "--record", "second"]).with_code(exit::PASSED);
    first.signal(Signal::INT);
    first.ended().with_code(exit::RIG_FAULT).showing("stopped by SIGINT (in: MQTT mode)");
    bench.nothing_may_be_left();
}

#[test]
fn a_killed_runs_container_is_swept_by_the_next() {
    let Some(engine) = Engine::find() else { return };
    let bench = Sandbox::new();
    killed(&bench, "container");
    let id = bench.record().run();
    assert_eq!(engine.containers_of(&id).len(), 1, "the engine keeps it running");

    bench.configure(&Configuration::new());
    bench.run(&["run"]).with_code(exit::PASSED);
    assert_eq!(engine.containers_of(&id), [""; 0]);
    bench.nothing_may_be_left();
}
