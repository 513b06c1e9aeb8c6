//! The reader of a board's log under a flood, with all patterns of a run armed and the record
//! written, beside a reader that throws away what it reads.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hilrig::watch::{Hit, Patterns, Watch};
use hilrig_boards::SerialBoard;
use hilrig_core::board::{Board as _, ConsoleSink};
use hilrig_core::contract::Contract;
use hilrig_core::text::Secrets;
use hilrig_report::{BootLog, Record};
use hilrig_virtual::ControlSocket;
use tokio::sync::Notify;

use crate::board::on_port;
use crate::figures::{Figures, Unit};
use crate::noise::Noise;
use crate::pty::{PtyPair, read_all, write_all};
use crate::table::{Against, Table, TableRow};

/// Bytes of a flood.
const FLOOD: usize = 10_000_000;
/// Bytes of each other flood that a reader has seen before.
const BEFORE: usize = 2_000_000;
/// 10^6 bytes a second.
const AIM: f64 = 60.0;

/// The floods: what they are called, and one piece of each.
fn floods() -> Vec<(&'static str, Vec<u8>)> {
    let lines = |line: &dyn Fn(usize) -> String| -> Vec<u8> {
        (0..4096).flat_map(|n| line(n).into_bytes()).collect()
    };
    let mut noise = vec![0; 256 * 1024];
    Noise::new(2).fill(&mut noise);
    vec![
        ("plain lines", lines(&|n| format!("{n:08} all is well, nothing of interest here\r\n"))),
        (
            "lines nearly like heap lines",
            lines(&|n| {
                format!("Heap page: free {n}, lowest {n}, lowest ever {n}, largest {n}\r\n")
            }),
        ),
        (
            "heap lines",
            lines(&|n| {
                format!(
                    "Heap page: free {n}, lowest 49424, lowest ever 49424, largest 50652, failed 0\r\n"
                )
            }),
        ),
        ("empty lines", b"\r\n".repeat(4096)),
        ("no line ends", b"0123456789abcdef".repeat(4096)),
        ("no line ends, of a pattern's beginning", b"Exception (28".repeat(4096)),
        ("noise that is no UTF-8", noise),
    ]
}

/// Every flood: raw, through a new reader, and through one that has seen all others.
pub async fn reader(contract: &Contract, runs: usize) -> Result<Table, String> {
    let floods = floods();
    let mut table = Table::of_rows(format!(
        "Reading a board's log, {} MB flood on a pty, all patterns armed",
        FLOOD / 1_000_000
    ));
    for (index, (name, piece)) in floods.iter().enumerate() {
        let (mut raw, mut new, mut used) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..runs {
            let failed = |error: io::Error| format!("{name}: {error}");
            raw.push(read_raw(piece).map_err(failed)?);
            new.push(Reader::new(contract)?.read(piece, FLOOD).await?);
            let mut reader = Reader::new(contract)?;
            for (other, (_, piece)) in floods.iter().enumerate() {
                if other != index {
                    reader.read(piece, BEFORE).await?;
                }
            }
            used.push(reader.read(piece, FLOOD).await?);
        }
        let raw: Figures = raw.into_iter().collect();
        for (when, figures) in [("", new), (", all the others before", used)] {
            table.row(TableRow {
                what: &format!("{name}{when}"),
                figures: figures.into_iter().collect(),
                unit: Unit::MegabytesASecond,
                aim: Against::AtLeast(AIM),
                floor: Some(raw.median()),
                note: "the board's console, the patterns and both boot log files, as a run has them; floor: the same flood on a bare pty, read and thrown away",
            });
        }
    }
    Ok(table)
}

/// Writes a flood of `total` bytes.
fn write_flood(to: &OwnedFd, piece: &[u8], mut total: usize) -> io::Result<()> {
    while total > 0 {
        let most = piece.len().min(total);
        write_all(to, &piece[..most])?;
        total -= most;
    }
    Ok(())
}

fn read_raw(piece: &[u8]) -> io::Result<f64> {
    let pty = PtyPair::open()?;
    std::thread::scope(|threads| {
        let since = Instant::now();
        let writer = threads.spawn(|| write_flood(&pty.board, piece, FLOOD));
        read_all(&pty.port, FLOOD)?;
        let seconds = since.elapsed().as_secs_f64();
        writer.join().map_err(|_| io::Error::other("the writing thread panicked"))??;
        Ok(FLOOD as f64 / 1e6 / seconds)
    })
}

/// All that reads a port in a run.
struct Reader {
    board: Arc<OwnedFd>,
    rig: SerialBoard,
    sink: Sink,
    _port: OwnedFd,
    _dir: tempfile::TempDir,
}

/// What a run does with what a console prints.
pub struct Sink {
    watch: Watch,
    record: BootLog,
    hits: u64,
    came: Rc<Cell<u64>>,
    awaited: usize,
    all: Rc<Notify>,
}

impl Sink {
    /// One that keeps its record in `folder`.
    pub fn new(folder: &Path, patterns: Rc<Patterns>) -> Result<Sink, String> {
        let record = Record::create_at(&folder.join("record")).map_err(|e| e.to_string())?;
        // As in a run: the broker's password, and one from the configuration.
        let secrets = ["3f1c9a5be0d24487b6a1", "correct horse battery"].map(ToOwned::to_owned);
        let record = BootLog::create(&record, "bench", &Secrets::new(secrets), Instant::now())
            .map_err(|error| error.to_string())?;
        let watch = Watch::new(patterns);
        Ok(Sink { watch, record, hits: 0, came: Rc::default(), awaited: 0, all: Rc::default() })
    }

    /// Bytes that came so far.
    pub fn count(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.came)
    }
}

impl ConsoleSink for Sink {
    fn chunk(&mut self, at: Instant, bytes: &[u8]) {
        self.record.chunk(at, bytes);
        // A run keeps as many hits, and only counts the rest.
        let hits = &mut self.hits;
        let hit = |_, hit: &dyn Fn() -> Option<Hit>| {
            *hits += 1;
            if *hits <= 10_000 {
                std::hint::black_box(hit());
            }
        };
        self.watch.feed(at, bytes, hit, |finding| {
            std::hint::black_box(finding);
        });
        self.came.set(self.came.get() + bytes.len() as u64);
        self.awaited = self.awaited.saturating_sub(bytes.len());
        if self.awaited == 0 {
            self.all.notify_one();
        }
    }
}

impl Reader {
    fn new(contract: &Contract) -> Result<Reader, String> {
        let dir = tempfile::tempdir().map_err(|error| format!("making a folder: {error}"))?;
        let pty = PtyPair::open().map_err(|error| format!("making a pseudo terminal: {error}"))?;
        let patterns = Patterns::new(contract).map_err(|error| error.to_string())?;
        let sink = Sink::new(dir.path(), patterns.into())?;
        let control = ControlSocket::new(dir.path().join("none"));
        Ok(Reader {
            board: Arc::new(pty.board),
            rig: on_port(&pty.path, dir.path(), control, 115_200),
            sink,
            _port: pty.port,
            _dir: dir,
        })
    }

    /// Reads a flood; 10^6 bytes a second.
    async fn read(&mut self, piece: &[u8], total: usize) -> Result<f64, String> {
        self.rig.lock("measuring", Duration::ZERO).await.map_err(|fault| fault.to_string())?;
        let mut console = self.rig.console().await.map_err(|fault| fault.to_string())?;
        let all = self.sink.all.clone();
        self.sink.awaited = total;
        let (board, piece) = (self.board.clone(), piece.to_vec());
        let since = Instant::now();
        let writer = tokio::task::spawn_blocking(move || write_flood(&board, &piece, total));
        tokio::select! {
            fault = console.read_into(&mut self.sink) => return Err(fault.to_string()),
            () = all.notified() => {}
        }
        let seconds = since.elapsed().as_secs_f64();
        let written = writer.await.map_err(|error| error.to_string())?;
        written.map_err(|error| format!("writing the flood: {error}"))?;
        match self.sink.record.fault() {
            Some(fault) => Err(fault.to_string()),
            None => Ok(total as f64 / 1e6 / seconds),
        }
    }
}
