//! A line with a speed, between a port and the pty of a board that has none.
//!
//! A pseudo terminal hands bytes over at once. Here each takes as long as on a wire: ten bits (start,
//! eight of data, stop) at the rate that the port's client has set, both ways at once.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::OFlags;
use rustix::termios::tcgetattr;

use crate::pty::{PtyPair, write_all};

/// Bits on the wire for each byte.
const BITS: f64 = 10.0;

/// The line; its threads end with it.
pub struct PacedLine {
    /// The port's path.
    pub port: PathBuf,
    /// Readable once the line is to end.
    end: OwnedFd,
    ways: Vec<JoinHandle<io::Result<()>>>,
}

impl PacedLine {
    /// A line to the board whose own port is `board`.
    pub fn to(board: &Path) -> io::Result<PacedLine> {
        let pty = PtyPair::open()?;
        let noctty = OFlags::NOCTTY.bits() as i32;
        let board: OwnedFd =
            OpenOptions::new().read(true).write(true).custom_flags(noctty).open(board)?.into();
        let end = eventfd(0, EventfdFlags::CLOEXEC)?;
        let ways = [(pty.board.try_clone()?, board.try_clone()?), (board, pty.board)];
        let ways = ways.into_iter().map(|(from, to)| {
            let (rate, end) = (pty.port.try_clone()?, end.try_clone()?);
            Ok(std::thread::spawn(move || one_way(&from, &to, &rate, &end)))
        });
        let ways = ways.collect::<io::Result<_>>()?;
        Ok(PacedLine { port: pty.path, end, ways })
    }

    /// Ends it, and returns what went wrong on it.
    pub fn stop(mut self) -> io::Result<()> {
        self.halt();
        std::mem::take(&mut self.ways).into_iter().try_for_each(|way| {
            way.join().map_err(|_| io::Error::other("a thread of the line panicked"))?
        })
    }

    fn halt(&self) {
        // An eventfd takes so small a number whatever is in it.
        let _ = rustix::io::write(&self.end, &1_u64.to_ne_bytes());
    }
}

impl Drop for PacedLine {
    fn drop(&mut self) {
        self.halt();
    }
}

/// Carries bytes from one end to the other, until the line is to end.
fn one_way(from: &OwnedFd, to: &OwnedFd, rate: &OwnedFd, end: &OwnedFd) -> io::Result<()> {
    let mut buffer = vec![0; 4096];
    // Until when the wire is taken.
    let mut taken = Instant::now();
    loop {
        let mut fds = [PollFd::new(end, PollFlags::IN), PollFd::new(from, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            polled => polled?,
        };
        if !fds[0].revents().is_empty() {
            return Ok(());
        }
        let read = match rustix::io::read(from, &mut buffer) {
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
            read => read?,
        };
        let baud = tcgetattr(rate)?.output_speed();
        let time = Duration::from_secs_f64(read as f64 * BITS / f64::from(baud.max(1)));
        // All of a piece arrives with its last byte. A wake-up that comes late makes the bytes after
        // it no later, where they were on the wire already.
        taken = taken.max(Instant::now()) + time;
        // The time that the bytes are on the wire, not an event that is awaited.
        std::thread::sleep(taken.saturating_duration_since(Instant::now()));
        write_all(to, &buffer[..read])?;
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};

    use rustix::event::Timespec;
    use rustix::termios::{OptionalActions, tcsetattr};

    use super::*;

    /// What comes, and no longer than half a minute of waiting for it.
    fn receive(mut from: &File, total: usize) -> Vec<u8> {
        let mut got = Vec::new();
        while got.len() < total {
            let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
            let mut fds = [PollFd::new(&from, PollFlags::IN)];
            assert_eq!(poll(&mut fds, Some(&patience)).unwrap(), 1, "nothing after {got:?}");
            let mut piece = [0; 64];
            let read = from.read(&mut piece).unwrap();
            got.extend(&piece[..read]);
        }
        got
    }

    #[test]
    fn bytes_get_through_both_ways_and_no_sooner_than_the_rate_allows() {
        let board = PtyPair::open().unwrap();
        let line = PacedLine::to(&board.path).unwrap();
        let mut port = OpenOptions::new().read(true).write(true).open(&line.port).unwrap();
        let mut termios = tcgetattr(&port).unwrap();
        termios.set_speed(9_600).unwrap();
        tcsetattr(&port, OptionalActions::Now, &termios).unwrap();
        let mut board = File::from(board.board);
        let sent: Vec<u8> = (0..96).collect();
        let since = Instant::now();
        port.write_all(&sent).unwrap();
        assert_eq!(receive(&board, sent.len()), sent);
        board.write_all(&sent).unwrap();
        assert_eq!(receive(&port, sent.len()), sent);
        // Twice 96 bytes of ten bits. It may take longer, and never less.
        assert!(since.elapsed() >= Duration::from_millis(200), "{:?}", since.elapsed());
        line.stop().unwrap();
    }
}
