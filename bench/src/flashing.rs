//! Flashing over the pseudo terminal, beside a client that does nothing else and a raw copy.

use std::path::{Path, PathBuf};
use std::time::Instant;

use hilrig_core::board::Board as _;
use hilrig_core::image::Image;
use tokio::process::Command;

use crate::board::MeasuredBoard;
use crate::figures::{Figures, Unit};
use crate::noise::Noise;
use crate::pty::{PtyPair, read_all, write_all};
use crate::table::{Against, Table, TableRow};

/// Bytes that are flashed.
const BYTES: usize = 200 * 1024;
/// Seconds of the write phase.
const AIM: f64 = 0.06;
/// A block of the ROM's loader, and its answer, bytes.
const BLOCK: usize = 0x400;
const ANSWER: usize = 14;

/// The write phase, several times over. Rig and Python client take turns on the same board.
pub async fn flashing(runs: usize) -> Result<Table, String> {
    let mut bytes = vec![0; BYTES];
    // Not all alike, so that as many bytes want escaping as in a firmware.
    Noise::new(1).fill(&mut bytes);
    let dir = tempfile::tempdir().map_err(|error| format!("making a folder: {error}"))?;
    let file = dir.path().join("image.bin");
    // The board boots nothing here; its loader is all that runs.
    let boot_rom = dir.path().join("boot-rom.elf");
    let written = std::fs::write(&file, &bytes).and_then(|()| std::fs::write(&boot_rom, ""));
    written.map_err(|error| format!("writing to {}: {error}", dir.path().display()))?;

    let (copy, lockstep) = raw(&bytes, runs).map_err(|e| format!("a bare terminal: {e}"))?;
    let (rig, python) = on_board(&file, bytes, boot_rom, runs).await?;
    let mut table =
        Table::of_rows(format!("Flashing {} KiB over the pty, write phase", BYTES / 1024));
    let mut row = |what, figures: Figures, aim, floor, note| {
        table.row(TableRow { what, figures, unit: Unit::Seconds, aim, floor, note });
    };
    row(
        "hilrig",
        rig,
        Against::Below(AIM),
        Some(python.median()),
        "the rig's flashing and a virtual board in one process, as in `hilrig run`; floor: the bare Python client",
    );
    row(
        "a bare Python client",
        python.clone(),
        Against::Nothing,
        Some(lockstep.median()),
        "bench/flash_client.py, on the same virtual board; floor: blocks and answers without content",
    );
    row(
        "blocks and answers without content",
        lockstep.clone(),
        Against::Nothing,
        Some(copy.median()),
        "1 KiB one way, 14 bytes back, each waited for, between two threads over a bare pty; floor: a raw copy",
    );
    row(
        "a raw copy",
        copy,
        Against::Nothing,
        None,
        "the bytes through a bare pty, from thread to thread",
    );
    Ok(table)
}

async fn on_board(
    file: &Path,
    bytes: Vec<u8>,
    boot_rom: PathBuf,
    runs: usize,
) -> Result<(Figures, Figures), String> {
    let mut board = MeasuredBoard::start(boot_rom).await?;
    // Not parsed: noise is no firmware, and nothing is going to run it.
    let image = Image {
        path: file.into(),
        bytes: bytes.into(),
        sha256: String::new(),
        build: None,
        data: Vec::new(),
    };
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("flash_client.py");
    let (mut rig, mut python) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let flashed = board.flash(&image).await?;
        rig.push(flashed.time.as_secs_f64());
        same(&board, &image, "hilrig")?;
        board.rig.release().await;
        board.control.loader().await.map_err(|fault| fault.to_string())?;
        let mut command = Command::new("python3");
        let output = command.arg(&client).arg(board.port()).arg(file).output().await;
        let output = output.map_err(|error| format!("running python3: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        python.push(said.trim().parse().map_err(|_| {
            format!("flash_client.py: {}", String::from_utf8_lossy(&output.stderr))
        })?);
        same(&board, &image, "flash_client.py")?;
    }
    board.stop().await?;
    Ok((rig.into_iter().collect(), python.into_iter().collect()))
}

/// What was not written was not measured.
fn same(board: &MeasuredBoard, image: &Image, by: &str) -> Result<(), String> {
    let flash = std::fs::read(board.flash_file()).map_err(|e| format!("reading the flash: {e}"))?;
    match flash.starts_with(&image.bytes) {
        true => Ok(()),
        false => Err(format!("{by} left another content in the flash than it was given")),
    }
}

/// Seconds of a copy, and of blocks with answers.
fn raw(bytes: &[u8], runs: usize) -> std::io::Result<(Figures, Figures)> {
    let pty = PtyPair::open()?;
    let timed = |rig: &(dyn Fn() -> std::io::Result<()> + Sync),
                 board: &(dyn Fn() -> std::io::Result<()> + Sync)| {
        let since = Instant::now();
        std::thread::scope(|threads| {
            let rig = threads.spawn(rig);
            board()?;
            rig.join().map_err(|_| std::io::Error::other("the rig's thread panicked"))?
        })?;
        Ok(since.elapsed().as_secs_f64())
    };
    let copy: std::io::Result<Figures> = (0..runs)
        .map(|_| timed(&|| write_all(&pty.port, bytes), &|| read_all(&pty.board, bytes.len())))
        .collect();
    let lockstep: std::io::Result<Figures> = (0..runs)
        .map(|_| {
            timed(
                &|| {
                    bytes.chunks(BLOCK).try_for_each(|block| {
                        write_all(&pty.port, block)?;
                        read_all(&pty.port, ANSWER)
                    })
                },
                &|| {
                    bytes.chunks(BLOCK).try_for_each(|block| {
                        read_all(&pty.board, block.len())?;
                        write_all(&pty.board, &[0; ANSWER])
                    })
                },
            )
        })
        .collect();
    Ok((copy?, lockstep?))
}
