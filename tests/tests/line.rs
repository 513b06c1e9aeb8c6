//! Boards on a line that has rates: the loader's, the ROM's, the firmware's.

use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use hilrig_core::event::What;
use hilrig_core::exit;
use hilrig_core::phase::Phase;
use hilrig_tests::PATIENCE;
use hilrig_tests::attached::AttachedBoard;
use hilrig_tests::record::Record;
use hilrig_tests::running::RunningProgram;
use hilrig_tests::sandbox::{Configuration, Sandbox};

/// A bench with a board of the kind `virtual` on a line with rates.
fn on_line(rates: &str, keys: &[(&str, i64)]) -> (Sandbox, AttachedBoard, Configuration) {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    board.control(rates);
    let mut configuration = Configuration::new();
    let mut table = board.as_board("desk");
    for (key, value) in keys {
        table.insert((*key).into(), (*value).into());
    }
    configuration.board(table);
    bench.configure(&configuration);
    (bench, board, configuration)
}

/// The rates at which the image was written, and the notes.
fn flashed(record: &Record) -> (Vec<u32>, Vec<String>) {
    let (mut rates, mut notes) = (Vec::new(), Vec::new());
    for event in record.events() {
        match event.what {
            What::Flashed { baud, .. } => rates.extend(baud),
            What::Note { text } => notes.push(text),
            _ => {}
        }
    }
    (rates, notes)
}

#[test]
fn on_a_line_with_rates_the_loader_falls_back_and_the_roms_text_is_read() {
    let rates = r#"{"do":"rates","most":230400}"#;
    let (bench, board, _) = on_line(rates, &[("rom_baud", 74_880), ("flash_baud", 460_800)]);
    bench.run(&["run"]).with_code(exit::PASSED);
    let record = bench.record();
    record.must_be_whole();
    let (at, notes) = flashed(&record);
    assert_eq!(at, [230_400], "{notes:?}");
    assert!(
        notes.iter().any(|note| note.contains("at 460800 baud") && note.contains("trying 230400")),
        "{notes:?}"
    );
    // When the firmware restarts by itself, the ROM speaks at a rate that is not expected.
    let log = String::from_utf8_lossy(&record.bytes("desk/boot.log")).into_owned();
    let place = |part: &str| log.find(part).unwrap_or_else(|| panic!("no `{part}` in:\n{log}"));
    assert!(place("ets Jan  8 2013,rst cause:") < place("~ld"), "{log}");
    assert!(place("~ld") < place("Build: "), "{log}");
    assert!(place("Build: ") < place("ESP8266 Mode: Web Server"), "{log}");

    // The rate is remembered.
    bench.run(&["run", "--flash"]).with_code(exit::PASSED);
    let (at, notes) = flashed(&bench.record());
    assert_eq!(
        (at, notes.iter().any(|note| note.contains("trying"))),
        (vec![230_400], false),
        "{notes:?}"
    );
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn a_wrong_rate_of_the_console_is_reported_with_what_came() {
    let (bench, board, mut configuration) =
        on_line(r#"{"do":"rates"}"#, &[("rom_baud", 74_880), ("baud", 9_600)]);
    configuration.set("deadlines.boot", "4 s");
    bench.configure(&configuration);
    bench.run(&["run"]).with_code(exit::BOARD_FAILED);
    let record = bench.record();
    assert_eq!(record.phases("desk"), [Phase::Lock, Phase::Flash, Phase::Boot]);
    let why = record.board("desk")["why"].as_str().unwrap().to_owned();
    assert!(why.contains("waited 4 s for the boot log's line 1"), "{why}");
    assert!(why.contains("is `baud` right?"), "{why}");
    // The ROM's text is at the right rate.
    let log = String::from_utf8_lossy(&record.bytes("desk/boot.log")).into_owned();
    assert!(log.contains("rst cause:") && !log.contains("Build: "), "{log}");
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn a_port_that_goes_away_while_the_flash_is_written_is_the_rigs_trouble() {
    let (bench, board, mut configuration) = on_line(r#"{"do":"normal"}"#, &[]);
    // Long enough to be in the middle of when the first progress is reported.
    let big = bench.path("big.bin");
    let mut image = std::fs::read(hilrig_tests::artifacts::firmware()).unwrap();
    image.resize(1024 * 1024, 0x55);
    std::fs::write(&big, image).unwrap();
    configuration.image(&big);
    bench.configure(&configuration);
    let mut run = bench.start(&["run"]);
    run.line_with("desk  flash");
    let port = board.port().to_owned();
    let deadline = Instant::now() + PATIENCE;
    // As text: its last line may be half written. The first progress is that of no byte.
    let events = bench.path("hilrig-records/latest/events.jsonl");
    let events = || std::fs::read_to_string(&events).unwrap_or_default();
    while events().matches("flash_progress").count() < 2 {
        assert!(Instant::now() < deadline, "nothing was written within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    rustix::process::kill_process(board.running().pid(), rustix::process::Signal::KILL).unwrap();
    run.ended().with_code(exit::RIG_FAULT);
    let record = bench.record();
    let why = record.board("desk")["why"].as_str().unwrap().to_owned();
    assert!(why.contains(&port) && why.contains("gone"), "{why}");
    // A machine that was slow to kill it has written all of it before.
    if record.phases("desk").last() == Some(&Phase::Flash) {
        assert!(why.contains("at byte "), "{why}");
        assert_eq!(flashed(&record).0, [0; 0], "nothing is said to be written");
    }
    drop(board);
}

#[test]
fn a_board_with_half_an_image_is_flashed_again_and_reported_as_such() {
    let (bench, board, mut configuration) = on_line(r#"{"do":"normal"}"#, &[]);
    bench.run(&["run"]).with_code(exit::PASSED);

    // Stopped in the middle of another image. The first one's record must not count any more.
    let mut small = configuration.clone();
    let big = bench.path("big.bin");
    let firmware = std::fs::read(hilrig_tests::artifacts::firmware()).unwrap();
    let size = firmware.len();
    let mut image = firmware;
    image.resize(1024 * 1024, 0x55);
    std::fs::write(&big, image).unwrap();
    bench.configure(configuration.image(&big));
    let mut run = bench.start(&["run"]);
    run.line_with("desk  flash");
    let events = bench.path("hilrig-records/latest/events.jsonl");
    let deadline = Instant::now() + PATIENCE;
    // As text: its last line may be half written. The first progress is that of no byte.
    let written = || std::fs::read_to_string(&events).unwrap_or_default();
    while written().matches("flash_progress").count() < 2 {
        assert!(Instant::now() < deadline, "nothing was written within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    run.signal(rustix::process::Signal::INT);
    run.ended().with_code(exit::RIG_FAULT);
    bench.configure(&small);
    bench.run(&["run"]).with_code(exit::PASSED);
    assert_eq!(bench.record().board("desk")["flashed_bytes"], size);

    // Another program's flashing was cut short after the first block, which the record does not have.
    board.control(r#"{"do":"power_off"}"#);
    let flash = std::fs::OpenOptions::new().write(true).open(bench.path("desk/flash.bin")).unwrap();
    flash.write_all_at(&vec![0xFF; size - 1024], 1024).unwrap();
    board.control(r#"{"do":"power_on"}"#);
    bench.configure(small.set("deadlines.boot", "10 s"));
    bench.run(&["run"]).with_code(exit::PASSED);
    let record = bench.record();
    assert_eq!(record.board("desk")["flashed_bytes"], size);
    let (_, notes) = flashed(&record);
    let again =
        notes.iter().find(|note| note.starts_with("flashed again")).expect("it is reported");
    assert!(again.contains("no whole image in its flash"), "{again}");
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn settings_that_are_flashed_count_from_the_first_start_on() {
    let bench = Sandbox::new();
    let mut configuration = Configuration::new();
    configuration
        .set("firmware.virtual.settings", "flash")
        .set("firmware.settings.svrport", "9705")
        .set("firmware.settings.mqtt_ci", "from-the-flash")
        .set("firmware.secrets.password", "WIFI_PASSWORD");
    bench.configure(&configuration);
    let mut command = bench.hilrig(&["run"]);
    command.env("WIFI_PASSWORD", "never-to-be-seen");
    RunningProgram::start(command).ended().with_code(exit::PASSED);
    let record = bench.record();
    let log = record.text("virtual-1/boot.log");
    let mut stored = log.lines().filter(|line| line.starts_with("Settings: "));
    assert_eq!(stored.next(), Some("Settings: stored (sequence 1)"), "{log}");
    let flashed = record.board("virtual-1")["flashed_bytes"].as_u64().unwrap();
    let image = std::fs::metadata(hilrig_tests::artifacts::firmware()).unwrap().len();
    assert_eq!(flashed, image + 8192);
    for name in ["events.jsonl", "summary.json", "virtual-1/boot.log"] {
        assert!(!record.text(name).contains("never-to-be-seen"), "{name}");
    }

    // What cannot be stored is reported before anything runs, by its key alone.
    configuration.set("firmware.settings.mqtt_ci", "x".repeat(65));
    bench.configure(&configuration);
    let mut command = bench.hilrig(&["run"]);
    command.env("WIFI_PASSWORD", "never-to-be-seen");
    let ended = RunningProgram::start(command).ended().with_code(exit::USAGE);
    assert!(ended.stderr.contains("`mqtt_ci`: longer than 64 bytes"), "{}", ended.stderr);
}

#[test]
fn segments_lie_where_they_were_to_and_those_that_lie_over_others_are_refused() {
    let bench = Sandbox::new();
    let board = AttachedBoard::start(&bench, "desk");
    let (first, second) = (vec![0xA5; 5000], (0..=255).collect::<Vec<u8>>());
    bench.write("first.bin", &first);
    bench.write("second.bin", &second);
    let segment = |offset: i64, file: &str| {
        let mut table = toml::Table::new();
        table.insert("offset".into(), offset.into());
        table.insert("file".into(), file.into());
        toml::Value::from(table)
    };
    let mut configuration = Configuration::new();
    configuration.board(board.as_board("desk"));
    let segments = vec![segment(0x20_2000, "second.bin"), segment(0x20_0000, "first.bin")];
    configuration.set("firmware.virtual.segments", segments);
    bench.configure(&configuration);
    bench.run(&["flash", "--board", "desk"]).with_code(exit::PASSED);
    let flash = std::fs::read(bench.path("desk/flash.bin")).unwrap();
    let image = std::fs::read(hilrig_tests::artifacts::firmware()).unwrap();
    for (at, bytes) in [(0, &image), (0x20_0000, &first), (0x20_2000, &second)] {
        assert!(flash[at..].starts_with(bytes), "what was to lie at {at:#x}");
    }
    assert_eq!(flash[0x20_2000 + 256..0x20_3000], [0xFF; 4096 - 256]);

    for (offset, why) in [
        (0x1000, "overlap with the image"),
        (0x20_1000, "overlap with the data at 0x200000"),
        (0x3F_F000 + 0x1000, "exceed the flash"),
    ] {
        let segments = vec![segment(0x20_0000, "first.bin"), segment(offset, "second.bin")];
        configuration.set("firmware.virtual.segments", segments);
        bench.configure(&configuration);
        let ended = bench.run(&["flash", "--board", "desk"]).with_code(exit::USAGE);
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
        assert!(ended.stderr.contains("runner-config.toml:"), "with its line: {}", ended.stderr);
    }
    board.stop();
}
