//! Boards behind a debug probe: the whole path on the LM3S6965, beside other kinds, and what a
//! probe and its chip do wrong.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use hilrig_core::check::CheckOutcome;
use hilrig_core::event::What;
use hilrig_core::exit;
use hilrig_core::phase::Phase;
use hilrig_core::verdict::Verdict;
use hilrig_tests::artifacts;
use hilrig_tests::hold;
use hilrig_tests::record::Record;
use hilrig_tests::running::RunningProgram;
use hilrig_tests::sandbox::{Configuration, Sandbox, path_text};
use rustix::process::Signal;

const QEMU: &str = "qemu-system-arm";

/// A configuration for both kinds of virtual board, with the floors of the repository's own.
fn configuration() -> Configuration {
    let mut configuration = Configuration::new();
    configuration
        .set("firmware.lm3s6965.image", path_text(&artifacts::arm_firmware()))
        .set("virtual.kind", "lm3s6965")
        .set("firmware.settings.tls_mfl", "512");
    for (phase, floor) in
        [("boot", "48 KiB"), ("page", "40 KiB"), ("handshake", "36 KiB"), ("connected", "36 KiB")]
    {
        configuration.set(&format!("heap.floor.{phase}"), floor);
    }
    configuration
}

/// A bench with one LM3S6965.
fn bench() -> Sandbox {
    let bench = Sandbox::new();
    bench.configure(&configuration());
    bench
}

/// Everything was measured, and it passed.
#[track_caller]
fn passed(record: &Record, board: &str) {
    record.must_be_whole();
    let (verdict, why) = record.verdict(board);
    assert_eq!((verdict, why.as_str()), (Verdict::Passed, ""));
    for outcome in [CheckOutcome::NotHeld, CheckOutcome::NotMeasured] {
        assert_eq!(record.checks_that(board, outcome), [""; 0], "{outcome:?}");
    }
    assert_eq!(record.phases(board), Phase::ALL);
}

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

/// The control socket of a board that a run has started.
fn control(bench: &Sandbox, board: &str) -> PathBuf {
    let folders = bench.temporary_files().into_iter();
    let mut sockets = folders.map(|folder| folder.join(format!("b-{board}")).join("control"));
    sockets.find(|socket| socket.exists()).expect("the run's folder has the board's control socket")
}

/// Asks a board for something.
fn command(socket: &PathBuf, command: &str) {
    let mut stream = UnixStream::connect(socket).expect("the board listens");
    writeln!(stream, "{command}").expect("it takes commands");
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).expect("it answers");
    assert!(answer.contains("\"ok\":true"), "{command}: {answer}");
}

#[test]
fn the_whole_path_passes_on_the_lm3s6965() {
    let bench = bench();
    bench.run(&["run"]).with_code(exit::PASSED).showing("lm3s6965").showing("read back");
    let record = bench.record();
    passed(&record, "virtual-1");
    let board = record.board("virtual-1");
    assert!(board["flashed_bytes"].as_u64() > Some(100_000), "{board:#}");
    for phase in ["boot", "page", "handshake", "connected"] {
        assert!(board["heap"][phase]["lowest_free"].as_u64() > Some(36 * 1024), "{board:#}");
    }
    // Figures from memory at the end of each phase from the boot on, and the firmware's own agree.
    let events = record.events();
    let reads = events.iter().filter(|event| matches!(event.what, What::HeapRead(_))).count();
    assert_eq!(reads, 6);
    let check = record.check("virtual-1", "heap.memory");
    assert_eq!(check.outcome, CheckOutcome::Held, "{check:?}");
    // The log is whole: every start of the firmware is in it from its first line on.
    let log = record.text("virtual-1/boot.log");
    let starts = log.matches("Build: ").count();
    assert_eq!(starts, 5, "configuration, refusal and back, MQTT and back: {log}");
    for line in ["LM3S6965 Mode: MQTT Client Running", "TLS error 62: ", "Restarting"] {
        assert!(log.contains(line), "`{line}` is not in: {log}");
    }
    assert!(!log.contains("ESP8266"), "a Cortex-M has another chip's name: {log}");
    bench.nothing_may_be_left();
}

#[test]
fn two_chips_two_flashers_and_one_firmware_core_in_one_run() {
    let bench = Sandbox::new();
    let mut configuration = configuration();
    configuration.board(toml::toml! { name = "arm" kind = "lm3s6965" });
    configuration.board(toml::toml! { name = "esp" kind = "virtual" });
    configuration.board(toml::toml! { name = "arm-2" kind = "lm3s6965" });
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::PASSED).showing("3 boards in ");
    let record = bench.record();
    let mut macs = BTreeSet::new();
    for board in ["arm", "esp", "arm-2"] {
        passed(&record, board);
        macs.insert(record.board(board)["mac"].to_string());
    }
    assert_eq!(macs.len(), 3, "no two boards are one: {macs:?}");
    let started = record.events().remove(0);
    let What::RunStarted(started) = started.what else { panic!("{started:?}") };
    let kinds: Vec<_> = started.firmware.iter().map(|firmware| firmware.kind.as_str()).collect();
    assert_eq!(kinds, ["virtual", "lm3s6965"]);
    bench.nothing_may_be_left();
}

#[test]
fn the_kind_of_virtual_boards_is_said_on_the_command_line_too() {
    let bench = Sandbox::new();
    let mut configuration = configuration();
    configuration.set("virtual.kind", "virtual");
    bench.configure(&configuration);
    let ended = bench.run(&["run", "--virtual", "1", "--kind", "lm3s6965"]);
    ended.with_code(exit::PASSED).showing("virtual-1  lm3s6965 on ");
    bench.run(&["run", "--kind", "lm3s6965"]).with_code(exit::USAGE).saying("--virtual");
    bench.run(&["run", "--virtual", "1", "--kind", "esp32"]).with_code(exit::USAGE);
}

// -- what the firmware does wrong --

/// A run with a fault built into the image; its record, and why the board failed.
fn failed_by(fault: &str) -> (Sandbox, Record, String) {
    let bench = Sandbox::new();
    let mut configuration = configuration();
    let image = artifacts::faulty_arm_firmware(fault);
    configuration.set("firmware.lm3s6965.image", path_text(&image)).set("deadlines.reply", "5 s");
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::BOARD_FAILED);
    let record = bench.record();
    record.must_be_whole();
    let (verdict, why) = record.verdict("virtual-1");
    assert_eq!(verdict, Verdict::Failed, "{why}");
    bench.nothing_may_be_left();
    (bench, record, why)
}

#[test]
fn a_crash_is_the_firmwares_and_its_dump_is_in_the_log_whole() {
    let (_bench, record, why) = failed_by("CRASH_IN_HANDSHAKE");
    assert!(why.contains("HardFault: CFSR=0x"), "{why}");
    let log = record.text("virtual-1/boot.log");
    let dump = &log[log.find("HardFault:").expect("it is in the log")..];
    for part in [">>>stack>>>", "<<<stack<<<", "--------------- CUT HERE"] {
        assert!(dump.contains(part), "`{part}` is not in: {dump}");
    }
    assert_eq!(record.check("virtual-1", "crash").outcome, CheckOutcome::NotHeld);
}

#[test]
fn a_boot_loop_is_reported_as_one() {
    let (_bench, _, why) = failed_by("BOOT_LOOP");
    assert!(why.contains("crashed") && why.contains("HardFault"), "{why}");
}

#[test]
fn a_board_that_takes_any_certificate_fails() {
    let (_bench, record, why) = failed_by("ACCEPTS_ANY_CA");
    assert!(why.contains("it connected to it"), "{why}");
    assert_eq!(record.check("virtual-1", "refusal").outcome, CheckOutcome::NotHeld);
}

#[test]
fn a_heap_below_its_floor_fails_and_memory_agrees() {
    let (_bench, record, _) = failed_by("HEAP_HUNGRY");
    assert_eq!(record.check("virtual-1", "heap.memory").outcome, CheckOutcome::Held);
    let low = record.checks_that("virtual-1", CheckOutcome::NotHeld);
    assert!(low.iter().any(|id| id.starts_with("heap.")), "{low:?}");
}

#[test]
fn a_place_in_memory_that_holds_something_else_is_found() {
    let bench = Sandbox::new();
    let mut configuration = configuration();
    // `last` in place of `lowest_ever`: the number of all units.
    let edit = ("lowest_ever = { offset = 8,", "lowest_ever = { offset = 4,");
    hold::contract(&bench, &mut configuration, &[edit]);
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::BOARD_FAILED);
    let check = bench.record().check("virtual-1", "heap.memory");
    assert_eq!(check.outcome, CheckOutcome::NotHeld, "{check:?}");
    assert!(check.found.as_deref().is_some_and(|found| found.contains("B in memory")), "{check:?}");
}

#[test]
fn a_symbol_that_the_firmware_has_not_is_the_benchs_trouble() {
    let bench = Sandbox::new();
    let mut configuration = configuration();
    let edit = ("[heap.symbol]\nname = \"heap\"", "[heap.symbol]\nname = \"no_such_heap\"");
    hold::contract(&bench, &mut configuration, &[edit]);
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::RIG_FAULT);
    rig_fault(&bench.record(), "virtual-1", &["no_such_heap", "[heap.symbol]"]);
}

// -- what the bench does wrong --

#[test]
fn without_qemu_for_arm_the_other_kind_is_judged_all_the_same() {
    let bench = Sandbox::new();
    let mut configuration = configuration();
    configuration.set("virtual.qemu_arm", "no-such-qemu-system-arm");
    configuration.board(toml::toml! { name = "arm" kind = "lm3s6965" });
    configuration.board(toml::toml! { name = "esp" kind = "virtual" });
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::RIG_FAULT);
    let record = bench.record();
    rig_fault(&record, "arm", &["no-such-qemu-system-arm", "apt-get install"]);
    assert_eq!(record.verdict("esp").0, Verdict::Passed);
    bench.run(&["doctor"]).with_code(exit::RIG_FAULT).showing("apt-get install qemu-system-arm");
    bench.nothing_may_be_left();
}

#[test]
fn a_probe_that_is_pulled_out_in_the_middle_is_the_benchs_trouble() {
    let bench = Sandbox::new();
    let mut configuration = configuration();
    hold::in_phase(&bench, &mut configuration, Phase::SwitchBack);
    bench.configure(&configuration);
    let mut run = bench.start(&["run"]);
    run.line_with("virtual-1  switch back");
    command(&control(&bench, "virtual-1"), r#"{"do":"probe_out"}"#);
    run.ended().with_code(exit::RIG_FAULT);
    let says = ["reading the console", "LM3S6965", "probe 1209:0001:", "USB cable"];
    rig_fault(&bench.record(), "virtual-1", &says);
    bench.nothing_may_be_left();
}

#[test]
fn an_image_for_another_machine_is_refused_before_anything_is_touched() {
    let bench = Sandbox::new();
    for (image, says) in [
        (artifacts::firmware(), "it is no ELF file"),
        (artifacts::firmware_elf(), "it is for machine 94"),
    ] {
        let mut configuration = configuration();
        configuration.set("firmware.lm3s6965.image", path_text(&image));
        bench.configure(&configuration);
        bench.run(&["run"]).with_code(exit::USAGE).saying(says).saying("an Arm chip");
        bench.must_be_untouched();
    }
}

#[test]
fn a_probe_that_is_not_attached_is_looked_for_by_flash_and_monitor() {
    let bench = Sandbox::new();
    let mut configuration = configuration();
    configuration
        .set("firmware.probe.image", path_text(&artifacts::arm_firmware()))
        .board(toml::toml! {
            name = "desk" kind = "probe" chip = "LM3S6965" probe = "0483:374b" rig = "127.0.0.1"
        })
        .board(toml::toml! { name = "started" kind = "lm3s6965" });
    bench.configure(&configuration);
    for command in ["flash", "monitor"] {
        let ended = bench.run(&[command, "--board", "desk"]).with_code(exit::RIG_FAULT);
        ended.saying("looking for the debug probe 0483:374b: there is none").saying("USB cable");
        bench.run(&[command, "--board", "started"]).with_code(exit::USAGE).saying("in a run");
    }
    bench.nothing_may_be_left();
}

// -- the end --

/// A run that is kept in a phase gets a signal to stop.
fn stopped_in(phase: Phase) {
    let bench = Sandbox::new();
    let mut configuration = configuration();
    hold::in_phase(&bench, &mut configuration, phase);
    bench.configure(&configuration);
    let mut run = bench.start(&["run"]);
    run.line_with(&format!("virtual-1  {}", phase.words()));
    run.signal(Signal::INT);
    run.ended().with_code(exit::RIG_FAULT);
    bench.nothing_may_be_left();
    let record = bench.record();
    record.must_be_whole();
    let (verdict, why) = record.verdict("virtual-1");
    assert_eq!(verdict, Verdict::Skipped);
    let stopped = format!("stopped by SIGINT (in: {})", phase.words());
    assert!(why.contains(&stopped), "{why}");
}

#[test]
fn a_run_that_is_stopped_leaves_no_qemu() {
    for phase in [Phase::Boot, Phase::Refusal, Phase::SwitchBack] {
        stopped_in(phase);
    }
}

#[test]
fn while_it_is_flashed_too() {
    let bench = bench();
    let mut run: RunningProgram = bench.start(&["run"]);
    run.line_with("virtual-1  flash");
    run.signal(Signal::INT);
    run.ended().with_code(exit::RIG_FAULT);
    bench.nothing_may_be_left();
    let record = bench.record();
    record.must_be_whole();
    assert_eq!(record.verdict("virtual-1").0, Verdict::Skipped);
    assert!(bench.processes().iter().all(|process| !process.command.contains(QEMU)));
}
