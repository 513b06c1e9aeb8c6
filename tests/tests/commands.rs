//! The commands beside `hilrig run`.

use std::path::PathBuf;
use std::process::Command;

use hilrig_core::exit;
use hilrig_core::verdict::Verdict;
use hilrig_tests::artifacts;
use hilrig_tests::attached::AttachedBoard;
use hilrig_tests::redact;
use hilrig_tests::running::RunningProgram;
use hilrig_tests::sandbox::{Configuration, Sandbox, path_text};
use rustix::process::Signal;
use serde_json::Value;

const COMMANDS: [&str; 12] = [
    "run",
    "boards",
    "flash",
    "monitor",
    "power",
    "virtual-board",
    "decode",
    "report",
    "heap",
    "doctor",
    "init",
    "completions",
];

#[test]
fn help_of_every_command() {
    let bench = Sandbox::new();
    let help = bench.run(&["--help"]).with_code(exit::PASSED);
    insta::assert_snapshot!("help", help.stdout);
    for command in COMMANDS {
        let help = bench.run(&[command, "--help"]).with_code(exit::PASSED);
        assert_eq!(help.stderr, "");
        insta::assert_snapshot!(format!("help_{}", command.replace('-', "_")), help.stdout);
    }
    bench.must_be_untouched();
}

#[test]
fn version_is_one_line() {
    let bench = Sandbox::new();
    let version = bench.run(&["--version"]).with_code(exit::PASSED).stdout;
    let number = version.strip_prefix("hilrig ").unwrap().trim_end();
    assert!(number.split('.').count() == 3 && version.lines().count() == 1, "{version}");
}

#[test]
fn completions_name_the_commands_and_bash_takes_them() {
    let bench = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bench.run(&["completions", shell]).with_code(exit::PASSED).stdout;
        for command in COMMANDS {
            assert!(script.contains(command), "{command} in the completions for {shell}");
        }
        if shell == "bash" {
            let script = bench.write("completions.bash", script);
            let mut check = bench.command("bash");
            check.arg("-n").arg(script);
            let ended = RunningProgram::start(check).ended().with_code(0);
            assert_eq!(ended.stderr, "");
        }
    }
    bench.run(&["completions", "csh"]).with_code(exit::USAGE).saying("possible values: bash");
}

#[test]
fn boards_lists_what_is_configured_and_not_attached() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration.board(toml::toml! {
        name = "gone" kind = "virtual" port = "/dev/hilrig-no-such-port" control = "no-such-socket"
    });
    bench.configure(&configuration);
    bench
        .run(&["boards"])
        .with_code(exit::PASSED)
        .showing("Board `gone`: there is no /dev/hilrig-no-such-port. Check its cable");
    let list = bench.run(&["boards", "--json"]).with_code(exit::PASSED).stdout;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert!(list["ports"].is_array() && list["probes"].is_array(), "{list}");
    assert_eq!(list["missing"].as_array().unwrap().len(), 1, "{list}");

    // Of use without a configuration; a wrong one is reported.
    let none = ["boards", "--config", "none.toml"];
    bench.run(&none).with_code(exit::PASSED);
    bench.write("runner-config.toml", "schema = 1\nboards = 7\n");
    bench.run(&["boards"]).with_code(exit::USAGE).saying("runner-config.toml:2: ");
    bench.must_be_untouched();
}

#[test]
fn boards_asks_a_chip_only_on_request_and_leaves_the_board_running() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    flash(&bench, &board, &path_text(&artifacts::firmware())).with_code(exit::PASSED);
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    bench.configure(&configuration);
    let desk = |arguments: &[&str]| -> Value {
        let list = bench.run(arguments).with_code(exit::PASSED).stdout;
        let list: Value = serde_json::from_str(&list).unwrap();
        let ports = list["ports"].as_array().unwrap();
        ports.iter().find(|port| port["board"] == "desk").expect("it is listed").clone()
    };
    let listed = desk(&["boards", "--json"]);
    assert_eq!((&listed["port"], &listed["chip"]), (&board.ready["port"], &Value::Null));
    let asked = desk(&["boards", "--json", "--ask"]);
    assert_eq!((&asked["chip"], &asked["mac"]), (&"esp8266".into(), &board.ready["mac"]));
    let status = board.control(r#"{"do":"status"}"#);
    assert_eq!(status["status"]["state"], "running", "it was reset back into its firmware");

    // A board that is locked is left alone, and the owner is reported.
    let mut monitor = bench.start(&["monitor", "--board", "desk", "--reset"]);
    monitor.line_with("ESP8266 Mode");
    bench.run(&["boards", "--ask"]).with_code(exit::PASSED).showing("hilrig monitor");
    monitor.signal(Signal::INT);
    monitor.ended().with_code(exit::PASSED);
    board.stop();
    bench.nothing_may_be_left();
}

/// Flashes a file onto a board by its port.
fn flash(
    bench: &Sandbox,
    board: &AttachedBoard,
    image: &str,
) -> hilrig_tests::running::EndedProgram {
    let arguments = ["flash", "--port", board.port(), "--control", board.control_socket(), image];
    bench.run(&arguments)
}

#[test]
fn flash_writes_an_image_and_starts_it() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let status = board.control(r#"{"do":"status"}"#);
    assert_eq!(status["status"]["state"], "loader", "a blank board waits in the loader");

    let image = artifacts::firmware();
    let bytes = std::fs::read(&image).unwrap();
    let ended = flash(&bench, &board, &path_text(&image)).with_code(exit::PASSED);
    ended.showing(&format!("flashed {} B in ", bytes.len())).showing("SHA-256 ");
    let flash_file = std::fs::read(bench.path("desk/flash.bin")).unwrap();
    assert!(flash_file.starts_with(&bytes), "the flash holds the image from its first byte on");
    let status = board.control(r#"{"do":"status"}"#);
    assert_eq!(status["status"]["state"], "running");

    // What is no image does not get near the board.
    let elf = path_text(&artifacts::firmware_elf());
    flash(&bench, &board, &elf).with_code(exit::USAGE).saying("it is an ELF file");
    flash(&bench, &board, "none.bin")
        .with_code(exit::USAGE)
        .saying("none.bin: there is no such file");
    assert!(std::fs::read(bench.path("desk/flash.bin")).unwrap().starts_with(&bytes));

    // By its name, the configuration's image.
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    bench.configure(&configuration);
    bench.run(&["flash", "--board", "desk"]).with_code(exit::PASSED).showing("flashed ");
    bench.run(&["flash", "--board", "dusk"]).with_code(exit::USAGE).saying("there are: desk");
    bench.run(&["flash"]).with_code(exit::USAGE).saying("--port");
    board.stop().with_code(exit::PASSED);
    bench.nothing_may_be_left();
}

#[test]
fn flash_without_a_board_on_the_port_names_what_was_tried() {
    let bench = Sandbox::new();
    let image = path_text(&artifacts::firmware());
    bench
        .run(&["flash", "--port", "/dev/hilrig-no-such-port", &image])
        .with_code(exit::RIG_FAULT)
        .saying("/dev/hilrig-no-such-port");
    bench.nothing_may_be_left();
}

#[test]
fn monitor_picks_out_heap_figures_and_ends_on_a_signal() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    bench.configure(&configuration);
    flash(&bench, &board, &path_text(&artifacts::firmware())).with_code(exit::PASSED);

    let mut monitor = bench.start(&["monitor", "--board", "desk", "--reset"]);
    monitor.line_with("ESP8266 Mode: Web Server Running");
    let heap = monitor.line_with("Heap boot: free ");
    assert!(heap.contains("  <- heap, boot: lowest "), "{heap}");
    assert!(heap.starts_with("[ ") && heap.contains("] Heap boot"), "a time comes first: {heap}");
    monitor.signal(Signal::INT);
    monitor.ended().with_code(exit::PASSED);
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn monitor_picks_out_a_crash() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    flash(&bench, &board, &path_text(&artifacts::faulty_firmware("BOOT_LOOP")))
        .with_code(exit::PASSED);
    let arguments =
        ["monitor", "--port", board.port(), "--control", board.control_socket(), "--reset"];
    let mut monitor = bench.start(&arguments);
    let crash = monitor.line_with("Exception (");
    assert!(crash.contains("  <- "), "{crash}");
    monitor.signal(Signal::TERM);
    monitor.ended().with_code(exit::PASSED);
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn monitor_lets_no_escape_sequence_through() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    flash(&bench, &board, &path_text(&artifacts::firmware())).with_code(exit::PASSED);
    let arguments =
        ["monitor", "--port", board.port(), "--control", board.control_socket(), "--reset"];
    let mut monitor = bench.start(&arguments);
    monitor.line_with("ESP8266 Mode");
    board.control(r#"{"do":"garbage","bytes":262144,"seed":5}"#);
    board.trouble_over();
    board.control(r#"{"do":"reset"}"#);
    // What comes after the garbage shows that all of it was read.
    monitor.line_with("ESP8266 Mode");
    monitor.signal(Signal::INT);
    let ended = monitor.ended().with_code(exit::PASSED);
    assert!(ended.stdout.len() > 262_144, "the garbage is shown: {} bytes", ended.stdout.len());
    let odd = ended.stdout.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    assert_eq!(odd, None);
    board.stop();
}

#[test]
fn a_virtual_board_prints_how_to_reach_it_and_keeps_its_flash() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let ready = board.ready.clone();
    let keys: Vec<&String> = ready.as_object().unwrap().keys().collect();
    for key in ["port", "control", "http", "mac"] {
        assert!(keys.iter().any(|have| *have == key), "{key} in {ready}");
    }
    assert!(PathBuf::from(board.port()).exists());
    flash(&bench, &board, &path_text(&artifacts::firmware())).with_code(exit::PASSED);

    // One process a board.
    let rom = path_text(&artifacts::boot_rom());
    let second = bench.run(&["virtual-board", "--state", "desk", "--boot-rom", &rom]);
    second.with_code(exit::RIG_FAULT).saying(&format!("process {}", ready["pid"]));
    board.stop().with_code(exit::PASSED);
    assert_eq!(bench.processes(), []);

    let again = AttachedBoard::start(&bench, "desk");
    assert_eq!(again.ready["mac"], ready["mac"]);
    let status = again.control(r#"{"do":"status"}"#);
    assert_eq!(status["status"]["state"], "running", "it boots what was flashed");
    again.stop();
    bench.nothing_may_be_left();
}

#[test]
fn a_killed_virtual_board_leaves_no_machine_and_can_be_started_again() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    flash(&bench, &board, &path_text(&artifacts::firmware())).with_code(exit::PASSED);
    let qemu = bench.process("qemu-system-xtensa");
    board.running().signal(Signal::KILL);
    hilrig_tests::processes::wait_gone(qemu.pid, "QEMU of a killed board");
    drop(board);
    let again = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(again.as_board("desk"));
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::PASSED);
    again.stop();
    bench.nothing_may_be_left();
}

#[test]
fn doctor_finds_everything_or_names_the_command_that_mends_it() {
    let bench = Sandbox::new();
    let doctor = |set: &dyn Fn(&mut Command)| {
        let mut command = bench.hilrig(&["doctor"]);
        // Whether an engine answers is this machine's matter.
        command.env("DOCKER_HOST", format!("unix://{}", path_text(&bench.path("no-engine"))));
        set(&mut command);
        RunningProgram::start(command).ended()
    };
    let well = doctor(&|_| {}).with_code(exit::PASSED);
    let well = well.showing("ok       firmware").showing("Everything that a run needs is there.");
    // Of the brokers that only a certification asks for, one is certainly not in an empty PATH.
    let bare = doctor(&|command| {
        command.env("PATH", "");
    });
    for (broker, mend) in [("aedes", "npm install --global aedes"), ("amqtt", "pip install amqtt")]
    {
        assert!(well.stdout.contains(broker), "{well}");
        assert!(bare.stdout.contains(&format!("without  {broker}")), "{bare}");
        assert!(bare.stdout.contains(mend), "{bare}");
    }

    let mut configuration = Configuration::new();
    configuration.set("broker.executable", "no-such-mosquitto");
    configuration.set("virtual.qemu", "no-such-qemu");
    configuration.set("firmware.virtual.image", "none.bin");
    bench.configure(&configuration);
    let ill = doctor(&|_| {}).with_code(exit::RIG_FAULT);
    let ill = ill.showing("A run needs what is missing.");
    for (what, mend) in [
        ("firmware", "make firmware"),
        ("QEMU", "apt-get install qemu-system-misc"),
        ("mosquitto", "apt-get install mosquitto"),
    ] {
        let lines: Vec<&str> = ill.stdout.lines().collect();
        let at = lines.iter().position(|line| line.starts_with(&format!("missing  {what}")));
        let at = at.unwrap_or_else(|| panic!("{what} is not missing: {ill}"));
        assert!(lines[at + 1].contains(mend), "{ill}");
    }

    bench.write("runner-config.toml", "schema = 1\n");
    doctor(&|_| {}).with_code(exit::RIG_FAULT).showing("missing  configuration");
    bench.must_be_untouched();
}

#[test]
fn doctor_looks_at_each_board_and_at_the_machine() {
    let bench = Sandbox::new();
    let board = AttachedBoard::unseeded(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    bench.configure(&configuration);
    let doctor = |set: &dyn Fn(&mut Command)| {
        let mut command = bench.hilrig(&["doctor"]);
        set(&mut command);
        RunningProgram::start(command).ended()
    };
    let well = doctor(&|_| {}).with_code(exit::PASSED);
    well.showing("ok       board desk").showing(board.mac()).showing("ok       clock");

    // The cable is out, and the board at the port ended.
    let mut gone = board.as_board("gone");
    gone.insert("port".into(), "no-such-port".into());
    configuration.board(gone);
    board.stop().with_code(exit::PASSED);
    configuration.set("firmware.secrets.mqtt_pw", "HILRIG_NO_SUCH_VARIABLE");
    bench.configure(&configuration);
    let ill = doctor(&|command| {
        command.env("TMPDIR", bench.path("no-such-folder"));
    });
    let ill = ill.with_code(exit::RIG_FAULT);
    for what in ["board desk", "board gone", "temporary files", "secrets"] {
        let line = ill.stdout.lines().find(|line| line.contains(what)).unwrap_or_default();
        assert!(line.starts_with("missing"), "{what}: {ill}");
    }
    for words in ["no-such-port", "no-such-folder", "TMPDIR", "HILRIG_NO_SUCH_VARIABLE"] {
        assert!(ill.stdout.contains(words), "{words}: {ill}");
    }
}

#[test]
fn init_writes_what_run_takes_and_overwrites_nothing() {
    let bench = Sandbox::new();
    bench.run(&["init"]).with_code(exit::USAGE).saying("is not overwritten");
    assert_eq!(
        std::fs::read_to_string(bench.path("runner-config.toml")).unwrap(),
        Configuration::new().text()
    );

    bench.run(&["init", "new.toml"]).with_code(exit::PASSED).showing("new.toml is written");
    let firmware = artifacts::contract().parent().unwrap().to_owned();
    std::os::unix::fs::symlink(firmware, bench.path("firmware")).unwrap();
    let arguments = ["run", "--config", "new.toml", "--broker", "process"];
    bench.run(&arguments).with_code(exit::PASSED);
    let record = bench.record();
    record.must_be_whole();
    assert_eq!(record.verdict("virtual-1").0, Verdict::Passed);
    // The floors in it were measured.
    assert!(record.checks("virtual-1").iter().any(|check| check.id == "heap.handshake"));
    bench
        .run(&["init", "no/such/folder.toml"])
        .with_code(exit::USAGE)
        .saying("no/such/folder.toml");
}

/// The result of a shell pipeline: the exit code of its first part, and what was on standard error.
fn piped(bench: &Sandbox, pipeline: &str) -> (String, String) {
    let mut shell = bench.command("bash");
    shell.arg("-c").arg(format!("{pipeline}; echo ${{PIPESTATUS[0]}}"));
    shell.env("HILRIG", artifacts::hilrig());
    let ended = RunningProgram::start(shell).ended().with_code(0);
    let code = ended.stdout.lines().last().unwrap_or_default().to_owned();
    (code, ended.stderr)
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let bench = Sandbox::new();
    for command in ["--help", "run --help", "completions bash", "boards --json", "doctor"] {
        // `true` reads nothing at all.
        let (_, stderr) = piped(&bench, &format!("\"$HILRIG\" {command} | true"));
        assert_eq!(stderr, "", "hilrig {command}");
    }
    let (code, stderr) = piped(&bench, "\"$HILRIG\" run | head -n 1");
    assert!(!stderr.contains("panicked"), "{code}: {stderr}");
    let record = bench.record();
    record.must_be_whole();
    assert_eq!(record.verdict("virtual-1").0, Verdict::Passed);
    bench.nothing_may_be_left();
}

#[test]
fn colour_is_for_terminals() {
    let bench = Sandbox::new();
    let ended = bench.run(&["doctor"]);
    assert!(!ended.stdout.contains('\x1b'), "{ended}");
    let ended = bench.run(&["run", "--config", "none.toml"]).with_code(exit::USAGE);
    assert!(!ended.stderr.contains('\x1b'), "{ended}");
    insta::assert_snapshot!("no_configuration", redact::output(&ended.stderr, &bench.path("")));
}

#[test]
fn the_vendors_tool_flashes_a_virtual_board_and_it_boots() {
    let Some(esptool) = artifacts::esptool() else { return };
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut command = bench.command(esptool);
    command.args(["--chip", "esp8266", "--port", board.port(), "--no-stub"]);
    command.args(["--before", "no-reset", "--after", "no-reset", "write-flash", "0"]);
    command.arg(artifacts::firmware());
    RunningProgram::start(command).ended().with_code(0);

    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    bench.configure(&configuration);
    let mut monitor = bench.start(&["monitor", "--board", "desk", "--reset"]);
    monitor.line_with("ESP8266 Mode: Web Server Running");
    monitor.signal(Signal::INT);
    monitor.ended().with_code(exit::PASSED);
    // The rig does not know what the tool wrote, so it writes its image.
    bench.run(&["run"]).with_code(exit::PASSED);
    board.stop();
    bench.nothing_may_be_left();
}
