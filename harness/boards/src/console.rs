//! The reading side of a board's serial port.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Instant;

use async_trait::async_trait;
use hilrig_core::board::{BoardFault, Console, ConsoleSink};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Bytes that are read before the sink gets them. The kernel hands out at most 4 KiB a read; a
/// flood is gathered up to this, so that lines are seldom cut in two.
const BUFFER: usize = 64 * 1024;

const READING: &str = "reading the console";

/// A console on a descriptor of its own for the board's open port.
pub struct SerialConsole {
    fd: AsyncFd<OwnedFd>,
    port: PathBuf,
    buffer: Vec<u8>,
}

impl SerialConsole {
    /// Reads `port`, which is open and does not block.
    pub fn open(port: BorrowedFd<'_>, path: PathBuf) -> Result<SerialConsole, BoardFault> {
        let cannot = |error: std::io::Error| {
            BoardFault::new(format!("opening the console on {}", path.display()), error)
        };
        let fd = rustix::io::fcntl_dupfd_cloexec(port, 0).map_err(|e| cannot(e.into()))?;
        // SAFETY: an OwnedFd is open and the same one for as long as it lives, and nothing here
        // takes it out of the AsyncFd.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }
            .map_err(|error| cannot(error.into()))?;
        Ok(SerialConsole { fd, port: path, buffer: vec![0; BUFFER] })
    }

    fn gone(&self, found: impl ToString) -> BoardFault {
        crate::port::gone(&self.port, READING, found)
    }
}

#[async_trait(?Send)]
impl Console for SerialConsole {
    async fn read_into(&mut self, sink: &mut dyn ConsoleSink) -> BoardFault {
        loop {
            let mut ready = match self.fd.readable().await {
                Ok(ready) => ready,
                Err(error) => return self.gone(error),
            };
            let (filled, state) = drain(ready.get_inner(), &mut self.buffer);
            if state == Err(Errno::AGAIN) {
                ready.clear_ready();
            }
            // No await stands between reading and this: what was read is in the sink.
            if filled > 0 {
                sink.chunk(Instant::now(), &self.buffer[..filled]);
            }
            match state {
                // More may be there. Others get their turn first: a board that floods the line
                // must not stop the rest of the bench.
                Ok(()) => tokio::task::yield_now().await,
                Err(Errno::AGAIN) => {}
                Err(Errno::PIPE) => return self.gone("end of file"),
                Err(error) => return self.gone(error),
            }
        }
    }
}

/// Reads until the buffer is full or nothing is left. End of file is told as `PIPE`.
fn drain(fd: &OwnedFd, buffer: &mut [u8]) -> (usize, Result<(), Errno>) {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::read(fd, &mut buffer[filled..]) {
            Ok(0) => return (filled, Err(Errno::PIPE)),
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(error) => return (filled, Err(error)),
        }
    }
    (filled, Ok(()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    struct Turns<'a> {
        now: &'a Cell<u32>,
        at_chunks: Vec<u32>,
    }

    impl ConsoleSink for Turns<'_> {
        fn chunk(&mut self, _: Instant, bytes: &[u8]) {
            assert!(!bytes.is_empty());
            self.at_chunks.push(self.now.get());
        }
    }

    #[tokio::test]
    async fn others_get_their_turn_while_there_is_always_more_to_read() {
        let (mut board, port) = UnixStream::pair().unwrap();
        for end in [&board, &port] {
            end.set_nonblocking(true).unwrap();
        }
        let mut written = 0;
        while let Ok(more) = board.write(&[b'x'; 8192]) {
            written += more;
        }
        assert!(written > 2 * BUFFER, "{written} bytes make three chunks");
        drop(board);
        let mut console = SerialConsole::open(port.as_fd(), "test".into()).unwrap();
        let now = Cell::new(0);
        let mut turns = Turns { now: &now, at_chunks: Vec::new() };
        let others = async {
            loop {
                now.set(now.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            // In this order, so that a turn of the others stands between two of the reader.
            biased;
            fault = console.read_into(&mut turns) => assert!(fault.found.contains("gone")),
            () = others => unreachable!("never ends"),
        }
        assert!(turns.at_chunks.len() > 2, "{:?}", turns.at_chunks);
        assert!(turns.at_chunks.windows(2).all(|w| w[0] < w[1]), "{:?}", turns.at_chunks);
    }
}
