//! Boards that are identified by what stays, on a machine whose adapters are plugged and pulled.

use std::path::Path;

use hilrig_core::exit;
use hilrig_core::verdict::Verdict;
use hilrig_tests::artifacts;
use hilrig_tests::attached::AttachedBoard;
use hilrig_tests::machine::IsolatedMachine;
use hilrig_tests::sandbox::{Configuration, Sandbox, path_text};
use hilrig_tests::skip::skipped;
use hilrig_tests::usb::Adapter;
use serde_json::Value;

/// A board on a USB adapter, whose reset lines are the control socket of its virtual board.
fn on_usb(board: &AttachedBoard, name: &str, keys: toml::Table) -> toml::Table {
    let mut table = board.as_board(name);
    table.remove("port");
    table.insert("kind".into(), "esp8266".into());
    table.insert("rig".into(), "10.0.2.2".into());
    table.extend(keys);
    table
}

fn configuration(boards: impl IntoIterator<Item = toml::Table>) -> Configuration {
    let mut configuration = Configuration::new();
    configuration.set("firmware.esp8266.image", path_text(&artifacts::firmware()));
    for board in boards {
        configuration.board(board);
    }
    configuration
}

#[test]
fn a_run_waits_for_its_board_and_finds_it_wherever_it_is_plugged_in() {
    let bench = Sandbox::new();
    let Some(machine) = IsolatedMachine::new(&bench) else { return };
    let board = AttachedBoard::start(&bench, "desk");
    let port = Path::new(board.port());
    let mut with_patience =
        configuration([on_usb(&board, "desk", toml::toml! { usb_serial = "A7" })]);
    with_patience.set("deadlines.lock", "4 min");
    bench.configure(&with_patience);

    let mut run = machine.start(&["run"]);
    run.line_with("desk  lock");
    let adapter = |tty, place, serial| Adapter { serial, ..Adapter::cp210x(tty, place) };
    machine.usb.plug(&adapter("ttyUSB0", "1", Some("B1")), Path::new("/dev/null"));
    machine.usb.plug(&adapter("ttyUSB1", "2", Some("A7")), port);
    run.ended().with_code(exit::PASSED);
    assert_eq!(bench.record().verdict("desk").0, Verdict::Passed);

    // Both are pulled, and come back the other way round.
    machine.usb.unplug("ttyUSB0");
    machine.usb.unplug("ttyUSB1");
    machine.usb.plug(&adapter("ttyUSB0", "4.3", Some("A7")), port);
    machine.usb.plug(&adapter("ttyUSB1", "1", Some("B1")), Path::new("/dev/null"));
    machine.start(&["run"]).ended().with_code(exit::PASSED);
    let list = machine.start(&["boards", "--json"]).ended().with_code(exit::PASSED).stdout;
    let list: Value = serde_json::from_str(&list).unwrap();
    let named = list["ports"].as_array().unwrap().iter().find(|port| port["board"] == "desk");
    let named = named.expect("the board is listed");
    assert_eq!((&named["port"], &named["serial"]), (&"/dev/ttyUSB0".into(), &"A7".into()));
    // As the chip reported when it was flashed.
    assert_eq!((&named["chip"], &named["mac"]), (&"esp8266".into(), &board.ready["mac"]));
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn two_boards_with_one_serial_number() {
    let bench = Sandbox::new();
    let Some(machine) = IsolatedMachine::new(&bench) else { return };
    let boards = [1, 2].map(|seed| AttachedBoard::seeded(&bench, &format!("state-{seed}"), seed));
    for (number, board) in boards.iter().enumerate() {
        let (tty, place) = (format!("ttyUSB{number}"), format!("{}", number + 1));
        let adapter = Adapter { serial: Some("0001"), ..Adapter::cp210x(&tty, &place) };
        machine.usb.plug(&adapter, Path::new(board.port()));
    }
    // The serial number alone is not enough, and nothing is touched.
    let keys = toml::toml! { usb_serial = "0001" };
    bench.configure(&configuration([on_usb(&boards[0], "a", keys.clone())]));
    let ended = machine.start(&["run"]).ended().with_code(exit::RIG_FAULT);
    let (verdict, why) = bench.record().verdict("a");
    assert_eq!(verdict, Verdict::RigFault, "{ended}");
    for word in ["2 ports match", "/dev/ttyUSB0", "/dev/ttyUSB1", "Add the `position`"] {
        assert!(why.contains(word), "`{word}` in: {why}");
    }
    // Their places do, and their chips' MACs.
    let position = "pci-0000:00:14.0-usb-0:2:1.0-port0";
    let by_place = toml::toml! { usb_serial = "0001" position = position };
    let mut by_mac = keys.clone();
    by_mac.insert("mac".into(), boards[0].ready["mac"].as_str().unwrap().into());
    bench.configure(&configuration([
        on_usb(&boards[1], "b", by_place),
        on_usb(&boards[0], "a", by_mac),
    ]));
    machine.start(&["run"]).ended().with_code(exit::PASSED);
    let list = machine.start(&["boards"]).ended().with_code(exit::PASSED);
    list.showing("a      /dev/ttyUSB0").showing("b      /dev/ttyUSB1");
    for board in boards {
        board.stop();
    }
    bench.nothing_may_be_left();
}

#[test]
fn a_board_that_is_not_there_is_the_rigs_trouble_and_what_is_there_is_listed() {
    let bench = Sandbox::new();
    let Some(machine) = IsolatedMachine::new(&bench) else { return };
    let adapter = Adapter { serial: Some("B1"), ..Adapter::cp210x("ttyUSB0", "1") };
    machine.usb.plug(&adapter, Path::new("/dev/null"));
    let desk = toml::toml! {
        name = "desk" kind = "esp8266" rig = "10.0.0.1" usb_serial = "A7"
    };
    let mut hurried = configuration([desk]);
    hurried.set("deadlines.lock", "100 ms");
    bench.configure(&hurried);
    machine.start(&["run"]).ended().with_code(exit::RIG_FAULT);
    let (verdict, why) = bench.record().verdict("desk");
    assert_eq!(verdict, Verdict::RigFault);
    for word in ["usb_serial = \"A7\"", "no port matches", "/dev/ttyUSB0, usb_serial = \"B1\""] {
        assert!(why.contains(word), "`{word}` in: {why}");
    }
    bench.nothing_may_be_left();
}

#[test]
fn a_name_that_depends_on_the_order_of_plugging_is_refused_with_the_key_to_write() {
    let bench = Sandbox::new();
    let Some(machine) = IsolatedMachine::new(&bench) else { return };
    let adapter = Adapter { serial: Some("A7"), ..Adapter::cp210x("ttyUSB0", "1") };
    machine.usb.plug(&adapter, Path::new("/dev/null"));
    let desk = |port: &str| {
        toml::toml! { name = "desk" kind = "esp8266" rig = "10.0.0.1" port = port }
    };
    let refused = |port: &str| {
        bench.configure(&configuration([desk(port)]));
        let ended = machine.start(&["run"]).ended().with_code(exit::USAGE);
        ended.saying("runner-config.toml:").saying(port)
    };
    refused("/dev/ttyUSB0").saying("usb_serial = \"A7\": write that instead");
    refused("/dev/ttyACM3").saying("Write `usb_serial`, `position` or `mac` instead");
    bench.must_be_untouched();
}

#[test]
fn init_writes_the_boards_that_are_attached_by_what_stays() {
    let bench = Sandbox::new();
    let Some(machine) = IsolatedMachine::new(&bench) else { return };
    // Blank boards wait in their loader, so they answer although a pty has no reset lines.
    let boards =
        [1, 2, 3].map(|seed| AttachedBoard::seeded(&bench, &format!("state-{seed}"), seed));
    for (number, (board, serial)) in boards.iter().zip(["A7", "0001", "0001"]).enumerate() {
        let (tty, place) = (format!("ttyUSB{number}"), format!("{}", number + 1));
        let adapter = Adapter { serial: Some(serial), ..Adapter::cp210x(&tty, &place) };
        machine.usb.plug(&adapter, Path::new(board.port()));
    }
    machine.usb.plug(&Adapter::cp210x("ttyUSB9", "9"), Path::new("/dev/null"));
    let read = |name: &str| std::fs::read_to_string(bench.path(name)).unwrap();
    let entries = |name: &str| -> Vec<toml::Value> {
        let table: toml::Table = read(name).parse().unwrap();
        table.get("board").map_or(Vec::new(), |boards| boards.as_array().unwrap().clone())
    };

    // Nothing is touched unasked: the entries are there, after a #.
    machine.start(&["init", "plain.toml"]).ended().with_code(exit::PASSED);
    assert_eq!(entries("plain.toml"), []);
    assert!(read("plain.toml").contains("# usb_serial = \"A7\"\n"), "{}", read("plain.toml"));

    machine.start(&["init", "--ask", "new.toml"]).ended().with_code(exit::PASSED);
    if read("new.toml").contains("Not known: this machine's address") {
        return skipped("this machine has no address, so no entry can be complete");
    }
    let new = entries("new.toml");
    let keys: Vec<String> = new
        .iter()
        .map(|board| {
            let table = board.as_table().unwrap();
            let text = |key: &str| table.get(key).and_then(|value| value.as_str());
            let named = text("usb_serial").or(text("position")).unwrap();
            format!("{} {named} {}", text("kind").unwrap(), text("mac").unwrap())
        })
        .collect();
    let mac = |board: &AttachedBoard| board.ready["mac"].as_str().unwrap().to_owned();
    let expected = [
        format!("esp8266 A7 {}", mac(&boards[0])),
        format!("esp8266 pci-0000:00:14.0-usb-0:2:1.0-port0 {}", mac(&boards[1])),
        format!("esp8266 pci-0000:00:14.0-usb-0:3:1.0-port0 {}", mac(&boards[2])),
    ];
    assert_eq!(keys, expected);
    // What is written is read, and names what is attached.
    let doctor = machine.start(&["doctor", "--config", "new.toml"]).ended();
    doctor.showing("ok       configuration    new.toml: 3 boards");
    let list = machine.start(&["boards", "--config", "new.toml"]).ended().with_code(exit::PASSED);
    let list = list.showing("bench-1  /dev/ttyUSB0").showing("bench-3  /dev/ttyUSB2");
    assert!(!list.stdout.contains("Board `"), "{list}");
    for board in boards {
        board.stop();
    }
    bench.nothing_may_be_left();
}

#[test]
fn two_boards_of_one_mac_are_refused_before_anything_is_touched() {
    let bench = Sandbox::new();
    let seeded = ["a", "b"].map(|name| AttachedBoard::seeded(&bench, name, 7));
    let mac = seeded[0].mac().to_owned();
    assert_eq!(mac, seeded[1].mac());
    let mut configuration = Configuration::new();
    for (board, name) in seeded.iter().zip(["desk", "shelf"]) {
        configuration.board(board.as_board(name));
    }
    bench.configure(&configuration);
    for command in ["run", "certify"] {
        let ended = bench.run(&[command]).with_code(exit::USAGE);
        assert!(
            ended.stderr.contains("the boards `desk` and `shelf` have the same MAC"),
            "{ended}"
        );
        assert!(ended.stderr.contains(&mac), "{ended}");
        assert!(!bench.path("hilrig-records").exists(), "{ended}");
    }

    for board in seeded {
        board.stop().with_code(exit::PASSED);
    }

    // As the configuration has them, whatever kind they are.
    let mut configuration = Configuration::new();
    let fixed = "18:fe:34:00:00:01";
    for (name, serial) in [("left", "A1"), ("right", "A2")] {
        let keys = [("name", name), ("kind", "esp8266"), ("rig", "192.0.2.1"), ("mac", fixed)];
        let keys = keys.map(|(key, value)| (key.to_owned(), toml::Value::from(value)));
        let mut board: toml::Table = keys.into_iter().collect();
        board.insert("usb_serial".into(), serial.into());
        configuration.board(board);
    }
    configuration.set("firmware.esp8266.image", path_text(&artifacts::firmware()));
    bench.configure(&configuration);
    let ended = bench.run(&["run"]).with_code(exit::USAGE);
    assert!(ended.stderr.contains("the boards `left` and `right` have the same MAC"), "{ended}");
    bench.must_be_untouched();
}

#[test]
fn each_folder_of_a_virtual_board_has_a_mac_of_its_own_that_stays() {
    let bench = Sandbox::new();
    let [a, b] = ["a", "b"].map(|name| AttachedBoard::unseeded(&bench, name));
    assert_ne!(a.mac(), b.mac());
    let mac = a.mac().to_owned();
    a.stop().with_code(exit::PASSED);
    std::fs::remove_dir_all(bench.path("a")).unwrap();
    assert_eq!(AttachedBoard::unseeded(&bench, "a").mac(), mac);
}
