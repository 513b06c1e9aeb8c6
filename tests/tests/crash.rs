//! A crash in a run: a check that failed, with its decoded trace in every report. And what only looks
//! like one.

use hilrig_core::check::CheckOutcome;
use hilrig_core::crash::{Crash, CrashKind};
use hilrig_core::event::What;
use hilrig_core::exit;
use hilrig_core::phase::Phase;
use hilrig_core::verdict::Verdict;
use hilrig_tests::artifacts;
use hilrig_tests::attached::AttachedBoard;
use hilrig_tests::hold;
use hilrig_tests::record::Record;
use hilrig_tests::running::EndedProgram;
use hilrig_tests::sandbox::{Configuration, Sandbox, path_text};

fn crashes(record: &Record, board: &str) -> Vec<Crash> {
    let of_board = |event: &hilrig_core::event::Event| event.board.as_deref() == Some(board);
    let crash = |what| match what {
        What::Crash(crash) => Some(crash),
        _ => None,
    };
    record.events().into_iter().filter(of_board).filter_map(|event| crash(event.what)).collect()
}

/// A run of a firmware with a fault, by the ELF beside its image.
fn with_fault(fault: &str) -> (Sandbox, Record, EndedProgram) {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration.image(&artifacts::faulty_firmware(fault));
    bench.configure(&configuration);
    let ended = bench.run(&["run"]).with_code(exit::BOARD_FAILED);
    bench.nothing_may_be_left();
    let record = bench.record();
    record.must_be_whole();
    (bench, record, ended)
}

#[test]
fn the_trace_of_a_crash_is_in_every_report() {
    let (_bench, record, ended) = with_fault("CRASH_IN_HANDSHAKE");
    let all = crashes(&record, "virtual-1");
    let crash = &all[0];
    assert_eq!(
        (crash.kind, crash.cause, crash.rst_cause),
        (CrashKind::Exception, Some(29), Some(2))
    );
    assert_eq!(crash.excvaddr.map(|address| address.0), Some(0));
    assert_eq!((crash.cut, &crash.note), (false, &None));
    let functions: Vec<&str> =
        crash.frames.iter().filter_map(|frame| frame.function.as_deref()).collect();
    assert_eq!(functions[..2], ["write_through_null", "fault_in_handshake"]);
    assert!(functions.contains(&"mqtt_poll"), "who called it: {functions:?}");
    assert!(crash.frames[0].file.as_deref().unwrap().ends_with("core/fault.c"));
    let log = record.text("virtual-1/boot.log");
    let line = log.lines().nth(usize::try_from(crash.line).unwrap() - 1).unwrap();
    assert_eq!(line.trim_end(), "Exception (29):");

    let check = record.check("virtual-1", "crash");
    assert_eq!((check.outcome, check.log_line), (CheckOutcome::NotHeld, Some(crash.line)));
    let summary = record.board("virtual-1");
    assert_eq!(summary["crashes"].as_array().unwrap().len(), all.len());
    assert_eq!(summary["crashes"][0]["frames"][0]["function"], "write_through_null");
    let place = "write_through_null, firmware/core/fault.c:";
    for told in [check.found.as_deref().unwrap(), summary["why"].as_str().unwrap(), &ended.stdout] {
        assert!(told.contains(place), "`{place}` is not in: {told}");
    }
    for report in [&record.text("junit.xml"), &ended.stdout] {
        for part in ["fault_in_handshake", "mqtt_poll", "it used address 0x00000000"] {
            assert!(report.contains(part), "`{part}` is not in: {report}");
        }
    }
    let (_, trace) = ended.stdout.split_once("      line ").expect("the trace at the end");
    let trace = trace.split("\nbroker:").next().unwrap();
    assert!(trace.lines().all(|line| line.chars().count() <= 100), "{trace}");
}

#[test]
fn a_boot_loop_is_reported_as_one_and_its_crashes_are_bounded() {
    let (_bench, record, _) = with_fault("BOOT_LOOP");
    let all = crashes(&record, "virtual-1");
    assert!(all.len() <= 20, "{} crashes are reported", all.len());
    let (looped, crashed): (Vec<_>, Vec<_>) =
        all.iter().partition(|crash| crash.kind == CrashKind::BootLoop);
    assert_eq!(looped.len(), 1);
    assert!(looped[0].evidence.len() == 3 && crashed.len() >= 3, "{all:#?}");
    let found = record.check("virtual-1", "crash").found.unwrap();
    for part in ["fault.c:", "boot loop: 3 starts", " crashes"] {
        assert!(found.contains(part), "`{part}` is not in: {found}");
    }
}

/// A run on a board that stays. While it is in configuration mode and the run waits for its broker,
/// something is done to its line; then all goes on as if nothing had been.
fn meanwhile(
    do_to_line: impl FnOnce(&AttachedBoard),
    shown: Option<&str>,
    code: u8,
) -> (Sandbox, Record) {
    meanwhile_by(&[], do_to_line, shown, code)
}

/// The same by the bundled contract with these edits.
fn meanwhile_by(
    edits: &[(&str, &str)],
    do_to_line: impl FnOnce(&AttachedBoard),
    shown: Option<&str>,
    code: u8,
) -> (Sandbox, Record) {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    hold::contract(&bench, &mut configuration, edits);
    configuration.board(board.as_board("desk"));
    let go = path_text(&bench.path("go"));
    let broker = format!("until [ -e {go} ]; do sleep 0.02; done\nexec mosquitto \"$@\"");
    configuration.set("broker.executable", path_text(&bench.script("mosquitto-late", &broker)));
    bench.configure(&configuration);
    let mut run = bench.start(&["run"]);
    run.line_with("desk  configuration mode");
    do_to_line(&board);
    if let Some(shown) = shown {
        run.line_with(shown);
    }
    bench.write("go", "");
    run.ended().with_code(code);
    let record = bench.record();
    record.must_be_whole();
    let not_held = record.checks_that("desk", CheckOutcome::NotHeld);
    // A start that was not asked for ends the path, unless a crash explains it.
    let (_, why) = record.verdict("desk");
    if !why.contains("the rig did not ask for it") {
        assert_eq!(record.phases("desk"), Phase::ALL, "{why}");
        assert!(not_held.iter().all(|id| id == "crash"), "everything else passed: {not_held:?}");
    }
    board.stop();
    bench.nothing_may_be_left();
    (bench, record)
}

const START: &str = " ets Jan  8 2013,rst cause:2, boot mode:(3,6)\r\n\r\nload 0x4010f000, len 1384, room 16\r\ntail 8\r\nchksum 0x2d\r\ncsum 0x2d\r\nv8b899c12\r\n~ld\r\n";

#[track_caller]
fn failed_by(record: &Record, kind: CrashKind, words: &str) -> Crash {
    let all = crashes(record, "desk");
    assert_eq!(all.iter().map(|crash| crash.kind).collect::<Vec<_>>(), [kind]);
    let (verdict, why) = record.verdict("desk");
    assert_eq!(verdict, Verdict::Failed);
    assert!(why.contains(words), "`{words}` is not in: {why}");
    all[0].clone()
}

#[test]
fn a_board_that_comes_back_from_a_crash_and_passes_everything_else_fails() {
    let dump = "\r\n--------------- CUT HERE FOR EXCEPTION DECODER ---------------\r\n\r\nSoft WDT reset\r\n\r\n\
        >>>stack>>>\r\n\r\nctx: cont\r\nsp: 3ffffdd0 end: 3fffffc0 offset: 01b0\r\n\
        3fffff80:  3fffdad0 00000000 3ffee5c0 40201f20  \r\n<<<stack<<<\r\n";
    let crash = |board: &AttachedBoard| board.say(&format!("{dump}{START}"));
    let (_bench, record) = meanwhile(crash, Some("desk  crash, boot log line"), exit::BOARD_FAILED);
    let crash = failed_by(&record, CrashKind::SoftWatchdog, "software watchdog");
    assert_eq!((crash.rst_cause, crash.boot_mode), (Some(2), Some(vec![3, 6])));
}

#[test]
fn a_hardware_watchdog_leaves_no_dump_and_is_reported() {
    let start = START.replace("cause:2", "cause:4").replace("\r\n\r\n", "\r\n\r\nwdt reset\r\n");
    let crash = |board: &AttachedBoard| board.say(&format!("\r\n{start}"));
    let (_bench, record) = meanwhile(crash, Some("desk  crash, boot log line"), exit::BOARD_FAILED);
    let crash = failed_by(&record, CrashKind::HardwareWatchdog, "hardware watchdog");
    assert_eq!((crash.rst_cause, crash.frames.len()), (Some(4), 0));
}

#[test]
fn garbage_and_a_start_that_was_not_asked_for_are_signs_of_a_brownout() {
    let crash = |board: &AttachedBoard| {
        board.say("all is well so far\r\n");
        board.control(r#"{"do":"garbage","bytes":48,"seed":3}"#);
        board.trouble_over();
        board.say(&format!("\r\n{START}"));
    };
    let (_bench, record) = meanwhile(crash, Some("desk  crash, boot log line"), exit::BOARD_FAILED);
    let sign = failed_by(&record, CrashKind::Brownout, "signs of a brownout");
    assert_eq!(record.checks_that("desk", CheckOutcome::NotHeld), ["crash"]);
    assert_eq!(sign.evidence.len(), 2, "{sign:#?}");
}

#[test]
fn a_contract_allows_a_start_in_a_phase_and_no_more() {
    let edits =
        [("# [restarts]\n# allowed = { boot = 1 }", "[restarts]\nallowed = { configuration = 1 }")];
    let start = |board: &AttachedBoard| board.say(START);
    let (_bench, record) = meanwhile_by(&edits, start, None, exit::PASSED);
    assert_eq!(record.check("desk", "restarts").outcome, CheckOutcome::Held);

    let twice = |board: &AttachedBoard| board.say(&format!("{START}up again\r\n{START}"));
    let (_bench, record) = meanwhile_by(&edits, twice, None, exit::BOARD_FAILED);
    assert_eq!(record.checks_that("desk", CheckOutcome::NotHeld), ["restarts"]);
}

#[test]
fn a_contract_allows_a_start_in_a_scenario_and_in_that_phase_alone() {
    let run = |allowed: &str, starts: usize, code: u8| {
        let bench = Sandbox::new();
        let board = AttachedBoard::start(&bench, "desk");
        let mut configuration = Configuration::new();
        let allowed = format!("[restarts]\nallowed = {allowed}");
        let edits = [("# [restarts]\n# allowed = { boot = 1 }", allowed.as_str())];
        hold::contract(&bench, &mut configuration, &edits);
        configuration.board(board.as_board("desk"));
        bench.configure(&configuration);
        let mut run = bench.start(&["run", "--scenario", "page", "--count", "60"]);
        run.line_with("desk  scenario page");
        for _ in 0..starts {
            board.say(&format!("\r\n{START}up again\r\n"));
        }
        run.ended().with_code(code);
        let record = bench.record();
        record.must_be_whole();
        board.stop();
        bench.nothing_may_be_left();
        (record.check("desk", "restarts"), record.verdict("desk").1)
    };
    let (check, _) = run("{ scenario_page = 2 }", 2, exit::PASSED);
    assert_eq!(check.outcome, CheckOutcome::Held);
    for (allowed, starts) in [("{ scenario_page = 1 }", 2), ("{ configuration = 9 }", 1)] {
        let (check, why) = run(allowed, starts, exit::BOARD_FAILED);
        assert_eq!(check.outcome, CheckOutcome::NotHeld, "{why}");
        assert!(check.found.unwrap().contains(Phase::ScenarioPage.words()), "{why}");
    }
}

#[test]
fn words_that_only_look_like_a_crash_raise_no_alarm() {
    let words = "exception handling is on\r\n{\"error\":\"Exception (28):\",\"at\":\"epc1=0x0\"}\r\n\
        watchdog fed; wdt reset in 3 s\r\nlook for >>>stack>>> in the log\r\nPanics: none so far\r\n";
    let (_bench, record) = meanwhile(|board| board.say(words), None, exit::PASSED);
    assert!(record.text("desk/boot.log").contains("look for >>>stack>>>"));
    assert_eq!(crashes(&record, "desk"), []);
    assert_eq!(record.check("desk", "crash").outcome, CheckOutcome::Held);
}

#[test]
fn a_chip_that_restarts_into_its_loader_is_the_rigs_trouble() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    bench.configure(&configuration);
    board.control(r#"{"do":"silent"}"#);
    let mut run = bench.start(&["run"]);
    run.line_with("desk  boot");
    board.say("\r\n ets Jan  8 2013,rst cause:2, boot mode:(1,6)\r\n\r\n");
    run.ended().with_code(exit::RIG_FAULT);
    let record = bench.record();
    let (verdict, why) = record.verdict("desk");
    assert_eq!(verdict, Verdict::RigFault, "{why}");
    assert!(why.contains("serial loader") && why.contains("EN") && why.contains("GPIO0"), "{why}");
    assert_eq!(record.checks_that("desk", CheckOutcome::NotHeld), [""; 0]);
    board.stop();
}

// -- the ELF --

#[test]
fn an_elf_of_another_build_is_never_used() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    let image = artifacts::faulty_firmware("BOOT_LOOP");
    configuration.image(&image).set("firmware.virtual.elf", path_text(&artifacts::firmware_elf()));
    bench.configure(&configuration);
    let ended = bench.run(&["run"]).with_code(exit::USAGE);
    ended.saying("`firmware.virtual.elf`").saying("is of build");
    bench.must_be_untouched();

    // One that is not named, but is there.
    std::fs::copy(&image, bench.path("mine.bin")).unwrap();
    std::fs::copy(artifacts::firmware_elf(), bench.path("mine.elf")).unwrap();
    let mut configuration = Configuration::new();
    configuration.image(&bench.path("mine.bin"));
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::BOARD_FAILED);
    let record = bench.record();
    let told = |note: &String| note.contains("without functions") && note.contains("mine.elf");
    assert!(record.notes().iter().any(told), "{:?}", record.notes());
    let all = crashes(&record, "virtual-1");
    assert!(all[0].frames.iter().all(|frame| frame.function.is_none()), "{:#?}", all[0]);
    assert!(!all[0].frames.is_empty(), "the addresses are reported all the same");
}

#[test]
fn an_elf_that_is_not_there_or_is_none_is_refused() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration.set("firmware.virtual.elf", "gone.elf");
    bench.configure(&configuration);
    let ended = bench.run(&["run"]).with_code(exit::USAGE);
    ended
        .saying("runner-config.toml:")
        .saying("`firmware.virtual.elf`: there is no file")
        .saying("gone.elf");
    configuration.set("firmware.virtual.elf", path_text(&artifacts::firmware()));
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::USAGE).saying("is no ELF file");
    bench.must_be_untouched();
}
