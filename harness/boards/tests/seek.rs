//! The search for a board's port, on USB adapters that are plugged and unplugged.

#[path = "rom/bench.rs"]
mod bench;
mod rom;

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bench::{CountingLines, image, settings};
use hilrig_boards::identity::discover::discover_in;
use hilrig_boards::identity::query::PortQuery;
use hilrig_boards::{
    LoaderDeadlines, LockFile, Neighbours, PortCache, PortSearch, SerialBoard, SerialSettings,
};
use hilrig_core::board::Board;
use hilrig_core::config::PortId;
use hilrig_tests::usb::{Adapter, UsbTree};
use rom::{Rom, Trick};

/// The MAC of a chip with [`Trick::Mac`].
fn mac(last: u8) -> hilrig_core::mac::Mac {
    format!("18:fe:34:a2:66:{last:02x}").parse().unwrap()
}

fn by_mac(board: &str, last: u8) -> PortQuery {
    PortQuery { board: board.into(), id: PortId::default(), mac: Some(mac(last)) }
}

fn by_serial(board: &str, serial: &str) -> PortQuery {
    let id = PortId { usb_serial: Some(serial.into()), ..PortId::default() };
    PortQuery { board: board.into(), id, mac: None }
}

/// The boards of one configuration on the machine below `root`.
fn bench_of(root: &Path, boards: &[PortQuery]) -> Vec<SerialBoard> {
    let neighbours = Rc::new(Neighbours::below(root.into(), boards.to_vec()));
    let made = boards.iter().map(|query| {
        let settings = SerialSettings {
            name: query.board.clone(),
            port: Default::default(),
            search: Some(PortSearch { query: query.clone(), neighbours: Rc::clone(&neighbours) }),
            mac: query.mac,
            ..settings(Path::new(""), root)
        };
        SerialBoard::new(settings, Box::new(CountingLines::default()))
    });
    made.collect()
}

fn port_of(board: &SerialBoard) -> String {
    Path::new(&board.facts().port).file_name().unwrap().to_str().unwrap().to_owned()
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` in: {text}");
    }
}

#[tokio::test]
async fn a_board_that_is_plugged_in_again_gets_its_name_back() {
    let folder = tempfile::tempdir().unwrap();
    let tree = UsbTree::new(folder.path());
    let (one, two) = (Rom::start(Trick::Mac(1)), Rom::start(Trick::Mac(2)));
    let adapter = |tty, place, serial| Adapter { serial, ..Adapter::cp210x(tty, place) };
    tree.plug(&adapter("ttyUSB0", "1", Some("A")), &one.port);
    tree.plug(&adapter("ttyUSB1", "2", Some("B")), &two.port);
    let mut board = bench_of(folder.path(), &[by_serial("a", "A")]).remove(0);
    board.lock("test", Duration::ZERO).await.unwrap();
    assert_eq!(port_of(&board), "ttyUSB0");
    board.release().await;

    tree.unplug("ttyUSB0");
    let gone = board.lock("test", Duration::ZERO).await.unwrap_err().to_string();
    says(&gone, &["board `a` (usb_serial = \"A\")", "no port matches", "ttyUSB1", "\"B\""]);

    // The other one has its name now.
    tree.unplug("ttyUSB1");
    tree.plug(&adapter("ttyUSB0", "2", Some("B")), &two.port);
    tree.plug(&adapter("ttyUSB5", "4.1", Some("A")), &one.port);
    board.lock("test", Duration::ZERO).await.unwrap();
    assert_eq!(port_of(&board), "ttyUSB5");
    board.flash(&image(5000, 1), true, Box::new(|_, _| {})).await.unwrap();
    assert_eq!(board.facts().mac, Some(mac(1)));
    board.release().await;
    // What `hilrig boards` shows without opening a port.
    let found = discover_in(folder.path()).unwrap();
    let known =
        found.iter().map(|port| PortCache::of(&folder.path().join("state"), port, &found)?.read());
    let known: Vec<_> = known.map(|chip| chip.map(|chip| (chip.chip, chip.mac))).collect();
    assert_eq!(known, [None, Some(("esp8266".to_owned(), mac(1)))]);
    assert!(two.off().commands.is_empty(), "the other board was not touched");
    one.off();
}

#[tokio::test]
async fn boards_known_by_their_macs_alone_find_their_ports() {
    let folder = tempfile::tempdir().unwrap();
    let tree = UsbTree::new(folder.path());
    let roms = [Trick::Mac(1), Trick::Mac(2), Trick::Esp32(9), Trick::Mac(3)].map(Rom::start);
    for (number, rom) in roms.iter().enumerate() {
        let (tty, place) = (format!("ttyUSB{number}"), format!("{}", number + 1));
        // Cheap adapters have no serial number, or all the same.
        let serial = (number > 0).then_some("0001");
        tree.plug(&Adapter { serial, ..Adapter::cp210x(&tty, &place) }, &rom.port);
    }
    let named = PortQuery {
        id: PortId {
            position: Some("pci-0000:00:14.0-usb-0:1:1.0-port0".into()),
            ..PortId::default()
        },
        ..by_mac("d", 1)
    };
    let wanted = [by_mac("a", 3), by_mac("b", 2), named];
    let mut boards = bench_of(folder.path(), &wanted);
    let (first, rest) = boards.split_at_mut(1);
    // At once, as a run does.
    let (a, b) =
        tokio::join!(first[0].lock("test", Duration::ZERO), rest[0].lock("test", Duration::ZERO));
    a.unwrap();
    b.unwrap();
    assert_eq!((port_of(&first[0]), port_of(&rest[0])), ("ttyUSB3".into(), "ttyUSB1".into()));
    for board in &mut boards {
        board.release().await;
    }
    // Another run of the same boards knows where they were, and resets no other.
    let mut again = bench_of(folder.path(), &wanted);
    again[0].lock("test", Duration::ZERO).await.unwrap();
    assert_eq!(port_of(&again[0]), "ttyUSB3");
    again[0].release().await;

    let mut missing = bench_of(folder.path(), &[by_mac("x", 7)]).remove(0);
    let _held = LockFile::take(
        &folder.path().join("locks"),
        &folder.path().join("dev/ttyUSB0"),
        "nightly run 12",
    );
    let text = missing.lock("test", Duration::ZERO).await.unwrap_err().to_string();
    let ports = ["nightly run 12", "MAC 18:fe:34:a2:66:02", "esp32 with MAC 24:0a:c4:00:01:09"];
    says(&text, &ports);
    let [named, ..] = roms.map(Rom::off);
    assert!(named.commands.is_empty(), "a port that another board is named on is not asked");
}

#[tokio::test]
async fn the_wrong_chip_on_the_right_adapter_is_not_written_to() {
    for (trick, words) in [
        (Trick::Mac(2), ["18:fe:34:a2:66:02", "18:fe:34:a2:66:01", "Nothing was written"]),
        (Trick::Esp32(1), ["an ESP32 ", "0x00f01d83", "Nothing was written"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let tree = UsbTree::new(folder.path());
        let rom = Rom::start(trick);
        tree.plug(&Adapter { serial: Some("A"), ..Adapter::cp210x("ttyUSB0", "1") }, &rom.port);
        let wanted = PortQuery { mac: Some(mac(1)), ..by_serial("a", "A") };
        let mut board = bench_of(folder.path(), &[wanted]).remove(0);
        board.lock("test", Duration::ZERO).await.unwrap();
        let fault = board.flash(&image(5000, 1), true, Box::new(|_, _| {})).await.unwrap_err();
        says(&fault.to_string(), &words);
        board.release().await;
        assert!(!rom.off().commands.contains(&2));
    }
}

#[tokio::test]
async fn a_port_that_does_not_answer_is_told_beside_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let tree = UsbTree::new(folder.path());
    let roms = [Trick::SilentFrom(8), Trick::Flood(8, b"\xc0\x01"), Trick::Magic(0x1234_5678)]
        .map(Rom::start);
    for (number, rom) in roms.iter().enumerate() {
        let (tty, place) = (format!("ttyUSB{number}"), format!("{}", number + 1));
        tree.plug(&Adapter::cp210x(&tty, &place), &rom.port);
    }
    let found = discover_in(folder.path()).unwrap();
    assert_eq!(found.len(), 3);
    let mut lines = CountingLines::default();
    let deadlines = LoaderDeadlines {
        sync: std::time::Duration::from_millis(400),
        ..LoaderDeadlines::default()
    };
    for (port, words) in found.iter().zip(["no answer", "no answer", "0x12345678"]) {
        let locks = folder.path().join("locks");
        let asked =
            hilrig_boards::identify_on(port.port.clone(), &mut lines, &locks, deadlines, "test")
                .await;
        says(&asked.unwrap_err().to_string(), &[words]);
    }
    assert_eq!((lines.loader.get(), lines.reset.get()), (3, 3), "every board is reset back");
    assert_eq!(std::fs::read_dir(folder.path().join("locks")).unwrap().count(), 0);
    for rom in roms {
        rom.off();
    }
}
