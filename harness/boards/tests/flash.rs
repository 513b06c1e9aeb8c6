//! Flashing, against a ROM loader on a pty that checks its input and misbehaves on demand.

#[path = "rom/bench.rs"]
mod bench;
mod rom;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bench::{CountingLines, board, image, settings};
use hilrig_boards::{LoaderDeadlines, NoLines, SerialBoard, SerialSettings};
use hilrig_core::board::{Board, BoardFault, Flashed};
use hilrig_core::image::Image;
use rom::{Chip, OLD, Rom, Trick};

/// Short deadlines, for tests of failures. Tests of success use the long ones, for a busy machine.
fn impatient() -> LoaderDeadlines {
    LoaderDeadlines {
        sync: Duration::from_millis(400),
        register: Duration::from_millis(300),
        erase: Duration::from_secs(1),
        block: Duration::from_millis(300),
        by_hand: Duration::from_millis(500),
    }
}

async fn flash(board: &mut SerialBoard, image: &Image) -> Result<Flashed, BoardFault> {
    board.lock("test", Duration::ZERO).await?;
    board.flash(image, false, Box::new(|_, _| {})).await
}

/// The image is there, its sectors are erased, and nothing else was touched.
fn assert_holds(chip: &Chip, image: &Image) {
    let length = image.bytes.len();
    assert!(chip.complaints.is_empty(), "{:?}", chip.complaints);
    assert_eq!(chip.flash[..length], *image.bytes, "the image");
    let blocks = length.next_multiple_of(0x400);
    assert!(chip.flash[length..blocks].iter().all(|b| *b == 0xFF), "padding of the last block");
    let sectors = length.next_multiple_of(4096);
    assert!(chip.erased.end == sectors || chip.erased.end == sectors + 4096, "{:?}", chip.erased);
    assert!(chip.flash[chip.erased.end..].iter().all(|b| *b == OLD), "behind the image");
    assert!(!chip.commands.contains(&4), "FLASH_END would start the firmware");
}

#[tokio::test]
async fn an_image_gets_onto_the_board_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let rom = Rom::start(Trick::None);
    let lines = CountingLines::default();
    let mut board = SerialBoard::new(settings(&rom.port, folder.path()), Box::new(lines.clone()));
    let image = image(200 * 1024 + 77, 1);
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    board.lock("test", Duration::ZERO).await.unwrap();
    assert_eq!(board.facts().mac, None);
    let flashed = board
        .flash(&image, false, Box::new(move |done, all| telling.lock().unwrap().push((done, all))))
        .await
        .unwrap();
    assert_eq!((flashed.bytes, flashed.kept), (image.bytes.len() as u64, false));
    assert_eq!(flashed.verified, None);
    assert_eq!(board.facts().mac, Some(rom::MAC.parse().unwrap()));
    assert_eq!((lines.loader.get(), lines.reset.get()), (1, 0));
    board.release().await;
    assert_holds(&rom.off(), &image);
    let told = told.lock().unwrap();
    assert!(told.is_sorted() && told[0].0 == 0, "{told:?}");
    assert_eq!(told.last(), Some(&(image.bytes.len() as u64, image.bytes.len() as u64)));
}

#[tokio::test]
async fn odd_lengths_get_there_too() {
    for length in [1, 0x400, 0x401, 4096, 4097, 64 * 1024, 64 * 1024 + 1, 130_000] {
        let folder = tempfile::tempdir().unwrap();
        let rom = Rom::start(Trick::None);
        let image = image(length, length as u32);
        let mut board = board(&rom.port, folder.path());
        flash(&mut board, &image).await.unwrap();
        board.release().await;
        assert_holds(&rom.off(), &image);
    }
}

#[tokio::test]
async fn what_is_confirmed_to_be_there_is_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (image(5000, 1), image(5000, 2));
    let run = async |image: &Image, force: bool, build: Option<&str>| -> (Flashed, bool) {
        let rom = Rom::start(Trick::None);
        let mut board = board(&rom.port, folder.path());
        board.lock("test", Duration::ZERO).await.unwrap();
        let flashed = board.flash(image, force, Box::new(|_, _| {})).await.unwrap();
        board.confirm_build(image, build);
        board.release().await;
        (flashed, rom.off().commands.is_empty())
    };
    let told = |image: &Image| image.build.clone();
    let written = |(flashed, untouched): (Flashed, bool)| {
        assert_eq!(flashed.kept, untouched, "kept means that nothing was sent");
        assert_eq!(flashed.kept, flashed.bytes == 0);
        !flashed.kept
    };
    assert!(written(run(&first, false, None).await));
    assert!(written(run(&first, false, told(&first).as_deref()).await), "was not confirmed");
    assert!(!written(run(&first, false, told(&first).as_deref()).await), "was confirmed");
    assert!(written(run(&first, true, told(&first).as_deref()).await), "was forced");
    assert!(written(run(&second, false, told(&second).as_deref()).await), "is another image");
    assert!(!written(run(&second, false, Some("build-1")).await), "was confirmed");
    assert!(written(run(&second, false, None).await), "told another build");
}

#[tokio::test]
async fn a_flashing_that_fails_is_not_taken_for_an_image_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (good, other) = (image(5000, 1), image(5000, 2));
    for (image, trick, kept) in [
        (&good, Trick::None, Some(false)),
        (&good, Trick::None, Some(true)),
        (&other, Trick::Refuse(3, 7), None),
        (&good, Trick::None, Some(false)),
    ] {
        let rom = Rom::start(trick);
        let mut board = board(&rom.port, folder.path());
        let flashed = flash(&mut board, image).await;
        if flashed.is_ok() {
            board.confirm_build(image, image.build.as_deref());
        }
        assert_eq!(flashed.ok().map(|flashed| flashed.kept), kept);
        board.release().await;
        rom.off();
    }
}

/// The fault of a flashing that meets `trick`, and the chip afterwards.
async fn fault(trick: Trick) -> (String, Chip) {
    let folder = tempfile::tempdir().unwrap();
    let rom = Rom::start(trick);
    // The lowest rate: there is no other to try.
    let settings = SerialSettings {
        deadlines: impatient(),
        flash_baud: 74_880,
        ..settings(&rom.port, folder.path())
    };
    let mut board = SerialBoard::new(settings, Box::new(CountingLines::default()));
    let fault = flash(&mut board, &image(20_000, 1)).await.unwrap_err();
    let text = fault.to_string();
    assert!(text.contains(rom.port.to_str().unwrap()), "the port is named: {text}");
    assert!(fault.help.is_some(), "something is said to do: {text}");
    // In any case, the board has its port again.
    board.release().await;
    (text, rom.off())
}

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` in: {text}");
    }
}

#[tokio::test]
async fn a_silent_board() {
    says(&fault(Trick::SilentFrom(8)).await.0, &["SYNC", "no answer within 0.4 s", "RST"]);
    says(&fault(Trick::SilentFrom(0xA)).await.0, &["READ_REG", "no answer within 0.3 s"]);
    says(&fault(Trick::SilentFrom(2)).await.0, &["FLASH_BEGIN", "no answer within"]);
    says(&fault(Trick::SilentFrom(3)).await.0, &["FLASH_DATA", "at byte 0 of 20000"]);
}

#[tokio::test]
async fn a_loader_that_refuses() {
    says(&fault(Trick::Refuse(8, 6)).await.0, &["SYNC", "could not be carried out"]);
    says(&fault(Trick::Refuse(2, 5)).await.0, &["FLASH_BEGIN", "message is invalid", "0x05"]);
    says(&fault(Trick::Refuse(3, 7)).await.0, &["FLASH_DATA", "checksum is wrong", "0x07"]);
    says(&fault(Trick::Refuse(3, 0x42)).await.0, &["FLASH_DATA", "does not list", "0x42"]);
}

#[tokio::test]
async fn a_loader_that_answers_late_or_twice_but_in_time_is_good_enough() {
    for trick in [
        Trick::Late(8, Duration::from_millis(150)),
        Trick::Late(3, Duration::from_millis(60)),
        Trick::Late(0xA, Duration::from_millis(150)),
        Trick::Twice,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let rom = Rom::start(trick.clone());
        let image = image(20_000, 1);
        let mut board = board(&rom.port, folder.path());
        flash(&mut board, &image).await.unwrap_or_else(|fault| panic!("{trick:?}: {fault}"));
        assert_eq!(board.facts().mac, Some(rom::MAC.parse().unwrap()), "{trick:?}");
        board.release().await;
        assert_holds(&rom.off(), &image);
    }
}

#[tokio::test]
async fn a_loader_that_answers_too_late() {
    let late = Duration::from_millis(500);
    says(&fault(Trick::Late(3, late)).await.0, &["FLASH_DATA", "no answer within 0.3 s"]);
}

#[tokio::test]
async fn a_loader_that_floods_the_line_is_left_at_its_deadline() {
    for command in [8, 0xA, 3] {
        for bytes in [&b"\xff\xfe"[..], b"\xdb\x01", b"\xc0", b"\xc0\x01\x02\x03\x04\xc0"] {
            let (text, _) = fault(Trick::Flood(command, bytes)).await;
            says(&text, &["no answer within"]);
        }
    }
    let (text, _) = fault(Trick::Flood(3, b"\xdb\x01")).await;
    says(&text, &["malformed replies"]);
}

#[tokio::test]
async fn a_length_that_lies_is_survived() {
    for command in [8, 0xA, 3] {
        says(&fault(Trick::LyingLength(command)).await.0, &["wrong length"]);
    }
}

#[tokio::test]
async fn a_board_that_runs_its_firmware_is_told_from_a_silent_one() {
    let (text, _) = fault(Trick::Firmware("ESP8266 IP: 10.0.0.7\r\n\x1b[31m")).await;
    says(&text, &["SYNC", "no answer within", "the board sends", "IP: 10.0.0.7", "\\x1b"]);
}

#[tokio::test]
async fn another_chip_is_not_written_to() {
    let (text, chip) = fault(Trick::Magic(0x00F0_1D83)).await;
    says(&text, &["an ESP32 ", "0x00f01d83", "Nothing was written"]);
    assert!(!chip.commands.contains(&2), "{:?}", chip.commands);
    let (text, chip) = fault(Trick::Esp32(1)).await;
    says(&text, &["an ESP32 ", "0x00f01d83", "Nothing was written"]);
    assert!(!chip.commands.contains(&2), "{:?}", chip.commands);
}

#[tokio::test]
async fn another_board_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let rom = Rom::start(Trick::None);
    let mut settings = settings(&rom.port, folder.path());
    settings.mac = Some("18:fe:34:00:00:01".parse().unwrap());
    let mut board = SerialBoard::new(settings, Box::new(CountingLines::default()));
    let text = flash(&mut board, &image(5000, 1)).await.unwrap_err().to_string();
    says(&text, &[rom::MAC, "18:fe:34:00:00:01", "Nothing was written"]);
    board.release().await;
    assert!(!rom.off().commands.contains(&2));
}

#[tokio::test]
async fn a_port_that_goes_away_in_the_middle_is_named() {
    let (text, chip) = fault(Trick::DieAtBlock(7)).await;
    says(&text, &["at byte 7168 of 20000", "the port is gone", "hilrig boards"]);
    assert!(chip.complaints.is_empty(), "{:?}", chip.complaints);
}

#[tokio::test]
async fn without_lines_a_board_that_is_in_its_loader_is_flashed_and_another_told_how() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(5000, 1);
    let rom = Rom::start(Trick::None);
    let mut board = SerialBoard::new(settings(&rom.port, folder.path()), Box::new(NoLines));
    flash(&mut board, &image).await.unwrap();
    board.release().await;
    assert_holds(&rom.off(), &image);

    let rom = Rom::start(Trick::SilentFrom(8));
    let settings = SerialSettings { deadlines: impatient(), ..settings(&rom.port, folder.path()) };
    let mut board = SerialBoard::new(settings, Box::new(NoLines));
    let notes = noted(&mut board);
    let text = flash(&mut board, &image).await.unwrap_err().to_string();
    says(&text, &["no answer within 0.5 s"]);
    says(&notes.borrow().join("\n"), &["up to 0.5 s for the loader", "FLASH button", "RST"]);
    board.release().await;
    assert_eq!(rom.off().rates, [460_800], "nobody has to press the buttons for each rate");
}

fn noted(board: &mut SerialBoard) -> Rc<RefCell<Vec<String>>> {
    let notes = Rc::new(RefCell::new(Vec::new()));
    let taking = Rc::clone(&notes);
    board.set_notes(Box::new(move |text| taking.borrow_mut().push(text.to_owned())));
    notes
}

#[tokio::test]
async fn the_highest_rate_that_works_is_found_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(20_000, 1);
    // The SYNC, the erasing or the first block fail; then nothing fails, at the rate that worked; and
    // with another highest rate all are tried again.
    for (highest, trick, rates) in [
        (921_600, Trick::SilentAbove(230_400, 8), &[921_600, 460_800, 230_400][..]),
        (921_600, Trick::SilentAbove(115_200, 3), &[230_400, 115_200]),
        (921_600, Trick::SilentAbove(115_200, 2), &[115_200]),
        (500_000, Trick::SilentAbove(460_800, 3), &[500_000, 460_800]),
    ] {
        let rom = Rom::start(trick.clone());
        // Success has to work on a busy machine, too.
        let deadlines = LoaderDeadlines {
            sync: Duration::from_secs(1),
            register: Duration::from_secs(2),
            erase: Duration::from_secs(1),
            block: Duration::from_secs(2),
            ..LoaderDeadlines::default()
        };
        let settings =
            SerialSettings { deadlines, flash_baud: highest, ..settings(&rom.port, folder.path()) };
        let lines = CountingLines::default();
        let mut board = SerialBoard::new(settings, Box::new(lines.clone()));
        let notes = noted(&mut board);
        let flashed = flash(&mut board, &image).await.unwrap();
        assert_eq!(flashed.baud, rates.last().copied(), "{trick:?}");
        assert_eq!(notes.borrow().len(), rates.len() - 1, "{:?}", notes.borrow());
        // Each rate takes a reset into the loader, the first a second one.
        assert_eq!(lines.loader.get() as usize, rates.len() + usize::from(trick_is_sync(&trick)));
        board.release().await;
        assert_eq!(lines.reset.get(), 1, "EN is pulsed once it is given back");
        let chip = rom.off();
        assert_eq!(chip.rates, rates, "{trick:?}");
        assert_holds(&chip, &image);
    }
}

fn trick_is_sync(trick: &Trick) -> bool {
    matches!(trick, Trick::SilentAbove(_, 8))
}

#[tokio::test]
async fn however_a_flashing_ends_the_board_is_reset_out_of_its_loader() {
    let folder = tempfile::tempdir().unwrap();
    for (trick, resets) in [
        (Trick::None, 1),
        (Trick::Magic(0x00F0_1D83), 1),
        (Trick::Refuse(3, 8), 1),
        (Trick::SilentFrom(2), 1),
    ] {
        let rom = Rom::start(trick.clone());
        let lines = CountingLines::default();
        let settings =
            SerialSettings { deadlines: impatient(), ..settings(&rom.port, folder.path()) };
        let mut board = SerialBoard::new(settings, Box::new(lines.clone()));
        let _ = flash(&mut board, &image(5000, 1)).await;
        board.release().await;
        assert_eq!(lines.reset.get(), resets, "{trick:?}");
        rom.off();
    }
    // One explicit reset is enough.
    let rom = Rom::start(Trick::None);
    let lines = CountingLines::default();
    let mut board = SerialBoard::new(settings(&rom.port, folder.path()), Box::new(lines.clone()));
    flash(&mut board, &image(5000, 2)).await.unwrap();
    board.reset().await.unwrap();
    board.release().await;
    assert_eq!(lines.reset.get(), 1);
    rom.off();
}

#[tokio::test]
async fn a_flashing_that_is_stopped_gives_the_port_back() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(100_000, 1);
    let rom = Rom::start(Trick::Late(3, Duration::from_millis(20)));
    let mut first = board(&rom.port, folder.path());
    first.lock("first", Duration::ZERO).await.unwrap();
    let started = Arc::new(tokio::sync::Notify::new());
    let telling = Arc::clone(&started);
    let progress = Box::new(move |done, _| {
        if done > 0 {
            telling.notify_one();
        }
    });
    tokio::select! {
        flashed = first.flash(&image, false, progress) => panic!("ended by itself: {flashed:?}"),
        () = started.notified() => {}
    }
    first.release().await;
    let mut second = board(&rom.port, folder.path());
    second.lock("second", Duration::ZERO).await.unwrap();
    flash(&mut second, &image).await.unwrap();
    second.release().await;
    let chip = rom.off();
    assert_eq!(chip.flash[..image.bytes.len()], *image.bytes);
    let blocks = image.bytes.len().div_ceil(0x400);
    assert!(chip.written < 2 * blocks, "the first flashing went on to its end");
}

#[tokio::test]
async fn a_port_that_is_not_there_or_no_port_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let lock = async |port: &Path| {
        let mut board = board(port, folder.path());
        let text = board.lock("test", Duration::ZERO).await.unwrap_err().to_string();
        board.release().await;
        text
    };
    says(&lock(Path::new("/dev/ttyUSB-none")).await, &["ttyUSB-none", "no such file"]);
    says(&lock(Path::new("/dev/null")).await, &["/dev/null", "Is it a serial port?"]);
    assert_eq!(std::fs::read_dir(folder.path().join("locks")).unwrap().count(), 0);
}
