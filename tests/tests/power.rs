//! A board that gives no sign of life is switched off and on once; then it is a rig fault. What the
//! firmware does wrong is never mended that way.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use hilrig_core::event::What;
use hilrig_core::exit;
use hilrig_core::phase::Phase;
use hilrig_core::verdict::Verdict;
use hilrig_tests::artifacts;
use hilrig_tests::attached::AttachedBoard;
use hilrig_tests::record::Record;
use hilrig_tests::running::RunningProgram;
use hilrig_tests::sandbox::{Configuration, Sandbox};
use rustix::process::Signal;
use serde_json::Value;

fn status(board: &AttachedBoard, key: &str) -> Value {
    board.control(r#"{"do":"status"}"#)["status"][key].clone()
}

fn cycles(record: &Record) -> usize {
    record.notes().iter().filter(|note| note.contains("switched off and on")).count()
}

fn crashes(record: &Record) -> usize {
    record.events().iter().filter(|event| matches!(event.what, What::Crash(_))).count()
}

/// Adds a power line to a board.
fn with_power(mut board: toml::Table, keys: &[(&str, &str)]) -> toml::Table {
    let power = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).into()));
    board.insert("power".into(), toml::Value::Table(power.collect()));
    board
}

#[track_caller]
fn rig_fault(record: &Record, says: &[&str]) {
    record.must_be_whole();
    let (verdict, why) = record.verdict("desk");
    assert_eq!(verdict, Verdict::RigFault, "{why}");
    for words in says {
        assert!(why.contains(words), "`{words}` is not in: {why}");
    }
}

#[test]
fn a_board_that_hangs_is_switched_off_and_on_once_and_passes() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    bench.configure(&configuration);
    let before = status(&board, "power_ons").as_u64().unwrap();
    board.control(r#"{"do":"hang"}"#);
    // Its reset line does not help.
    board.control(r#"{"do":"reset"}"#);
    assert_eq!(status(&board, "state"), "hung");
    let ended = bench.run(&["run"]).with_code(exit::PASSED);
    ended.showing("no sign of life, so it is switched off and on by the control socket");
    let record = bench.record();
    record.must_be_whole();
    assert_eq!(record.verdict("desk").0, Verdict::Passed);
    assert_eq!((cycles(&record), crashes(&record)), (1, 0));
    let first = [Phase::Lock, Phase::Flash, Phase::Lock, Phase::Flash, Phase::Boot];
    assert_eq!(record.phases("desk")[..5], first);
    assert!(status(&board, "power_ons").as_u64().unwrap() > before);
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn a_power_cycle_is_not_taken_for_a_brownout() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    // The silent board is given up after this time.
    configuration.board(board.as_board("desk")).set("deadlines.boot", "10 s");
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::PASSED);
    // What is on it is kept, does not come up, and hangs: that shows when it is flashed again.
    board.control(r#"{"do":"silent"}"#);
    let mut run = bench.start(&["run"]);
    run.line_with("desk  boot");
    // Without the rig's hand, this and the start that follows are the signs of one.
    let dying = " ets Jan  8 2013,rst cause:2, boot mode:(3,6)\r\nthe firmware speaks here\r\n";
    let dying = format!("{dying}{}\r\n", "\u{fffd}".repeat(16));
    board.control(&serde_json::json!({ "do": "say", "text": dying }).to_string());
    board.control(r#"{"do":"hang"}"#);
    board.control(r#"{"do":"normal"}"#);
    run.ended().with_code(exit::PASSED);
    let record = bench.record();
    record.must_be_whole();
    assert_eq!(record.verdict("desk").0, Verdict::Passed);
    assert!(record.text("desk/boot.log").contains("the firmware speaks here"));
    assert_eq!((cycles(&record), crashes(&record)), (1, 0));
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn a_board_that_a_power_cycle_does_not_help_is_the_rigs_trouble() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    // A power line that does nothing.
    let power = [("on", "true"), ("off", "true"), ("off_time", "10 ms")];
    configuration.board(with_power(board.as_board("desk"), &power));
    bench.configure(&configuration);
    board.control(r#"{"do":"hang"}"#);
    bench.run(&["run"]).with_code(exit::RIG_FAULT);
    let record = bench.record();
    rig_fault(&record, &["SYNC", "no answer within", "A power cycle did not help", board.port()]);
    assert_eq!(cycles(&record), 1);
    assert_eq!(record.phases("desk"), [Phase::Lock, Phase::Flash, Phase::Lock, Phase::Flash]);
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn a_power_line_that_fails_is_reported() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    let power = [("on", "true"), ("off", "echo no such relay >&2; exit 3")];
    configuration.board(with_power(board.as_board("desk"), &power));
    bench.configure(&configuration);
    board.control(r#"{"do":"hang"}"#);
    bench.run(&["run"]).with_code(exit::RIG_FAULT);
    rig_fault(&bench.record(), &["SYNC", "exit status: 3", "no such relay"]);
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn a_port_that_is_gone_is_waited_for_after_the_power_came_back() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    let mut desk = board.as_board("desk");
    // As the device of an adapter that has crashed: it is back some time after the power.
    let link = bench.path("tty");
    desk.insert("port".into(), link.to_str().unwrap().into());
    let on = format!("(sleep 0.3; ln -s {} {}) > /dev/null 2>&1 &", board.port(), link.display());
    let power = [("on", on.as_str()), ("off", "true"), ("off_time", "10 ms")];
    configuration.board(with_power(desk, &power));
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::PASSED);
    let record = bench.record();
    assert_eq!(cycles(&record), 1);
    assert_eq!(record.phases("desk")[..3], [Phase::Lock, Phase::Lock, Phase::Flash]);
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn without_a_power_line_it_is_the_rigs_trouble_at_once() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration.set("firmware.esp8266.image", artifacts::firmware().to_str().unwrap());
    configuration.board(toml::toml! {
        name = "desk" kind = "esp8266" port = "/dev/hilrig-no-such-port" rig = "127.0.0.1"
    });
    // Only another run that has the board is waited for.
    configuration.set("deadlines.lock", "4 min");
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::RIG_FAULT);
    let record = bench.record();
    rig_fault(&record, &["/dev/hilrig-no-such-port", "no power line ([board.power])"]);
    assert_eq!(cycles(&record), 0);
    assert_eq!(record.phases("desk"), [Phase::Lock]);
    bench.nothing_may_be_left();
}

#[test]
fn what_the_firmware_does_wrong_is_not_mended_by_its_power() {
    for fault in ["BOOT_LOOP", "SILENT_MQTT"] {
        let bench = Sandbox::new();
        let mut configuration = Configuration::new();
        configuration.image(&artifacts::faulty_firmware(fault)).set("deadlines.reply", "3 s");
        bench.configure(&configuration);
        bench.run(&["run"]).with_code(exit::BOARD_FAILED);
        assert_eq!(cycles(&bench.record()), 0, "{fault}");
    }
}

#[test]
fn a_run_that_waits_for_a_board_reports_the_owner_at_once() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk")).set("deadlines.lock", "4 min");
    bench.configure(&configuration);
    bench.run(&["flash", "--board", "desk"]).with_code(exit::PASSED);
    let mut monitor = bench.start(&["monitor", "--board", "desk", "--reset"]);
    monitor.line_with("ESP8266 Mode");
    let mut run = bench.start(&["run"]);
    let line = run.line_with("waiting for");
    let holder = format!("process {} has had it since ", monitor.pid().as_raw_nonzero());
    for words in [&holder, "for: reading its console", "`hilrig monitor --board desk --reset`"] {
        assert!(line.contains(words), "`{words}` is not in: {line}");
    }
    // However the holder ends.
    monitor.signal(Signal::KILL);
    run.ended().with_code(exit::PASSED);
    let notes = bench.record().notes();
    assert_eq!(notes.iter().filter(|note| note.contains(&holder)).count(), 1, "{notes:?}");
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn power_is_switched_by_hand_where_no_run_has_the_board() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    configuration.board(toml::toml! {
        name = "bare" kind = "virtual" port = "/dev/hilrig-no-such-port" control = "no-such-socket"
    });
    bench.configure(&configuration);
    bench.run(&["power", "--board", "desk", "off"]).with_code(exit::PASSED).showing("desk: off");
    assert_eq!(status(&board, "state"), "off");
    bench.run(&["power", "--board", "desk", "on"]).with_code(exit::PASSED).showing("desk: on");
    let before = status(&board, "power_ons").as_u64().unwrap();
    bench.run(&["flash", "--board", "desk"]).with_code(exit::PASSED);
    bench.run(&["power", "--board", "desk", "cycle"]).with_code(exit::PASSED);
    assert!(status(&board, "power_ons").as_u64().unwrap() > before);
    bench
        .run(&["power", "--board", "bare", "off"])
        .with_code(exit::RIG_FAULT)
        .saying("no-such-socket");

    let mut monitor = bench.start(&["monitor", "--board", "desk", "--reset"]);
    monitor.line_with("ESP8266 Mode");
    bench
        .run(&["power", "--board", "desk", "off"])
        .with_code(exit::RIG_FAULT)
        .saying(&format!("process {} has had it", monitor.pid().as_raw_nonzero()));
    assert_eq!(status(&board, "state"), "running");
    monitor.signal(Signal::INT);
    monitor.ended().with_code(exit::PASSED);
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn a_relays_password_comes_from_the_environment_and_is_shown_nowhere() {
    let relay = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", relay.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = relay.accept().unwrap();
        let mut request = Vec::new();
        let mut piece = [0; 1024];
        while !request.ends_with(b"\r\n\r\n") {
            let got = stream.read(&mut piece).unwrap();
            request.extend_from_slice(&piece[..got]);
        }
        let body = r#"{"WARNING":"not geheim-7"}"#;
        let head = format!("HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + body).as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration.set("firmware.esp8266.image", artifacts::firmware().to_str().unwrap());
    let desk = toml::toml! {
        name = "desk" kind = "esp8266" port = "/dev/hilrig-no-such-port" rig = "127.0.0.1"
    };
    let power = [("tasmota", url.as_str()), ("user", "admin"), ("password_env", "RELAY_PASSWORD")];
    configuration.board(with_power(desk, &power));
    bench.configure(&configuration);
    bench
        .run(&["run"])
        .with_code(exit::USAGE)
        .saying("board.power.password_env: the environment has no variable RELAY_PASSWORD");
    let mut command = bench.hilrig(&["run"]);
    command.env("RELAY_PASSWORD", "geheim-7").env("HILRIG_LOG", "trace");
    let ended = RunningProgram::start(command).ended().with_code(exit::RIG_FAULT);
    let request = asked.join().unwrap();
    assert!(request.starts_with("GET /cm?user=admin&password=geheim-7&cmnd=Power1%20Off "));
    let record = bench.record();
    rig_fault(&record, &["it answered 401", "***"]);
    for text in [ended.stdout, ended.stderr, record.text("events.jsonl"), record.text("junit.xml")]
    {
        assert!(!text.contains("geheim"), "{text}");
    }
    bench.nothing_may_be_left();
}
