//! The board on a debug probe, on the virtual LM3S6965: failures of its probe, its chip and its image. A
//! whole run is in the end-to-end tests.

use std::path::Path;
use std::time::{Duration, Instant};

use hilrig_boards::{ProbeBoard, ProbeSettings};
use hilrig_core::board::{Board, BoardFault, ConsoleSink, Reach};
use hilrig_core::image::{ElfMachine, Image, ImageFormat};
use hilrig_tests::{PATIENCE, artifacts};
use hilrig_virtual::lm3s6965::{ArmBoard, ArmBoardConfig, ArmReady, CHIP};
use hilrig_virtual::{ControlSocket, Serving};

struct Bench {
    folder: tempfile::TempDir,
    serving: Serving<ArmReady>,
    control: ControlSocket,
}

impl Bench {
    async fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let serving = start(&folder.path().join("arm")).await;
        let control = ControlSocket::new(&serving.ready().control);
        Bench { folder, serving, control }
    }

    fn probe(&self) -> &str {
        &self.serving.ready().probe
    }

    /// The board as in a rig, with another chip or probe if a test needs that.
    fn with(&self, chip: &str, probe: &str) -> ProbeBoard {
        ProbeBoard::new(ProbeSettings {
            chip: chip.into(),
            probe: Some(probe.into()),
            ..self.settings()
        })
    }

    fn settings(&self) -> ProbeSettings {
        ProbeSettings {
            name: "arm".into(),
            kind: "probe".into(),
            chip: CHIP.into(),
            probe: Some(self.probe().into()),
            mac: None,
            reach: Reach { http: None, rig: [127, 0, 0, 1].into() },
            firmware: None,
            state: self.folder.path().join("state"),
            locks: self.locks(),
        }
    }

    fn board(&self) -> ProbeBoard {
        self.with(CHIP, self.probe())
    }

    async fn locked(&self) -> ProbeBoard {
        let mut board = self.board();
        lock(&mut board).await.unwrap();
        board
    }

    fn locks(&self) -> std::path::PathBuf {
        self.folder.path().join("locks")
    }
}

async fn start(state_dir: &Path) -> Serving<ArmReady> {
    let qemu = "qemu-system-arm".into();
    let config = ArmBoardConfig { state_dir: state_dir.into(), mac: None, seed: 7, qemu };
    ArmBoard::start(config).await.unwrap().serve()
}

async fn lock(board: &mut ProbeBoard) -> Result<(), BoardFault> {
    board.lock("the test", Duration::ZERO).await
}

fn image() -> Image {
    let path = artifacts::arm_firmware();
    let bytes = std::fs::read(&path).unwrap();
    let build = regex::bytes::Regex::new("HILRIG_BUILD=([0-9a-f]{16})").unwrap();
    Image::parse(&path, bytes, ImageFormat::Elf(ElfMachine::Arm), Some(&build)).unwrap()
}

async fn flash(board: &mut ProbeBoard, force: bool) -> hilrig_core::board::Flashed {
    board.flash(&image(), force, Box::new(|_, _| {})).await.unwrap()
}

#[track_caller]
fn says(fault: BoardFault, parts: &[&str]) {
    let text = fault.to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

/// Resolves when a line was read.
struct Until<'a> {
    line: &'a str,
    heard: Vec<u8>,
    found: tokio::sync::mpsc::UnboundedSender<()>,
}

impl ConsoleSink for Until<'_> {
    fn chunk(&mut self, _: Instant, bytes: &[u8]) {
        self.heard.extend_from_slice(bytes);
        if String::from_utf8_lossy(&self.heard).contains(self.line) {
            let _ = self.found.send(());
        }
    }
}

/// Reads the board's output up to a line; returns the output, or why it ended.
async fn hear(board: &mut ProbeBoard, reset: bool, line: &str) -> Result<String, BoardFault> {
    let (found, mut end) = tokio::sync::mpsc::unbounded_channel();
    let mut until = Until { line, heard: Vec::new(), found };
    let mut console = board.console().await?;
    if reset {
        board.reset().await?;
    }
    tokio::select! {
        fault = console.read_into(&mut until) => return Err(fault),
        _ = end.recv() => {}
        () = tokio::time::sleep(PATIENCE) => panic!("waited for `{line}`: {:?}", until.heard),
    }
    Ok(String::from_utf8_lossy(&until.heard).into_owned())
}

const UP: &str = "LM3S6965 Mode: Web Server Running";

#[tokio::test]
async fn what_is_confirmed_by_the_boot_log_is_not_written_again() {
    let bench = Bench::new().await;
    let mut board = bench.locked().await;
    let first = flash(&mut board, false).await;
    assert!(!first.kept && first.bytes > 100_000 && first.verified == Some(true), "{first:?}");
    // It was written, and not confirmed by a run.
    assert!(!flash(&mut board, false).await.kept);
    let log = hear(&mut board, true, UP).await.unwrap();
    let build = image().build.unwrap();
    assert!(log.starts_with(&format!("Build: {build}")), "the first line is heard: {log}");
    board.confirm_build(&image(), Some(&build));
    assert!(flash(&mut board, false).await.kept);
    assert!(!flash(&mut board, true).await.kept, "unless it is asked for");
    // Another build ran.
    board.confirm_build(&image(), Some("0123456789abcdef"));
    assert!(!flash(&mut board, false).await.kept);
    board.release().await;
}

#[tokio::test]
async fn a_core_that_stands_still_is_told_with_its_place() {
    let bench = Bench::new().await;
    let mut board = bench.locked().await;
    flash(&mut board, false).await;
    // Halted at its reset vector until it is reset.
    let stuck = board.stuck().await.expect("it does not run");
    assert!(stuck.contains("the core is halted") && stuck.contains("pc=0x0000"), "{stuck}");
    hear(&mut board, true, UP).await.unwrap();
    assert_eq!(board.stuck().await, None, "it runs, or sleeps");
    board.release().await;
}

#[tokio::test]
async fn a_console_is_found_without_a_symbol_and_without_a_reset() {
    let bench = Bench::new().await;
    let mut board = bench.locked().await;
    flash(&mut board, false).await;
    board.reset().await.unwrap();
    board.release().await;
    // Another rig, which does not know the firmware. Unread text is still in the ring.
    let mut board = bench.locked().await;
    hear(&mut board, false, UP).await.unwrap();
    board.release().await;
}

#[tokio::test]
async fn an_image_for_another_chip_is_refused_before_anything_is_erased() {
    let bench = Bench::new().await;
    let mut right = bench.locked().await;
    flash(&mut right, false).await;
    right.release().await;
    let mut wrong = bench.with("STM32F411CEUx", bench.probe());
    lock(&mut wrong).await.unwrap();
    let fault = wrong.flash(&image(), true, Box::new(|_, _| {})).await.unwrap_err();
    says(fault, &["flashing (STM32F411CEUx, probe 1209:0001:", "check `chip`"]);
    wrong.release().await;
    let mut right = bench.locked().await;
    hear(&mut right, true, UP).await.expect("the firmware is there still");
    right.release().await;
}

#[tokio::test]
async fn a_chip_that_nobody_knows_brings_those_of_like_name() {
    let bench = Bench::new().await;
    let fault = lock(&mut bench.with("LM3S6969", bench.probe())).await.unwrap_err();
    says(fault, &["'LM3S6969' was not found", "`chip` in the configuration"]);
    assert_eq!(std::fs::read_dir(bench.locks()).unwrap().count(), 0, "its lock is not left");
}

#[tokio::test]
async fn a_probe_that_is_not_there_or_not_the_only_one_is_not_guessed() {
    let bench = Bench::new().await;
    let other = start(&bench.folder.path().join("other")).await;
    let fault = lock(&mut bench.with(CHIP, "1209:0001")).await.unwrap_err();
    says(fault, &["there are ", bench.probe(), &other.ready().probe, "under `probe`"]);
    let fault = lock(&mut bench.with(CHIP, "0483:374b:none")).await.unwrap_err();
    says(fault, &["looking for the debug probe 0483:374b:none: there is none"]);
    let fault = lock(&mut bench.with(CHIP, "a probe")).await.unwrap_err();
    says(fault, &["looking for the debug probe a probe", "VID:PID"]);
}

#[tokio::test]
async fn a_probe_that_another_holds_is_left_to_it() {
    let bench = Bench::new().await;
    let mut first = bench.locked().await;
    let fault = lock(&mut bench.board()).await.unwrap_err();
    says(fault, &["for: the test", bench.probe()]);
    first.release().await;
    bench.locked().await.release().await;
    assert_eq!(std::fs::read_dir(bench.locks()).unwrap().count(), 0);

    // A debugger other than hilrig does not take the lock.
    let mut debugger = bench.locked().await;
    let locks = bench.folder.path().join("other-locks");
    let mut other = ProbeBoard::new(ProbeSettings { locks, ..bench.settings() });
    says(lock(&mut other).await.unwrap_err(), &["nother debugger"]);
    debugger.release().await;
}

#[tokio::test]
async fn a_probe_that_goes_away_is_told_by_whatever_comes_next() {
    let bench = Bench::new().await;
    let mut board = bench.locked().await;
    flash(&mut board, false).await;
    bench.control.probe_out().await.unwrap();
    says(board.sound().await.unwrap_err(), &["LM3S6965", "USB cable"]);
    says(board.reset().await.unwrap_err(), &["resetting the chip", "USB cable"]);
    let fault = board.flash(&image(), true, Box::new(|_, _| {})).await.unwrap_err();
    says(fault, &["flashing"]);
    board.release().await;
    // Plugged in again it is the same probe, and a partial image is written again.
    bench.control.probe_in().await.unwrap();
    let mut board = bench.locked().await;
    assert!(!flash(&mut board, false).await.kept);
    hear(&mut board, true, UP).await.unwrap();
    board.release().await;
}

#[tokio::test]
async fn a_board_without_power_is_told_as_one_that_does_not_answer() {
    let bench = Bench::new().await;
    bench.control.power_off().await.unwrap();
    let fault = lock(&mut bench.board()).await.unwrap_err();
    says(fault, &["attaching to the chip", "the board's power"]);
}
