//! What the machine gives: files that are none, folders for temporary files, limits, signals that stay
//! ignored.

use std::fs::{self, File};
use std::path::Path;

use hilrig_core::exit;
use hilrig_core::verdict::Verdict;
use hilrig_tests::artifacts;
use hilrig_tests::running::{EndedProgram, RunningProgram};
use hilrig_tests::sandbox::{Configuration, Sandbox};
use rustix::process::Signal;

/// `hilrig` with these arguments after `setting`, a line of the shell.
fn under(bench: &Sandbox, setting: &str, arguments: &[&str]) -> RunningProgram {
    let mut command = bench.command("sh");
    command.args(["-c", &format!("{setting}\nexec \"$0\" \"$@\"")]);
    command.arg(artifacts::hilrig()).args(arguments);
    RunningProgram::start(command)
}

fn pipe(path: &Path) {
    use rustix::fs::{CWD, Mode, mkfifoat};
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).expect("a pipe can be made");
}

#[test]
fn what_is_no_regular_file_or_has_no_end_is_refused_at_once() {
    let bench = Sandbox::new();
    pipe(&bench.path("pipe"));
    fs::create_dir(bench.path("folder")).unwrap();
    File::create(bench.path("huge")).unwrap().set_len(5 << 30).unwrap();
    let odd = [
        ("pipe", "a named pipe"),
        ("folder", "a folder"),
        ("/dev/zero", "a device"),
        ("huge", "larger than"),
    ];
    let refused = |arguments: &[&str], says: &str| {
        let ended = bench.run(arguments).with_code(exit::USAGE).saying(says);
        assert!(ended.stderr.len() < 2000, "{ended}");
    };
    for (name, says) in odd {
        refused(&["run", "--config", name], says);
        for key in ["firmware.contract", "firmware.virtual.image", "firmware.virtual.elf"] {
            let mut configuration = Configuration::new();
            configuration.set(key, name);
            bench.configure(&configuration);
            refused(&["run"], says);
        }
        bench.configure(&Configuration::new());
        let board = ["--port", "/dev/null", "--kind", "esp8266"];
        refused(&[&["flash"], &board[..], &[name]].concat(), says);
        if name != "folder" {
            refused(&["certify", "diff", name, name], if name == "huge" { "larger" } else { says });
            let says = if name == "huge" { "longer than" } else { says };
            fs::create_dir_all(bench.path("record")).unwrap();
            let events = bench.path("record/events.jsonl");
            let _ = fs::remove_file(&events);
            std::os::unix::fs::symlink(bench.path(name), &events).unwrap();
            refused(&["report", "record"], says);
        }
        let baseline = bench.path("heap-baseline.toml");
        std::os::unix::fs::symlink(bench.path(name), &baseline).unwrap();
        refused(&["run"], says);
        fs::remove_file(baseline).unwrap();
    }
}

#[test]
fn a_key_of_a_megabyte_gives_a_short_message() {
    let bench = Sandbox::new();
    let key = "k".repeat(900_000);
    bench.write("runner-config.toml", format!("{}\n[{key}]\n", Configuration::new().text()));
    let ended = bench.run(&["run"]).with_code(exit::USAGE).saying("runner-config.toml:");
    assert!(ended.stderr.len() < 20_000, "{} bytes", ended.stderr.len());
}

#[test]
fn a_tmpdir_that_is_not_there_is_named_and_a_long_one_will_do() {
    let bench = Sandbox::new();
    let mut command = bench.hilrig(&["run"]);
    command.env("TMPDIR", "/nowhere");
    let ended = RunningProgram::start(command).ended().with_code(exit::RIG_FAULT);
    let ended = ended.saying("/nowhere").saying("Set TMPDIR to a folder");
    assert!(!bench.path("hilrig-records").exists(), "{ended}");

    // A socket's path may have 107 bytes.
    let long = bench.path(format!("tmp/{}/{}", "x".repeat(100), "y".repeat(100)));
    fs::create_dir_all(&long).unwrap();
    let mut configuration = Configuration::new();
    let name = "a-board-whose-name-is-of-forty-letters-x";
    let board: toml::Table =
        toml::from_str(&format!("name = \"{name}\"\nkind = \"virtual\"")).expect("it is TOML");
    configuration.board(board);
    bench.configure(&configuration);
    let mut command = bench.hilrig(&["run"]);
    command.env("TMPDIR", &long);
    RunningProgram::start(command).ended().with_code(exit::PASSED);
    assert_eq!(bench.record().verdict(name).0, Verdict::Passed);
    assert_eq!(fs::read_dir(&long).unwrap().count(), 0);
}

#[test]
fn too_few_open_files_are_named_before_a_board_is_touched() {
    let bench = Sandbox::new();
    for limit in [16, 64] {
        let ended =
            under(&bench, &format!("ulimit -n {limit}"), &["run", "--virtual", "16"]).ended();
        let ended = ended.with_code(exit::RIG_FAULT).saying("open files");
        assert!(ended.stderr.contains(&format!("may open {limit}")), "{ended}");
    }
    bench.must_be_untouched();
}

#[test]
fn a_low_soft_limit_is_raised_and_a_hangup_that_is_ignored_stays_ignored() {
    let bench = Sandbox::new();
    let mut run = under(&bench, "ulimit -S -n 32\ntrap '' HUP INT", &["run"]);
    run.line_with("flash");
    run.signal(Signal::HUP);
    run.signal(Signal::INT);
    run.ended().with_code(exit::PASSED);
    bench.record().must_be_whole();
}

#[test]
fn a_limit_of_the_size_of_files_is_reported_and_kills_nothing() {
    let bench = Sandbox::new();
    // Of 512 bytes: less than the summary and the events take, more than the temporary files' marker.
    let ended = under(&bench, "ulimit -f 4", &["run"]).ended();
    let ended: EndedProgram = ended.with_code(exit::RIG_FAULT);
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert!(all.contains("File too large"), "{ended}");
    bench.nothing_may_be_left();
}

#[test]
fn a_record_without_a_beginning_is_an_error_and_one_without_an_end_is_incomplete() {
    let bench = Sandbox::new();
    fs::create_dir(bench.path("record")).unwrap();
    bench.write("record/events.jsonl", "");
    for format in ["summary", "junit", "html", "markdown", "annotations", "certificates"] {
        bench
            .run(&["report", "record", "--format", format])
            .with_code(exit::USAGE)
            .saying("no `run_started`");
    }
    assert_eq!(fs::read_dir(bench.path("record")).unwrap().count(), 1);
    let started = r#"{"at":0.0,"event":"run_started","schema":1,"hilrig":"0.1.0","run":"r","started":"2026-11-22T10:00:00Z","seed":4,"firmware":[],"boards":["a"]}"#;
    bench.write("record/events.jsonl", format!("{started}\n{{\"at\":0.1,\"ev"));
    bench
        .run(&["report", "record", "--format", "markdown"])
        .with_code(exit::PASSED)
        .saying("its last line, 2, is torn")
        .saying("it has no `run_ended`");
}

#[test]
fn half_an_image_is_refused_before_a_board_is_touched() {
    let bench = Sandbox::new();
    let image = fs::read(artifacts::firmware()).unwrap();
    fs::copy(artifacts::firmware_elf(), bench.path("half.elf")).unwrap();
    // In the loaded part, between both, and in the part that no checksum covers.
    for length in [1000, 0x8000, image.len() / 2, image.len() - 1] {
        let half = bench.write("half.bin", &image[..length]);
        let mut configuration = Configuration::new();
        configuration.image(&half);
        bench.configure(&configuration);
        let says = format!("it ends at byte {length}");
        bench.run(&["run"]).with_code(exit::USAGE).saying(&says);
        bench.must_be_untouched();
        let board = ["flash", "--port", "/dev/null", "--kind", "esp8266", "half.bin"];
        bench.run(&board).with_code(exit::USAGE).saying(&says);
    }
    let elf = fs::read(artifacts::firmware_elf()).unwrap();
    bench.write("half.elf", &elf[..elf.len() / 2]);
    let mut configuration = Configuration::new();
    configuration.set("firmware.virtual.elf", "half.elf");
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::USAGE).saying("firmware.virtual.elf").saying("cut short");
    bench.must_be_untouched();
}
