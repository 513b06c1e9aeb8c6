//! Boards that are told apart by what stays, on a machine whose adapters are plugged and pulled.

use std::path::Path;

use hilrig_core::exit;
use hilrig_core::verdict::Verdict;
use hilrig_tests::artifacts;
use hilrig_tests::attached::Attached;
use hilrig_tests::bench::{Bench, Configuration, path_text};
use hilrig_tests::machine::Machine;
use hilrig_tests::usb::Adapter;
use serde_json::Value;

/// A board on a USB adapter, whose reset lines are the control socket of the virtual board behind it.
fn on_usb(board: &Attached, name: &str, keys: toml::Table) -> toml::Table {
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
    let bench = Bench::new();
    let Some(machine) = Machine::new(&bench) else { return };
    let board = Attached::start(&bench, "desk");
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
    // As the chip told when it was flashed.
    assert_eq!((&named["chip"], &named["mac"]), (&"esp8266".into(), &board.ready["mac"]));
    board.stop();
    bench.nothing_may_be_left();
}

#[test]
fn two_boards_with_one_serial_number() {
    let bench = Bench::new();
    let Some(machine) = Machine::new(&bench) else { return };
    let boards = [1, 2].map(|seed| Attached::seeded(&bench, &format!("state-{seed}"), seed));
    for (number, board) in boards.iter().enumerate() {
        let (tty, place) = (format!("ttyUSB{number}"), format!("{}", number + 1));
        let adapter = Adapter { serial: Some("0001"), ..Adapter::cp210x(&tty, &place) };
        machine.usb.plug(&adapter, Path::new(board.port()));
    }
    // The serial number alone tells nothing, and nothing is touched.
    let keys = toml::toml! { usb_serial = "0001" };
    bench.configure(&configuration([on_usb(&boards[0], "a", keys.clone())]));
    let ended = machine.start(&["run"]).ended().with_code(exit::RIG_FAULT);
    let (verdict, why) = bench.record().verdict("a");
    assert_eq!(verdict, Verdict::RigFault, "{ended}");
    for word in ["2 ports are that one", "/dev/ttyUSB0", "/dev/ttyUSB1", "Add the `position`"] {
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
    let bench = Bench::new();
    let Some(machine) = Machine::new(&bench) else { return };
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
    for word in ["usb_serial = \"A7\"", "no port is that one", "/dev/ttyUSB0, usb_serial = \"B1\""]
    {
        assert!(why.contains(word), "`{word}` in: {why}");
    }
    bench.nothing_may_be_left();
}

#[test]
fn a_name_that_depends_on_the_order_of_plugging_is_refused_with_the_key_to_write() {
    let bench = Bench::new();
    let Some(machine) = Machine::new(&bench) else { return };
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
