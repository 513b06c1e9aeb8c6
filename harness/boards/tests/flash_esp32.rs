//! Flashing chips of the ESP32 family, against a ROM loader on a pty that has a flash and
//! misbehaves on demand.

#[path = "rom/bench.rs"]
mod bench;
mod esp32_rom;
mod rom;

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bench::settings;
use esp32_rom::elf::{self, RISCV, XTENSA};
use esp32_rom::{
    BEGIN, CHANGE_BAUDRATE, DATA, Esp32Chip, Esp32Rom, Esp32Trick, FLASH, Kind, MAC, MD5, OLD,
    READ_REG, SECURITY_INFO, SYNC,
};
use hilrig_boards::{LoaderDeadlines, NoLines, SerialBoard, SerialSettings};
use hilrig_core::board::{Board, BoardFault, Flashed, ResetLines};
use hilrig_core::config::BoardKind;
use hilrig_core::image::Image;

/// Lines that count each reset into the loader for the fake.
struct CountingLines(Arc<AtomicU32>);

#[async_trait(?Send)]
impl ResetLines for CountingLines {
    fn words(&self) -> String {
        "test".into()
    }

    async fn enter_loader(&mut self, _: BorrowedFd<'_>) -> Result<(), BoardFault> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn reset(&mut self, _: BorrowedFd<'_>) -> Result<(), BoardFault> {
        Ok(())
    }
}

fn impatient() -> LoaderDeadlines {
    LoaderDeadlines {
        sync: Duration::from_millis(600),
        register: Duration::from_millis(300),
        erase: Duration::from_secs(1),
        block: Duration::from_millis(300),
        ..LoaderDeadlines::default()
    }
}

fn kind(rom: Kind) -> BoardKind {
    match rom {
        Kind::Esp32 => BoardKind::Esp32,
        _ => BoardKind::Esp32c3,
    }
}

fn of_kind(
    rom: &Esp32Rom,
    folder: &Path,
    kind: BoardKind,
    deadlines: LoaderDeadlines,
) -> SerialBoard {
    let settings = SerialSettings { kind, deadlines, ..settings(&rom.port, folder) };
    SerialBoard::new(settings, Box::new(CountingLines(Arc::clone(&rom.resets))))
}

fn image(elf: Vec<u8>) -> Image {
    Image {
        path: "firmware.elf".into(),
        sha256: String::new(),
        build: None,
        bytes: elf.into(),
        data: Vec::new(),
    }
}

fn riscv(seed: u32) -> Image {
    image(elf::firmware(RISCV, 70_000, seed))
}

async fn flash(board: &mut SerialBoard, image: &Image) -> Result<Flashed, BoardFault> {
    board.lock("test", Duration::ZERO).await?;
    board.flash(image, false, Box::new(|_, _| {})).await
}

/// A second-stage loader (`E9`), a partition table (`AA 50`) and an application, each where the
/// chip expects it; sectors that were not erased are unchanged.
fn assert_bootable(chip: &Esp32Chip, second_stage: usize) {
    assert!(chip.complaints.is_empty(), "{:?}", chip.complaints);
    assert_eq!(chip.flash[second_stage], 0xE9);
    assert_eq!(chip.flash[0x8000..0x8002], [0xAA, 0x50]);
    assert_eq!(chip.flash[0x10000], 0xE9);
    assert_eq!(chip.flash[0x10020..0x10024], 0xABCD_5432u32.to_le_bytes());
    assert!(!chip.commands.contains(&esp32_rom::END), "FLASH_END would start the firmware");
    let erased = |at: usize| chip.erased.iter().any(|range| range.contains(&at));
    assert!((0..FLASH).all(|at| erased(at) || chip.flash[at] == OLD));
}

#[tokio::test]
async fn an_elf_file_becomes_a_flash_that_boots_and_is_verified() {
    for (rom_kind, machine, second_stage) in
        [(Kind::Esp32c3, RISCV, 0), (Kind::Esp32, XTENSA, 0x1000)]
    {
        let folder = tempfile::tempdir().unwrap();
        let rom = Esp32Rom::start(rom_kind, Esp32Trick::None);
        let mut board = of_kind(&rom, folder.path(), kind(rom_kind), LoaderDeadlines::default());
        board.lock("test", Duration::ZERO).await.unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        let image = image(elf::firmware(machine, 70_000, 1));
        let flashed = board
            .flash(&image, true, Box::new(move |at, all| telling.lock().unwrap().push((at, all))))
            .await
            .unwrap();
        assert_eq!((flashed.kept, flashed.verified), (false, Some(true)));
        assert_eq!(board.facts().mac, Some(MAC.parse().unwrap()));
        board.release().await;
        let resets = rom.resets.load(Ordering::Relaxed);
        let chip = rom.off();
        assert_bootable(&chip, second_stage);
        assert_eq!(resets, 1);
        // The code is in the application, whole.
        let code = elf::noise(70_000, 1);
        assert!(chip.flash.windows(code.len()).any(|window| window == code));
        assert!(flashed.bytes > 70_000 && flashed.bytes <= (chip.written * 0x400) as u64);
        let told = told.lock().unwrap();
        assert!(told.is_sorted(), "{told:?}");
        assert_eq!(told.last(), Some(&(flashed.bytes, flashed.bytes)));
    }
}

#[tokio::test]
async fn what_is_unchanged_is_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut flash_of = vec![OLD; FLASH];
    let mut run = async |image: &Image, force: bool| {
        let rom =
            Esp32Rom::with_flash(Kind::Esp32c3, Esp32Trick::None, std::mem::take(&mut flash_of));
        let mut board =
            of_kind(&rom, folder.path(), BoardKind::Esp32c3, LoaderDeadlines::default());
        board.lock("test", Duration::ZERO).await.unwrap();
        let flashed = board.flash(image, force, Box::new(|_, _| {})).await.unwrap();
        board.release().await;
        let mut chip = rom.off();
        flash_of = std::mem::take(&mut chip.flash);
        assert_eq!(flashed.verified, Some(true));
        (flashed, chip)
    };
    let (all, _) = run(&riscv(1), false).await;
    assert!(!all.kept);
    let (same, chip) = run(&riscv(1), false).await;
    assert!(same.kept && same.bytes == 0, "{same:?}");
    assert!(!chip.commands.contains(&BEGIN) && chip.commands.contains(&MD5));
    let (other, chip) = run(&riscv(2), false).await;
    assert!(!other.kept && other.bytes < all.bytes, "only the application: {other:?}");
    assert_eq!(chip.erased.len(), 1, "{:?}", chip.erased);
    assert_eq!(chip.erased[0].start, 0x10000);
    let (forced, chip) = run(&riscv(2), true).await;
    assert_eq!((forced.kept, forced.bytes, chip.erased.len()), (false, all.bytes, 3));
}

/// The fault of a flashing that meets `trick`, and the chip afterwards.
async fn fault_of(rom_kind: Kind, trick: Esp32Trick, image: &Image) -> (String, Esp32Chip) {
    let folder = tempfile::tempdir().unwrap();
    let rom = Esp32Rom::start(rom_kind, trick);
    let mut board = of_kind(&rom, folder.path(), kind(rom_kind), impatient());
    let fault = flash(&mut board, image).await.unwrap_err();
    let text = fault.to_string();
    assert!(text.contains(rom.port.to_str().unwrap()), "the port is named: {text}");
    assert!(fault.help.is_some(), "something is said to do: {text}");
    // In any case, the board has its port again.
    board.release().await;
    (text, rom.off())
}

async fn fault(trick: Esp32Trick) -> (String, Esp32Chip) {
    fault_of(Kind::Esp32c3, trick, &riscv(1)).await
}

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` in: {text}");
    }
}

fn untouched(chip: &Esp32Chip) {
    assert!(chip.flash.iter().all(|byte| *byte == OLD) && !chip.commands.contains(&BEGIN));
}

#[tokio::test]
async fn another_chip_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    for (found, words) in [
        (Kind::Esp32, "it is an esp32, the configuration says esp32c3"),
        (Kind::Esp32s3, "it is an esp32s3, the configuration says esp32c3"),
        (Kind::Esp8266, "0xfff0c101"),
    ] {
        let rom = Esp32Rom::start(found, Esp32Trick::None);
        let mut board = of_kind(&rom, folder.path(), BoardKind::Esp32c3, impatient());
        let text = flash(&mut board, &riscv(1)).await.unwrap_err().to_string();
        says(&text, &[words, "Nothing was written"]);
        board.release().await;
        assert_eq!(rom.resets.load(Ordering::Relaxed), 1, "asked once: {text}");
        untouched(&rom.off());
    }
}

#[tokio::test]
async fn another_board_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let rom = Esp32Rom::start(Kind::Esp32c3, Esp32Trick::None);
    let mut settings = settings(&rom.port, folder.path());
    settings.kind = BoardKind::Esp32c3;
    settings.mac = Some("7c:df:a1:00:00:01".parse().unwrap());
    let mut board = SerialBoard::new(settings, Box::new(CountingLines(Arc::clone(&rom.resets))));
    let text = flash(&mut board, &riscv(1)).await.unwrap_err().to_string();
    says(&text, &[MAC, "7c:df:a1:00:00:01", "Nothing was written"]);
    board.release().await;
    untouched(&rom.off());
}

#[tokio::test]
async fn an_elf_file_that_the_chip_would_not_start_is_not_written() {
    let (text, chip) = fault_elf(elf::file(RISCV, &elf::sections(RISCV, 100, 1)[1..])).await;
    says(
        &text,
        &["firmware.elf", "no application descriptor", ".flash.appdesc", "esp_app_desc!()"],
    );
    untouched(&chip);
    let mut sections = elf::sections(RISCV, 100, 1);
    sections[0].bytes[0] = 0;
    let (text, chip) = fault_elf(elf::file(RISCV, &sections)).await;
    says(&text, &["magic word", "Nothing was written"]);
    untouched(&chip);
    let (text, chip) = fault_elf(elf::firmware(RISCV, 5_000_000, 1)).await;
    says(&text, &["too big", "Nothing was written"]);
    untouched(&chip);
    let cut = elf::firmware(RISCV, 5000, 1)[..3000].to_vec();
    let (text, chip) = fault_elf(cut).await;
    says(&text, &["firmware.elf", "Nothing was written"]);
    untouched(&chip);
}

async fn fault_elf(elf: Vec<u8>) -> (String, Esp32Chip) {
    let folder = tempfile::tempdir().unwrap();
    let rom = Esp32Rom::start(Kind::Esp32c3, Esp32Trick::None);
    let mut board = of_kind(&rom, folder.path(), BoardKind::Esp32c3, LoaderDeadlines::default());
    let text = flash(&mut board, &image(elf)).await.unwrap_err().to_string();
    board.release().await;
    (text, rom.off())
}

#[tokio::test]
async fn a_silent_board() {
    for (command, words) in [
        (SYNC, ["SYNC", "no answer within 0.6 s"]),
        (SECURITY_INFO, ["GET_SECURITY_INFO", "no answer within 0.3 s"]),
        (READ_REG, ["READ_REG", "no answer within 0.3 s"]),
        (BEGIN, ["FLASH_BEGIN", "no answer within"]),
        (DATA, ["FLASH_DATA", "at byte 0 of"]),
        (MD5, ["SPI_FLASH_MD5", "no answer within"]),
    ] {
        says(&fault(Esp32Trick::SilentFrom(command)).await.0, &words);
    }
}

/// By this a run knows that a power cycle may help.
#[tokio::test]
async fn a_board_without_a_sign_of_life_is_told_from_one_that_fell_silent() {
    let firmware = Esp32Trick::Firmware("I (31) boot: up\r\n");
    for (trick, silent) in [
        (Esp32Trick::SilentFrom(SYNC), true),
        (Esp32Trick::SilentFrom(READ_REG), false),
        (firmware, false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let rom = Esp32Rom::start(Kind::Esp32c3, trick.clone());
        let mut board =
            of_kind(&rom, folder.path(), BoardKind::Esp32c3, LoaderDeadlines::default());
        let fault = flash(&mut board, &riscv(1)).await.unwrap_err();
        assert_eq!(fault.silent, silent, "{trick:?}: {fault}");
        board.release().await;
        rom.off();
    }
}

#[tokio::test]
async fn a_loader_that_refuses() {
    says(&fault(Esp32Trick::Refuse(BEGIN, 5)).await.0, &["FLASH_BEGIN"]);
    says(&fault(Esp32Trick::Refuse(DATA, 7)).await.0, &["FLASH_DATA", "at byte 0 of", "CRC"]);
    says(&fault(Esp32Trick::Refuse(READ_REG, 0x42)).await.0, &["READ_REG"]);
}

#[tokio::test]
async fn a_loader_that_answers_late_or_twice_but_in_time_is_good_enough() {
    for trick in [
        Esp32Trick::Late(SYNC, Duration::from_millis(150)),
        Esp32Trick::Late(DATA, Duration::from_millis(20)),
        Esp32Trick::Late(SECURITY_INFO, Duration::from_millis(150)),
        Esp32Trick::Twice,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let rom = Esp32Rom::start(Kind::Esp32c3, trick.clone());
        let mut board =
            of_kind(&rom, folder.path(), BoardKind::Esp32c3, LoaderDeadlines::default());
        let image = riscv(1);
        flash(&mut board, &image).await.unwrap_or_else(|fault| panic!("{trick:?}: {fault}"));
        assert_eq!(board.facts().mac, Some(MAC.parse().unwrap()), "{trick:?}");
        board.release().await;
        assert_bootable(&rom.off(), 0);
    }
}

#[tokio::test]
async fn a_loader_that_answers_too_late() {
    let late = Duration::from_millis(500);
    says(&fault(Esp32Trick::Late(DATA, late)).await.0, &["FLASH_DATA", "no answer within 0.3 s"]);
}

#[tokio::test]
async fn a_loader_that_floods_the_line_is_left_at_its_deadline() {
    for (command, bytes) in [
        (SYNC, &b"\xff\xfe"[..]),
        (SECURITY_INFO, b"\xdb\x01"),
        (READ_REG, b"\xc0"),
        (DATA, b"\xff\xfe"),
        (DATA, b"\xc0"),
        (DATA, b"\xc0\x01\x02\x03\x04\xc0"),
    ] {
        says(&fault(Esp32Trick::Flood(command, bytes)).await.0, &["no answer within"]);
    }
    says(&fault(Esp32Trick::Flood(DATA, b"\xdb\x01")).await.0, &["malformed replies"]);
}

#[tokio::test]
async fn an_answer_that_lies_is_survived() {
    for command in [SYNC, SECURITY_INFO, READ_REG, DATA, MD5] {
        let (text, _) = fault(Esp32Trick::LyingLength(command)).await;
        says(&text, &["no answer within", "malformed replies"]);
    }
    // espflash multiplies this by the rate, which overflows 32 bits.
    let xtensa = image(elf::firmware(XTENSA, 5000, 1));
    let (text, chip) = fault_of(Kind::Esp32, Esp32Trick::Crystal(0xF_FFFF), &xtensa).await;
    says(&text, &["espflash panicked", "overflow"]);
    untouched(&chip);
}

#[tokio::test]
async fn a_flash_that_does_not_hold_what_was_written_is_found() {
    let (text, chip) = fault(Esp32Trick::Stuck(0x1_0100)).await;
    says(&text, &["SPI_FLASH_MD5", "Verification of flash content failed"]);
    assert_eq!(chip.flash[0x1_0100], 0xFF, "erased, and no more than that");
}

#[tokio::test]
async fn a_rate_that_the_line_does_not_carry_is_left_for_the_roms_own() {
    let folder = tempfile::tempdir().unwrap();
    let rom = Esp32Rom::start(Kind::Esp32c3, Esp32Trick::DeafAtRate);
    let mut board = of_kind(&rom, folder.path(), BoardKind::Esp32c3, LoaderDeadlines::default());
    flash(&mut board, &riscv(1)).await.unwrap();
    board.release().await;
    assert_eq!(rom.resets.load(Ordering::Relaxed), 2);
    let chip = rom.off();
    assert_bootable(&chip, 0);
    let changes = chip.commands.iter().filter(|command| **command == CHANGE_BAUDRATE).count();
    assert_eq!(changes, 1);
}

#[tokio::test]
async fn a_chip_in_secure_download_mode_is_left_alone() {
    let (text, chip) = fault(Esp32Trick::Secure).await;
    says(&text, &["secure download mode", "Nothing was written"]);
    untouched(&chip);
}

#[tokio::test]
async fn a_board_that_runs_its_firmware_is_told_from_a_silent_one() {
    let (text, _) = fault(Esp32Trick::Firmware("I (31) boot: up\r\n\x1b[31m")).await;
    says(&text, &["SYNC", "no answer within", "the board sends", "boot: up", "\\x1b", "BOOT"]);
}

#[tokio::test]
async fn a_port_that_goes_away_in_the_middle_is_named() {
    let (text, chip) = fault(Esp32Trick::DieAtBlock(7)).await;
    says(&text, &["at byte 7168 of", "the port is gone", "hilrig boards"]);
    assert!(chip.complaints.is_empty(), "{:?}", chip.complaints);
}

#[tokio::test]
async fn without_lines_a_board_that_is_in_its_loader_is_flashed_and_another_told_how() {
    let folder = tempfile::tempdir().unwrap();
    for (trick, fine) in [(Esp32Trick::None, true), (Esp32Trick::SilentFrom(SYNC), false)] {
        let rom = Esp32Rom::start(Kind::Esp32c3, trick);
        let mut settings = settings(&rom.port, folder.path());
        settings.kind = BoardKind::Esp32c3;
        settings.deadlines.by_hand = Duration::from_millis(100);
        if fine {
            // A busy machine must not make an answering board silent.
            let patient = Duration::from_secs(20);
            settings.deadlines.sync = patient;
            settings.deadlines.register = patient;
            settings.deadlines.block = patient;
        }
        let mut board = SerialBoard::new(settings, Box::new(NoLines));
        let notes = Arc::new(Mutex::new(Vec::new()));
        let noting = Arc::clone(&notes);
        board.set_notes(Box::new(move |note| noting.lock().unwrap().push(note.to_owned())));
        match flash(&mut board, &riscv(1)).await {
            Ok(_) => assert!(fine),
            Err(fault) => {
                assert!(!fine, "{fault}");
                says(&fault.to_string(), &["SYNC", "no answer within", "hold BOOT"]);
                says(&notes.lock().unwrap()[0], &["waiting up to 0.1 s", "press RST"]);
            }
        }
        board.release().await;
        rom.off();
    }
}

#[tokio::test]
async fn a_flashing_that_is_stopped_gives_the_port_back() {
    let folder = tempfile::tempdir().unwrap();
    let rom = Esp32Rom::start(Kind::Esp32c3, Esp32Trick::Late(DATA, Duration::from_millis(20)));
    let board = || of_kind(&rom, folder.path(), BoardKind::Esp32c3, LoaderDeadlines::default());
    let image = riscv(1);
    let mut first = board();
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
    let mut second = board();
    second.lock("second", Duration::ZERO).await.unwrap();
    flash(&mut second, &image).await.unwrap();
    second.release().await;
    let chip = rom.off();
    assert_bootable(&chip, 0);
}
