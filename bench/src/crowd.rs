//! Many boards at once, each sending without a pause at 921600 baud, read as a run reads them and
//! beside that by a bare epoll loop that keeps nothing.
//!
//! The boards are another process's, so that what it takes to feed is not counted: it makes the
//! ports, writes what a line of that rate delivers, and counts what a port has no room for.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use hilrig::watch::Patterns;
use hilrig_boards::SerialBoard;
use hilrig_core::board::Board as _;
use hilrig_core::contract::Contract;
use hilrig_virtual::ControlSocket;
use rustix::event::epoll;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::board::on_port;
use crate::figures::Unit;
use crate::process::cpu;
use crate::pty::PtyPair;
use crate::reader::Sink;
use crate::table::{Against, Table, TableRow};

const BOARDS: usize = 64;
/// Bytes a second: eight data bits, a start and a stop bit each.
const RATE: f64 = 921_600.0 / 10.0;
const SECONDS: f64 = 10.0;
/// How often a port gets bytes: a USB adapter at this rate hands over every few milliseconds.
const TICK: Duration = Duration::from_millis(4);
/// The aim is for this many boards.
const AIM_BOARDS: f64 = 16.0;
const AIM: f64 = 0.8;
/// For the last bytes to arrive once all were sent.
const LAST: Duration = Duration::from_secs(5);

/// The argument that makes this program the boards.
pub const FEED: &str = "--feed-boards";

/// Both ways of reading, `runs` times each.
pub async fn crowd(contract: &Contract, runs: usize) -> Result<Table, String> {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        bare.push(tokio::task::spawn_blocking(by_epoll).await.map_err(|e| e.to_string())??);
        ours.push(as_a_run(contract).await?);
    }
    let mut table = Table::of_rows(format!(
        "Reading {BOARDS} boards at once, each sending {:.0} kB/s for {SECONDS:.0} s (921600 baud)",
        RATE / 1e3
    ));
    let seconds = |read: &[Read]| -> crate::figures::Figures {
        read.iter().map(|read| read.cpu * AIM_BOARDS / BOARDS as f64).collect()
    };
    let floor = seconds(&bare).median();
    for (what, read, aim, floor) in [
        ("console, patterns, both boot logs", &ours, Against::Below(AIM), Some(floor)),
        ("a bare epoll loop", &bare, Against::Nothing, None),
    ] {
        table.row(TableRow {
            what: &format!("CPU of 16 boards, {what}"),
            figures: seconds(read),
            unit: Unit::Seconds,
            aim,
            floor,
            note: "user and system, of one process that reads 64 boards, times 16/64",
        });
        let worst = read.iter().map(|read| read.lost).max().unwrap_or(0);
        let took = read.iter().map(|read| read.took).fold(0.0, f64::max);
        table.cells(
            vec![format!("bytes lost, {what}"), worst.to_string()],
            &format!(
                "the worst run; a port that is full when its line delivers loses what does not fit. The boards took {took:.1} s at most for the {SECONDS:.0} s: a busy machine is late with feeding, too",
            ),
        );
    }
    Ok(table)
}

/// What reading took.
struct Read {
    cpu: f64,
    /// Seconds that the boards took to send it.
    took: f64,
    /// Sent and never read, and what the ports had no room for.
    lost: u64,
}

/// The boards, in a process of their own.
struct Boards {
    child: Child,
    requests: ChildStdin,
    replies: BufReader<ChildStdout>,
    ports: Vec<PathBuf>,
}

impl Boards {
    fn start() -> Result<Boards, String> {
        let failed = |error: std::io::Error| format!("starting the boards: {error}");
        let own = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(own)
            .arg(FEED)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(requests), Some(replies)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("starting the boards: no pipes".into());
        };
        let mut boards =
            Boards { child, requests, replies: BufReader::new(replies), ports: Vec::new() };
        for _ in 0..BOARDS {
            let port = boards.line()?;
            boards.ports.push(port.into());
        }
        Ok(boards)
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.replies.read_line(&mut line) {
            Ok(0) => Err("the boards have ended".into()),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(error) => Err(format!("hearing of the boards: {error}")),
        }
    }

    fn go(&mut self) -> Result<(), String> {
        writeln!(self.requests, "go")
            .map_err(|error| format!("starting the boards' lines: {error}"))
    }

    /// Bytes sent, bytes that did not fit, and seconds, once all are through.
    fn done(&mut self) -> Result<(u64, u64, f64), String> {
        let line = self.line()?;
        let figures: Vec<u64> = line.split(' ').filter_map(|figure| figure.parse().ok()).collect();
        match figures[..] {
            [sent, full, millis] => Ok((sent, full, millis as f64 / 1e3)),
            _ => Err(format!("the boards say `{line}`")),
        }
    }
}

impl Drop for Boards {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn own_cpu() -> Result<f64, String> {
    cpu(std::process::id()).map(|(own, _)| own).map_err(|error| error.to_string())
}

/// As a run reads: the console of each board, all patterns armed, both boot logs written.
async fn as_a_run(contract: &Contract) -> Result<Read, String> {
    let mut boards = Boards::start()?;
    let patterns: Rc<Patterns> = Patterns::new(contract).map_err(|error| error.to_string())?.into();
    let dir = tempfile::tempdir().map_err(|error| format!("making a folder: {error}"))?;
    let local = tokio::task::LocalSet::new();
    let mut rigs: Vec<SerialBoard> = Vec::new();
    let mut counts = Vec::new();
    for (number, port) in boards.ports.iter().enumerate() {
        let folder = dir.path().join(number.to_string());
        let mut rig = on_port(port, &folder, ControlSocket::new(dir.path().join("none")), 115_200);
        rig.lock("hilrig-bench", Duration::ZERO).await.map_err(|fault| fault.to_string())?;
        let mut console = rig.console().await.map_err(|fault| fault.to_string())?;
        let mut sink = Sink::new(&folder, Rc::clone(&patterns))?;
        counts.push(sink.count());
        local.spawn_local(async move { console.read_into(&mut sink).await });
        rigs.push(rig);
    }
    let read = local.run_until(async {
        let before = own_cpu()?;
        boards.go()?;
        let telling = tokio::task::spawn_blocking(move || (boards.done(), boards));
        let (done, boards) = telling.await.map_err(|error| error.to_string())?;
        let (sent, full, took) = done?;
        let came = || counts.iter().map(|count| count.get()).sum::<u64>();
        let until = Instant::now() + LAST;
        while came() < sent && Instant::now() < until {
            tokio::time::sleep(TICK).await;
        }
        let cpu = own_cpu()? - before;
        drop(boards);
        Ok(Read { cpu, took, lost: full + (sent - came()) })
    });
    read.await
}

/// As nothing does: read and thrown away.
fn by_epoll() -> Result<Read, String> {
    let mut boards = Boards::start()?;
    let failed = |error: Errno| format!("a bare epoll loop: {error}");
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
    let mut ports: Vec<OwnedFd> = Vec::new();
    for (number, path) in boards.ports.iter().enumerate() {
        let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits() as i32;
        let port = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let port: OwnedFd = port.map_err(|error| format!("{}: {error}", path.display()))?.into();
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&epoll, &port, data, epoll::EventFlags::IN).map_err(failed)?;
        ports.push(port);
    }
    let before = own_cpu()?;
    boards.go()?;
    let most = (SECONDS * RATE * BOARDS as f64) as u64;
    let mut came = 0;
    let mut buffer = vec![0; 64 * 1024];
    let mut events = Vec::with_capacity(BOARDS);
    let idle = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
    // A second without a byte is the end.
    while came < most {
        events.clear();
        let spare = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&epoll, spare, Some(&idle)) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(failed(error)),
        }
        for event in &events {
            match rustix::io::read(&ports[event.data.u64() as usize], &mut buffer) {
                Ok(read) => came += read as u64,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    let cpu = own_cpu()? - before;
    let (sent, full, took) = boards.done()?;
    Ok(Read { cpu, took, lost: full + (sent - came) })
}

/// The boards: what the other process does.
pub fn feed() -> Result<(), String> {
    let failed = |error: std::io::Error| format!("the boards: {error}");
    let mut ptys = Vec::new();
    let mut out = std::io::stdout();
    for _ in 0..BOARDS {
        let pty = PtyPair::open().map_err(failed)?;
        let flags = rustix::fs::fcntl_getfl(&pty.board).map_err(|e| failed(e.into()))?;
        rustix::fs::fcntl_setfl(&pty.board, flags | OFlags::NONBLOCK)
            .map_err(|e| failed(e.into()))?;
        writeln!(out, "{}", pty.path.display()).map_err(failed)?;
        ptys.push(pty);
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(failed)?;
    let log: Vec<u8> = (0..4096)
        .flat_map(|n| match n % 64 {
            0 => format!("Heap page: free {n}, lowest 49424, lowest ever 49424, largest 50652, failed 0\r\n"),
            _ => format!("{n:08} all is well, nothing of interest here\r\n"),
        }.into_bytes())
        .collect();
    let all = (RATE * SECONDS) as u64;
    let (mut sent, mut full) = (0, 0);
    // A tick that comes late does not make the line faster: all that follow come later.
    let mut at = 0;
    let start = Instant::now();
    let mut next = start + TICK;
    let piece = (RATE * TICK.as_secs_f64()).round() as usize;
    for _ in 0..all.div_ceil(piece as u64) {
        // The clock of the lines, not an event that is awaited.
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next = (next + TICK).max(Instant::now());
        if at + piece > log.len() {
            at = 0;
        }
        let bytes = &log[at..at + piece];
        at += piece;
        for pty in &ptys {
            let taken = rustix::io::write(&pty.board, bytes).unwrap_or(0);
            sent += taken as u64;
            full += (piece - taken) as u64;
        }
    }
    writeln!(out, "{sent} {full} {}", start.elapsed().as_millis()).map_err(failed)?;
    // The ports stay until they are not needed.
    std::io::stdin().read_line(&mut line).map_err(failed)?;
    Ok(())
}
