//! The reading side of a board's serial port.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use async_trait::async_trait;
use hilrig_core::board::{BoardFault, Console, ConsoleSink};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use crate::serial::rom_text::{QUIET, RomText, START};

/// Bytes that are read before the sink gets them. The kernel returns at most 4 KiB a read; a flood is
/// collected up to this, so that few lines are cut in two.
const BUFFER: usize = 64 * 1024;

const READING: &str = "reading the console";

/// The state that an open console shares with its board.
#[derive(Default)]
pub struct Listening {
    /// The ROM's text is expected, or read.
    rom: RefCell<Option<Rom>>,
    /// The console's wait has a new deadline.
    changed: Notify,
    bytes: Cell<u64>,
    came: Notify,
}

struct Rom {
    text: RomText,
    /// When it ends if nothing comes; none while the reset is not done.
    end: Option<Instant>,
}

impl Listening {
    /// The board is about to be reset, with its port at the ROM's rate.
    pub fn expect_rom(&self) {
        *self.rom.borrow_mut() = Some(Rom { text: RomText::default(), end: None });
        self.changed.notify_one();
    }

    /// The board was reset just now.
    pub fn was_reset(&self) {
        if let Some(rom) = &mut *self.rom.borrow_mut() {
            rom.end.get_or_insert(Instant::now() + START);
        }
        self.changed.notify_one();
    }

    /// Waits until a byte comes.
    pub async fn byte_came(&self) {
        let before = self.bytes.get();
        while self.bytes.get() == before {
            self.came.notified().await;
        }
    }

    /// Processes bytes that came at `at`. True when the ROM's text ends in them.
    fn take(&self, at: Instant, bytes: &[u8]) -> bool {
        self.bytes.set(self.bytes.get() + bytes.len() as u64);
        self.came.notify_one();
        let mut waiting = self.rom.borrow_mut();
        let Some(rom) = &mut *waiting else { return false };
        let over = rom.text.feed(bytes);
        if over {
            *waiting = None;
        } else if rom.text.has_started() {
            rom.end = Some(at + QUIET);
        }
        over
    }

    /// Waits until the ROM's text ends because nothing comes.
    async fn silence(&self) {
        loop {
            let end = self.rom.borrow().as_ref().and_then(|rom| rom.end);
            tokio::select! {
                () = self.changed.notified() => {}
                () = until(end) => break,
            }
        }
        *self.rom.borrow_mut() = None;
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end.into()).await,
        None => std::future::pending().await,
    }
}

/// A console on a descriptor of its own for the board's open port.
pub struct SerialConsole {
    fd: AsyncFd<OwnedFd>,
    port: PathBuf,
    buffer: Vec<u8>,
    /// The firmware's rate, baud.
    baud: u32,
    listening: Rc<Listening>,
}

impl SerialConsole {
    /// Reads `port`, which is open and does not block. After the ROM's text it is set to `baud`.
    pub fn open(
        port: BorrowedFd<'_>,
        path: PathBuf,
        baud: u32,
    ) -> Result<SerialConsole, BoardFault> {
        let cannot = |error: std::io::Error| {
            BoardFault::new(format!("opening the console on {}", path.display()), error)
        };
        let fd = rustix::io::fcntl_dupfd_cloexec(port, 0).map_err(|e| cannot(e.into()))?;
        // SAFETY: an OwnedFd is open and the same one for as long as it lives, and nothing here
        // takes it out of the AsyncFd.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }
            .map_err(|error| cannot(error.into()))?;
        let listening = Rc::default();
        Ok(SerialConsole { fd, port: path, buffer: vec![0; BUFFER], baud, listening })
    }

    /// The state that it shares with its board.
    pub fn listening(&self) -> &Rc<Listening> {
        &self.listening
    }

    fn to_firmware(&self) -> Result<(), BoardFault> {
        crate::serial::port::set_baud(self.fd.get_ref().as_fd(), &self.port, self.baud)
    }

    fn gone(&self, found: impl ToString) -> BoardFault {
        crate::serial::port::gone(&self.port, READING, found)
    }
}

#[async_trait(?Send)]
impl Console for SerialConsole {
    async fn read_into(&mut self, sink: &mut dyn ConsoleSink) -> BoardFault {
        loop {
            let ready = tokio::select! {
                // Bytes that can be read were sent before the silence.
                biased;
                ready = self.fd.readable() => ready,
                () = self.listening.silence() => match self.to_firmware() {
                    Ok(()) => continue,
                    Err(fault) => return fault,
                },
            };
            let mut ready = match ready {
                Ok(ready) => ready,
                Err(error) => return self.gone(error),
            };
            let (filled, state) = drain(ready.get_inner(), &mut self.buffer);
            if state == Err(Errno::AGAIN) {
                ready.clear_ready();
            }
            // No await is between the read and this, so no byte is lost.
            if filled > 0 {
                let now = Instant::now();
                sink.chunk(now, &self.buffer[..filled]);
                if self.listening.take(now, &self.buffer[..filled])
                    && let Err(fault) = self.to_firmware()
                {
                    return fault;
                }
            }
            match state {
                // There may be more. Others get their turn first: a board that floods the line must not
                // stop the rest of the bench.
                Ok(()) => tokio::task::yield_now().await,
                Err(Errno::AGAIN) => {}
                Err(Errno::PIPE) => return self.gone("end of file"),
                Err(error) => return self.gone(error),
            }
        }
    }
}

/// Reads until the buffer is full or nothing is left. End of file is reported as `PIPE`.
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
        let mut console = SerialConsole::open(port.as_fd(), "test".into(), 115_200).unwrap();
        let now = Cell::new(0);
        let mut turns = Turns { now: &now, at_chunks: Vec::new() };
        let others = async {
            loop {
                now.set(now.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            // In this order, so that the others get a turn between two of the reader.
            biased;
            fault = console.read_into(&mut turns) => assert!(fault.found.contains("gone")),
            () = others => unreachable!("never ends"),
        }
        assert!(turns.at_chunks.len() > 2, "{:?}", turns.at_chunks);
        assert!(turns.at_chunks.windows(2).all(|w| w[0] < w[1]), "{:?}", turns.at_chunks);
    }
}
