//! Flashing at each rate of a line, as a share of what the line carries.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use hilrig_core::board::Board as _;
use hilrig_core::image::Image;
use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::board::{MeasuredBoard, on_port};
use crate::figures::{Figures, Unit};
use crate::noise::Noise;
use crate::paced::PacedLine;
use crate::pty::{PtyPair, read_all, write_all};
use crate::table::Table;

/// The usual rates of an ESP8266's loader, baud.
const RATES: [u32; 5] = [74_880, 115_200, 230_400, 460_800, 921_600];
/// Bytes that are flashed: whole blocks, 9 s of the slowest line.
const BYTES: usize = 64 * 1024;
/// What a block of 1 KiB takes on the wire besides itself: the two ends of a SLIP
/// frame, the command's head (8), the block's (16), and what is escaped, 2 in 256 bytes of noise. The
/// answer is 14 bytes.
const BLOCK: usize = 1024;
const BESIDES: usize = 2 + 8 + 16 + BLOCK * 2 / 256;
const ANSWER: usize = 14;

/// All rates, `runs` times each.
pub async fn line_rate(runs: usize) -> Result<Table, String> {
    let mut bytes = vec![0; BYTES];
    Noise::new(1).fill(&mut bytes);
    let dir = tempfile::tempdir().map_err(|error| format!("making a folder: {error}"))?;
    let boot_rom = dir.path().join("boot-rom.elf");
    std::fs::write(&boot_rom, "").map_err(|e| format!("{}: {e}", boot_rom.display()))?;
    // Not parsed: noise is no firmware, and nothing is going to run it.
    let image = Image {
        path: "noise".into(),
        bytes: bytes.into(),
        sha256: String::new(),
        build: None,
        data: Vec::new(),
    };
    let board = MeasuredBoard::start(boot_rom).await?;

    let title = format!("Flashing {} KiB over a line with a rate, write phase", BYTES / 1024);
    let head = [
        "",
        "median",
        "min .. max",
        "runs",
        "bytes/s",
        "of baud/10",
        "a bare client",
        "of its rate",
    ];
    let mut table = Table::new(title, &head);
    let most = BLOCK as f64 / (BLOCK + BESIDES + ANSWER) as f64;
    for baud in RATES {
        let (mut seconds, mut floor) = (Vec::new(), Vec::new());
        for run in 0..runs {
            let folder = dir.path().join(format!("{baud}-{run}"));
            seconds.push(flash(&board, &image, baud, &folder).await?.as_secs_f64());
            let bare = tokio::task::spawn_blocking(move || bare(baud)).await;
            let bare = bare.map_err(|error| error.to_string())?;
            floor.push(bare.map_err(|error| format!("a bare client: {error}"))?.as_secs_f64());
        }
        let figures: Figures = seconds.into_iter().collect();
        let floor = floor.into_iter().collect::<Figures>().median();
        let rate = BYTES as f64 / figures.median();
        let share = rate / (f64::from(baud) / 10.0);
        table.cells(
            vec![
                format!("{baud} baud"),
                Unit::Seconds.text(figures.median()),
                figures.range(Unit::Seconds),
                figures.runs().to_string(),
                format!("{rate:.0}"),
                Unit::Share.text(share),
                Unit::Seconds.text(floor),
                Unit::Share.text(floor / figures.median()),
            ],
            &format!(
                "a thread between the rig's port and the virtual board's holds each byte back for ten bits. The most is \
                 {most:.3} of baud/10: the ROM's loader takes a block of 1 KiB and is sent the next one when it has answered, \
                 and heads and answers are on the wire, too. What is missing beyond that is the way from a byte that \
                 arrived to the waiting side, four times a block; a bare client between the same two ends sends as many \
                 bytes without content and waits for as many. A real chip adds the time in which it writes its flash"
            ),
        );
    }
    board.stop().await?;
    Ok(table)
}

/// Blocks and answers without content, between two threads over such a line.
fn bare(baud: u32) -> io::Result<Duration> {
    let board = PtyPair::open()?;
    let line = PacedLine::to(&board.path)?;
    let noctty = OFlags::NOCTTY.bits() as i32;
    let mut options = OpenOptions::new();
    let port: OwnedFd =
        options.read(true).write(true).custom_flags(noctty).open(&line.port)?.into();
    let mut termios = tcgetattr(&port)?;
    termios.set_speed(baud)?;
    tcsetattr(&port, OptionalActions::Now, &termios)?;
    let blocks = BYTES / BLOCK;
    let since = Instant::now();
    std::thread::scope(|threads| {
        let client = threads.spawn(|| {
            (0..blocks).try_for_each(|_| {
                write_all(&port, &[0; BLOCK + BESIDES])?;
                read_all(&port, ANSWER)
            })
        });
        for _ in 0..blocks {
            read_all(&board.board, BLOCK + BESIDES)?;
            write_all(&board.board, &[0; ANSWER])?;
        }
        client.join().map_err(|_| io::Error::other("the client's thread panicked"))?
    })?;
    let time = since.elapsed();
    line.stop()?;
    Ok(time)
}

async fn flash(
    board: &MeasuredBoard,
    image: &Image,
    baud: u32,
    folder: &std::path::Path,
) -> Result<Duration, String> {
    let line = PacedLine::to(board.port()).map_err(|error| format!("making a line: {error}"))?;
    let mut rig = on_port(&line.port, folder, board.control.clone(), baud);
    let flashed = async {
        rig.lock("measuring", Duration::ZERO).await?;
        rig.flash(image, true, Box::new(|_, _| {})).await
    };
    let flashed = flashed.await.map_err(|fault| fault.to_string());
    rig.release().await;
    line.stop().map_err(|error| format!("the line: {error}"))?;
    let flashed = flashed?;
    // A lower rate that it fell back to is not the one to be measured, and what was not written was
    // not measured at all.
    if flashed.baud != Some(baud) {
        return Err(format!("it was flashed at {:?} baud, not at {baud}", flashed.baud));
    }
    let flash = std::fs::read(board.flash_file()).map_err(|e| format!("reading the flash: {e}"))?;
    match flash.starts_with(&image.bytes) {
        true => Ok(flashed.time),
        false => Err("the flash has another content than was written".into()),
    }
}
