//! Whether a board's chip answers, asked through DTR and RTS: the lines' own steps, the wiring of an
//! ESP board, and a chip that only answers in its loader.

#[path = "rom/bench.rs"]
mod bench;
mod rom;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hilrig_boards::{LoaderDeadlines, ModemLines, SerialBoard, SerialSettings};
use hilrig_core::board::{Board, BoardFault};
use rom::wiring::Wiring;
use rom::{FIRMWARE, OLD, Rom};

async fn answers(rom: &Rom, folder: &Path, lines: ModemLines) -> Result<(), BoardFault> {
    let deadlines =
        LoaderDeadlines { sync: Duration::from_millis(600), ..LoaderDeadlines::default() };
    let settings = SerialSettings { deadlines, ..bench::settings(&rom.port, folder) };
    let mut board = SerialBoard::new(settings, Box::new(lines));
    board.lock("test", Duration::ZERO).await.unwrap();
    let answered = board.answers().await;
    board.release().await;
    answered
}

#[tokio::test]
async fn a_chip_is_asked_in_its_loader_and_then_runs_its_firmware_again() {
    for inverted in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let wiring = Arc::new(Wiring::default());
        let rom = Rom::wired(Arc::clone(&wiring));
        let lines = if inverted { ModemLines::inverted() } else { ModemLines::default() };
        let pins = Arc::clone(&wiring);
        let lines = lines.set_by(move |_, dtr, rts| {
            pins.set(dtr != inverted, rts != inverted);
            Ok(())
        });
        answers(&rom, folder.path(), lines).await.unwrap();
        assert_eq!(wiring.starts(), [true, false], "into the loader, then into the firmware");
        let chip = rom.off();
        assert_eq!(chip.complaints, [""; 0]);
        assert_eq!(chip.commands.first(), Some(&8), "{:?}", chip.commands);
        assert!(chip.flash.iter().all(|byte| *byte == OLD));
    }
}

#[tokio::test]
async fn a_chip_that_the_lines_do_not_reach_does_not_answer_and_its_firmware_is_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let rom = Rom::wired(Arc::default());
    let fault = answers(&rom, folder.path(), ModemLines::default().set_by(|_, _, _| Ok(())))
        .await
        .unwrap_err();
    assert!(!fault.silent, "{fault}");
    let text = fault.to_string();
    assert!(text.contains("no answer within 0.6 s"), "{text}");
    assert!(text.contains(FIRMWARE.trim_end()), "{text}");
    rom.off();
}

#[tokio::test]
async fn a_port_without_modem_lines_is_named_as_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let rom = Rom::wired(Arc::default());
    let text = answers(&rom, folder.path(), ModemLines::default()).await.unwrap_err().to_string();
    assert!(text.contains("setting DTR and RTS") && text.contains("lines = \"none\""), "{text}");
    rom.off();
}
