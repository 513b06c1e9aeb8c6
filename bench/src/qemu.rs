//! What QEMU itself takes on this machine: nothing of it is the rig's to save.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Instant;

use hilrig::watch::{Hit, Patterns, Says, Watch};
use hilrig_core::board::{Board as _, ConsoleSink};
use hilrig_core::contract::Contract;
use hilrig_core::image::{Image, ImageFormat};
use tokio::sync::Notify;

use crate::board::MeasuredBoard;
use crate::figures::{Figures, Unit};
use crate::place;
use crate::table::{Against, Table, TableRow};

/// Seconds, as measured for the issue on 4 cores.
const FIRST_BYTE: f64 = 0.026;
const NETWORK: f64 = 0.050;
/// The slower of the two key types that the floor was measured with.
const HANDSHAKE: f64 = 0.040;

/// Seconds from a start to two signs of life.
struct Start {
    first_byte: f64,
    network: f64,
}

/// Starts of QEMU alone and of a virtual board, and the connections that whole runs made.
pub async fn qemu(contract: &Contract, handshakes: Figures, runs: usize) -> Result<Table, String> {
    let path = place::firmware("firmware.bin")?;
    let boot_rom = place::firmware("bootrom.elf")?;
    let bytes = std::fs::read(&path).map_err(|e| format!("reading {}: {e}", path.display()))?;
    let image = Image::parse(&path, bytes, ImageFormat::Esp8266, None)
        .map_err(|error| error.to_string())?;
    let mut board = MeasuredBoard::start(boot_rom.clone()).await?;
    board.flash(&image).await?;
    let served = through_the_board(&mut board, contract, runs).await?;
    let flash = board.flash_file();
    let alone =
        (0..runs).map(|_| alone(&flash, &boot_rom, contract)).collect::<Result<Vec<_>, _>>()?;
    board.stop().await?;

    let mut table = Table::of_rows("QEMU on this machine");
    let mut row = |what, figures: Figures, floor, note| {
        let (unit, aim) = (Unit::Seconds, Against::Nothing);
        table.row(TableRow { what, figures, unit, aim, floor: Some(floor), note });
    };
    let first = |starts: &[Start]| starts.iter().map(|start| start.first_byte).collect::<Figures>();
    let network = |starts: &[Start]| starts.iter().map(|start| start.network).collect::<Figures>();
    const ISSUE: &str = "floor: measured for the issue, on 4 cores";
    const SERVED: &str =
        "from the power-on by the control socket; floor: QEMU alone, on this machine";
    row("QEMU alone to the first UART byte", first(&alone), FIRST_BYTE, ISSUE);
    row("QEMU alone to the board's address", network(&alone), NETWORK, ISSUE);
    row("a virtual board to the first byte", first(&served), first(&alone).median(), SERVED);
    row("a virtual board to its address", network(&served), network(&alone).median(), SERVED);
    if handshakes.runs() > 0 {
        row(
            "connection to the broker",
            handshakes,
            HANDSHAKE,
            "from the runs above, by the boot log: TCP, TLS with the broker's certificate checked, CONNACK; floor: a warm TLS handshake (EC P-256), measured for the issue, on 4 cores",
        );
    }
    Ok(table)
}

/// Power on, address in the boot log, power off.
async fn through_the_board(
    board: &mut MeasuredBoard,
    contract: &Contract,
    runs: usize,
) -> Result<Vec<Start>, String> {
    let mut console = board.rig.console().await.map_err(|fault| fault.to_string())?;
    let control = board.control.clone();
    let up = Rc::new(Notify::new());
    let watch = Watch::new(Patterns::new(contract).map_err(|error| error.to_string())?.into());
    let mut sink = Sink { watch, first_byte: None, network: None, up: up.clone() };
    let mut starts = Vec::new();
    control.power_off().await.map_err(|fault| fault.to_string())?;
    for _ in 0..runs {
        (sink.first_byte, sink.network) = (None, None);
        let since = Instant::now();
        let cycle = async {
            control.power_on().await?;
            up.notified().await;
            control.power_off().await
        };
        tokio::select! {
            done = cycle => done.map_err(|fault| fault.to_string())?,
            fault = console.read_into(&mut sink) => return Err(fault.to_string()),
        }
        let (Some(first), Some(network)) = (sink.first_byte, sink.network) else {
            return Err("a board that is up said nothing".into());
        };
        starts.push(Start {
            first_byte: (first - since).as_secs_f64(),
            network: (network - since).as_secs_f64(),
        });
    }
    Ok(starts)
}

struct Sink {
    watch: Watch,
    first_byte: Option<Instant>,
    network: Option<Instant>,
    up: Rc<Notify>,
}

impl ConsoleSink for Sink {
    fn chunk(&mut self, at: Instant, bytes: &[u8]) {
        self.first_byte.get_or_insert(at);
        let Sink { watch, network, up, .. } = self;
        let hit = |says, _: &dyn Fn() -> Option<Hit>| {
            if says == Says::Configuration(0) {
                network.get_or_insert(at);
                up.notify_one();
            }
        };
        watch.feed(at, bytes, hit, |_| {});
    }
}

/// QEMU with the same flash, and nothing of ours beside it.
fn alone(flash: &Path, boot_rom: &PathBuf, contract: &Contract) -> Result<Start, String> {
    let failed = |error: std::io::Error| format!("running qemu-system-xtensa: {error}");
    let mut watch = Watch::new(Patterns::new(contract).map_err(|error| error.to_string())?.into());
    let since = Instant::now();
    let mut child = Command::new("qemu-system-xtensa")
        .args(["-M", "lx60-nommu", "-cpu", "lx106", "-m", "1M", "-display", "none"])
        .args(["-monitor", "none", "-serial", "stdio", "-nic", "user", "-snapshot"])
        .arg("-drive")
        .arg(format!("if=pflash,format=raw,file={}", flash.display()))
        .arg("-kernel")
        .arg(boot_rom)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let mut uart = child.stdout.take().ok_or("QEMU without an output")?;
    let mut first_byte = None;
    let mut network = None;
    let mut buffer = [0; 4096];
    while network.is_none() {
        let read = uart.read(&mut buffer).map_err(failed)?;
        let now = Instant::now();
        if read == 0 {
            break;
        }
        first_byte.get_or_insert(now);
        let hit = |says, _: &dyn Fn() -> Option<Hit>| {
            if says == Says::Configuration(0) {
                network = Some(now);
            }
        };
        watch.feed(now, &buffer[..read], hit, |_| {});
    }
    child.kill().and_then(|()| child.wait()).map_err(failed)?;
    match (first_byte, network) {
        (Some(first), Some(network)) => Ok(Start {
            first_byte: (first - since).as_secs_f64(),
            network: (network - since).as_secs_f64(),
        }),
        _ => Err("QEMU alone did not bring the firmware up".into()),
    }
}
