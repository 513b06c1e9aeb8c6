//! `hilrig decode`: a crash of a real firmware on a virtual board, from its boot log to the line of
//! source that it happened in.

use std::fmt::Write as _;

use hilrig_core::exit;
use hilrig_tests::artifacts;
use hilrig_tests::attached::AttachedBoard;
use hilrig_tests::sandbox::{Sandbox, path_text};
use rustix::process::Signal;
use serde_json::Value;

/// The log of a board that writes through NULL at each boot, as `hilrig monitor` shows it, and the ELF
/// of its firmware.
fn crashed(bench: &Sandbox) -> (String, String) {
    let board = AttachedBoard::start(bench, "desk");
    let image = artifacts::faulty_firmware("BOOT_LOOP");
    let (port, control) = (board.port(), board.control_socket());
    bench
        .run(&["flash", "--port", port, "--control", control, &path_text(&image)])
        .with_code(exit::PASSED);
    let mut monitor = bench.start(&["monitor", "--port", port, "--control", control, "--reset"]);
    for _ in 0..4 {
        monitor.line_with("Exception (");
        monitor.line_with("<<<stack<<<");
    }
    monitor.signal(Signal::INT);
    let said = monitor.ended().with_code(exit::PASSED).stdout;
    board.stop();
    (said, path_text(&image.with_extension("elf")))
}

fn findings(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The first exception whose dump is whole.
fn first_exception(output: &str) -> Value {
    let all = findings(output);
    let whole = |finding: &&Value| finding["kind"] == "exception" && finding["cut"] == false;
    all.iter().find(whole).expect("a crash").clone()
}

/// The first crash, and that its frames lead to where the firmware writes through NULL.
fn first_crash(output: &str) -> Value {
    let all = findings(output);
    // The monitor's reset may have cut off the dump before it.
    let whole = |finding: &&Value| finding["kind"] == "exception" && finding["cut"] == false;
    let crash = all.iter().find(whole).expect("a crash");
    assert_eq!((&crash["cause"], &crash["excvaddr"]), (&29.into(), &"0x00000000".into()));
    let frames = crash["frames"].as_array().unwrap();
    let (first, outer) = (&frames[0], &frames[1]);
    let inlined = (&first["function"], &first["inlined"]);
    assert_eq!(inlined, (&"write_through_null".into(), &true.into()));
    assert_eq!(outer["function"], "fault_at_boot");
    assert!(first["file"].as_str().unwrap().ends_with("core/fault.c"), "{first}");
    assert!(first["line"].as_u64().unwrap() > 0, "{first}");
    let called = |name: &str| frames.iter().any(|frame| frame["function"] == name);
    assert!(called("port_main"), "who called it is on the stack: {frames:#?}");
    assert!(all.iter().any(|finding| finding["kind"] == "boot_loop"), "{all:#?}");
    crash.clone()
}

#[test]
fn a_crash_leads_to_its_line_of_source() {
    let bench = Sandbox::new();
    let (said, elf) = crashed(&bench);
    bench.write("board.log", &said);
    let json = ["decode", "--json", "--elf", &elf, "board.log"];
    let plain = first_crash(&bench.run(&json).with_code(exit::PASSED).stdout);
    let line = usize::try_from(plain["line"].as_u64().unwrap()).unwrap();
    assert!(said.lines().nth(line - 1).unwrap().contains("Exception (29):"), "line {line}");

    // As text: what, and where, on lines of their own.
    bench
        .run(&["decode", "--elf", &elf, "board.log"])
        .with_code(exit::PASSED)
        .showing("Exception (29): write to an address")
        .showing("write_through_null (inlined)")
        .showing("core/fault.c:");

    // The same out of an issue thread: quoted, as HTML.
    let mut pasted = String::from("It crashes:\n\n```\n");
    for line in said.lines() {
        let escaped = line.replace('&', "&amp;").replace('>', "&gt;").replace('<', "&lt;");
        writeln!(pasted, "> {escaped}\r").unwrap();
    }
    bench.write("board.log", pasted);
    let thread = first_crash(&bench.run(&json).with_code(exit::PASSED).stdout);
    assert_eq!(thread["frames"], plain["frames"]);

    // By the ELF of another build of the same sources, no function is named: log and ELF name their
    // builds. Where the log does not, the addresses show it, and those of the right build do not.
    bench.write("board.log", &said);
    let silent: String =
        said.lines().filter(|l| !l.contains("Build: ")).fold(String::new(), |mut all, line| {
            writeln!(all, "{line}").unwrap();
            all
        });
    bench.write("silent.log", &silent);
    let crash_of = |elf: &str, log: &str| -> Value {
        let ended = bench.run(&["decode", "--json", "--elf", elf, log]).with_code(exit::PASSED);
        first_exception(&ended.stdout)
    };
    assert_eq!(plain["note"], Value::Null, "{plain}");
    let same = crash_of(&elf, "silent.log");
    assert_eq!((&same["note"], &same["frames"]), (&Value::Null, &plain["frames"]));
    for fault in ["LARGER_CA", "CRASH_IN_HANDSHAKE"] {
        let other = path_text(&artifacts::faulty_firmware(fault).with_extension("elf"));
        let crash = crash_of(&other, "board.log");
        let note = crash["note"].as_str().unwrap();
        assert!(
            note.contains("the log is of build ") && note.contains("no function is named"),
            "{note}"
        );
        let named = |frame: &&Value| !frame["function"].is_null();
        assert_eq!(crash["frames"].as_array().unwrap().iter().find(named), None);
        let note = crash_of(&other, "silent.log")["note"].clone();
        assert!(
            note.as_str().is_some_and(|note| note.contains("another build")),
            "{fault}: {note}"
        );
    }

    // A board that crashes before it prints its build: the next start prints it.
    let (_, late) = said.split_once("Exception (").expect("a crash");
    assert!(late.contains("Build: "), "{late}");
    bench.write("late.log", format!("Exception ({late}"));
    let other = path_text(&artifacts::faulty_firmware("LARGER_CA").with_extension("elf"));
    let note = crash_of(&other, "late.log")["note"].clone();
    assert!(note.as_str().is_some_and(|note| note.contains("the log is of build ")), "{note}");
    assert_eq!(crash_of(&elf, "late.log")["note"], Value::Null);

    // A firmware that names its build in its own way: the contract has the patterns.
    let contract =
        std::fs::read_to_string(artifacts::contract()).expect("the contract can be read");
    let contract = contract.replace("in_log = '^Build: ", "in_log = '^Version ");
    bench.write("own.toml", contract);
    bench.write("own.log", said.replace("Build: ", "Version "));
    let by_contract = |elf: &str| {
        let json = ["decode", "--json", "--contract", "own.toml", "--elf", elf, "own.log"];
        first_exception(&bench.run(&json).with_code(exit::PASSED).stdout)["note"].clone()
    };
    let note = by_contract(&other);
    assert!(note.as_str().is_some_and(|note| note.contains("the log is of build ")), "{note}");
    assert_eq!(by_contract(&elf), Value::Null);

    // By the ELF of another firmware, nothing is made up.
    let other = path_text(&artifacts::boot_rom());
    let ended = bench.run(&["decode", "--json", "--elf", &other, "board.log"]);
    let told = findings(&ended.with_code(exit::PASSED).stdout);
    let crash = told.iter().find(|finding| finding["kind"] == "exception").unwrap();
    assert!(crash["note"].as_str().unwrap().contains("another firmware"), "{crash}");
    bench.nothing_may_be_left();
}

#[test]
fn a_log_without_a_crash_and_files_that_cannot_be_read() {
    let bench = Sandbox::new();
    bench.write("quiet.log", "ESP8266 IP: 10.0.2.15\nno Exception (28): all is well\n");
    bench
        .run(&["decode", "quiet.log"])
        .with_code(exit::PASSED)
        .showing("no crash found in 2 lines");
    let ended = bench.run(&["decode", "--json", "quiet.log"]).with_code(exit::PASSED);
    assert_eq!(ended.stdout, "");
    bench.run(&["decode", "none.log"]).with_code(exit::USAGE).saying("reading the log none.log");
    let elf = ["decode", "--elf", "quiet.log", "quiet.log"];
    bench.run(&elf).with_code(exit::USAGE).saying("no ELF file");
    bench.run(&["decode", "--up", "(", "quiet.log"]).with_code(exit::USAGE).saying("--up");
}
