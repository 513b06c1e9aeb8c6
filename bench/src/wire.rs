//! The relay between board and broker under a flood, beside a bare loop that copies and the ends' own
//! connection.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Instant;

use hilrig_wire::Relay;
use rustix::time::{ClockId, clock_gettime};

use crate::figures::{Figures, Unit};
use crate::table::{Against, Table, TableRow};

/// Bytes of a flood.
const FLOOD: usize = 400_000_000;
/// As large as the relay's own.
const BUFFER: usize = 16 * 1024;

/// What is between the ends.
#[derive(Clone, Copy)]
enum Between {
    Nothing,
    Loop,
    Relay,
}

/// What one flood took.
struct Took {
    /// 10^6 bytes a second.
    rate: f64,
    /// CPU seconds of what is between, for each 10^9 bytes.
    cpu: f64,
}

/// Each way, `runs` times.
pub fn wire(runs: usize) -> Result<Table, String> {
    // A record of TLS 1.2 with 512 bytes of content under AES-GCM is what small devices ask for.
    let small = [&[23, 3, 3, 2, 24][..], &[7; 536]].concat();
    let large = [&[23, 3, 3, 64, 24][..], &[7; 16_408]].concat();
    let ways: [(&str, Between, &[u8]); 5] = [
        ("the ends' own connection", Between::Nothing, &large),
        ("a loop that copies", Between::Loop, &large),
        ("the relay, what is no TLS", Between::Relay, &[7; BUFFER]),
        ("the relay, records of 16 KiB", Between::Relay, &large),
        ("the relay, records of 512 bytes", Between::Relay, &small),
    ];
    let mut table = Table::of_rows(format!(
        "Relaying what goes between board and broker, {} MB each",
        FLOOD / 1_000_000
    ));
    let mut floor: Option<(f64, f64)> = None;
    for (what, between, piece) in ways {
        let failed = |error: io::Error| format!("{what}: {error}");
        let took: Vec<Took> =
            (0..runs).map(|_| flood(between, piece)).collect::<io::Result<_>>().map_err(failed)?;
        let rates: Figures = took.iter().map(|took| took.rate).collect();
        let cpu: Figures = took.iter().map(|took| took.cpu).collect();
        let (rate, busy) = (rates.median(), cpu.median());
        table.row(TableRow {
            what,
            figures: rates,
            unit: Unit::MegabytesASecond,
            aim: Against::Nothing,
            floor: floor.map(|(rate, _)| rate),
            note: "over loopback, both ends' own threads; floor: a loop that copies",
        });
        if !matches!(between, Between::Nothing) {
            table.row(TableRow {
                what: &format!("{what}, CPU for each GB"),
                figures: cpu,
                unit: Unit::Seconds,
                aim: Against::Nothing,
                floor: floor.map(|(_, cpu)| cpu),
                note: "of the thread between the ends alone",
            });
        }
        if matches!(between, Between::Loop) {
            floor = Some((rate, busy));
        }
    }
    Ok(table)
}

/// One flood from an end to the other.
fn flood(between: Between, piece: &[u8]) -> io::Result<Took> {
    let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let upstream = broker.local_addr()?;
    std::thread::scope(|threads| {
        let (port_to, port) = mpsc::channel();
        let relaying = match between {
            Between::Nothing => {
                // This thread waits for it.
                let _ = port_to.send(upstream.port());
                None
            }
            Between::Loop => Some(threads.spawn(move || copy(upstream, &port_to))),
            Between::Relay => Some(threads.spawn(move || relay(upstream, &port_to))),
        };
        let port = port.recv().map_err(io::Error::other)?;
        let reading = threads.spawn(move || -> io::Result<usize> {
            let (mut stream, _) = broker.accept()?;
            let (mut buffer, mut all) = (vec![0; 4 * BUFFER], 0);
            loop {
                match stream.read(&mut buffer)? {
                    0 => return Ok(all),
                    count => all += count,
                }
            }
        });
        let since = Instant::now();
        let mut board = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        let mut sent = 0;
        while sent < FLOOD {
            board.write_all(piece)?;
            sent += piece.len();
        }
        board.shutdown(Shutdown::Write)?;
        let came =
            reading.join().map_err(|_| io::Error::other("the reading thread panicked"))??;
        let seconds = since.elapsed().as_secs_f64();
        if came != sent {
            return Err(io::Error::other(format!("{came} of {sent} bytes came")));
        }
        let cpu = match relaying {
            Some(relaying) => {
                relaying.join().map_err(|_| io::Error::other("the relaying thread panicked"))??
            }
            None => 0.0,
        };
        let bytes = sent as f64;
        Ok(Took { rate: bytes / 1e6 / seconds, cpu: cpu * 1e9 / bytes })
    })
}

/// The relay of a certification, until its first connection has ended; CPU seconds.
fn relay(upstream: SocketAddr, port_to: &mpsc::Sender<u16>) -> io::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let relay = Relay::start(Ipv4Addr::LOCALHOST, upstream).await?;
        port_to.send(relay.port()).map_err(io::Error::other)?;
        let since = thread_cpu();
        relay.until(|progress| progress.ended == 1).await;
        Ok(thread_cpu() - since)
    })
}

/// The same without the relay's words; one direction.
fn copy(upstream: SocketAddr, port_to: &mpsc::Sender<u16>) -> io::Result<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    port_to.send(listener.local_addr()?.port()).map_err(io::Error::other)?;
    let since = thread_cpu();
    let (mut board, _) = listener.accept()?;
    let mut broker = TcpStream::connect(upstream)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        match board.read(&mut buffer)? {
            0 => break,
            count => broker.write_all(&buffer[..count])?,
        }
    }
    Ok(thread_cpu() - since)
}

fn thread_cpu() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
