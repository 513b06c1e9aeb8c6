//! A serial port with a ROM loader at its other end: requests out, answers in, each wait with a
//! deadline, and the words of what went wrong.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hilrig_core::board::BoardFault;
use hilrig_core::slip;
use hilrig_core::text::printable;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serialport::{ClearBuffer, SerialPort, TTYPort};

use crate::esp::replies::{Malformed, Replies, Reply};
use crate::serial::port;

pub const FLASH_BEGIN: u8 = 0x02;
pub const FLASH_DATA: u8 = 0x03;
pub const SYNC: u8 = 0x08;
pub const CHANGE_BAUDRATE: u8 = 0x0F;
pub const FLASH_MD5: u8 = 0x13;

/// The ROM answers a SYNC this many times, everything else once.
pub const SYNC_REPLIES: usize = 8;
/// How late a stop may be seen.
pub const SLICE: Duration = Duration::from_millis(50);
/// For the port to take a block: 1 KiB at 9600 baud is 1.1 s.
const TAKING_BYTES: Duration = Duration::from_secs(3);
/// Bytes from the board that are kept for messages.
const HEARD: usize = 256;

/// The port. A session ends at the next wait once `stop` is set.
pub struct LoaderPort<'a> {
    port: &'a mut TTYPort,
    path: &'a Path,
    stop: &'a AtomicBool,
    replies: Replies,
    /// The command that was sent last.
    command: Option<u8>,
    /// What came since then, or since the first of some SYNCs, that is no answer to it.
    malformed: usize,
    others: usize,
    heard: Vec<u8>,
}

impl<'a> LoaderPort<'a> {
    /// On an open port that does not block.
    pub fn new(port: &'a mut TTYPort, path: &'a Path, stop: &'a AtomicBool) -> LoaderPort<'a> {
        LoaderPort {
            port,
            path,
            stop,
            replies: Replies::default(),
            command: None,
            malformed: 0,
            others: 0,
            heard: Vec::new(),
        }
    }

    /// The port's descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        port::fd(self.port)
    }

    /// Changes the port's rate.
    pub fn set_baud(&self, baud: u32) -> Result<(), BoardFault> {
        port::set_baud(self.fd(), self.path, baud)
    }

    /// An error once the run was stopped.
    pub fn stopped(&self) -> Result<(), BoardFault> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(BoardFault::new(self.tried(), "the run was stopped")),
            false => Ok(()),
        }
    }

    /// Sends a request. What the port holds is dropped: it cannot be an answer to this.
    pub fn send(&mut self, frame: &[u8]) -> Result<(), BoardFault> {
        let command = frame.get(1).copied();
        // A board that answers no SYNC is described by what it sends over all of them.
        if command != Some(SYNC) || self.command != command {
            self.answered();
        }
        self.command = command;
        self.replies.clear();
        self.port.clear(ClearBuffer::Input).map_err(|_| self.gone())?;
        let mut bytes = Vec::with_capacity(frame.len() + 64);
        slip::encode(frame, &mut bytes);
        self.write(&bytes)
    }

    fn write(&self, mut bytes: &[u8]) -> Result<(), BoardFault> {
        let until = Instant::now() + TAKING_BYTES;
        while !bytes.is_empty() {
            match rustix::io::write(self.fd(), bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.stopped()?;
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(BoardFault::new(self.tried(), "the port takes no bytes")
                            .help("Unplug the adapter and plug it in again."));
                    }
                    self.poll(PollFlags::OUT, left.min(SLICE));
                }
                Err(_) => return Err(self.gone()),
            }
        }
        Ok(())
    }

    /// Waits for bytes; false when none came until `end`.
    pub fn wait(&self, end: Instant) -> Result<bool, BoardFault> {
        loop {
            self.stopped()?;
            let left = end.saturating_duration_since(Instant::now());
            if !self.poll(PollFlags::IN, left.min(SLICE)).is_empty() {
                // Bytes without end must not outlast the deadline either.
                return Ok(!left.is_zero());
            }
            if left.is_zero() {
                return Ok(false);
            }
        }
    }

    fn poll(&self, flags: PollFlags, time: Duration) -> PollFlags {
        let mut fds = [PollFd::from_borrowed_fd(self.fd(), flags)];
        let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
        // Interrupted is as good as nothing yet: the callers look again.
        let _ = poll(&mut fds, Some(&time));
        fds[0].revents()
    }

    /// Reads what the port has; nothing is fine. Only when [`LoaderPort::reply`] has nothing more.
    pub fn read(&mut self) -> Result<(), BoardFault> {
        let mut bytes = [0; 4096];
        let read = match rustix::io::read(self.fd(), &mut bytes) {
            Ok(read) if read > 0 => &bytes[..read],
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            _ => return Err(self.gone()),
        };
        let room = HEARD.saturating_sub(self.heard.len());
        self.heard.extend_from_slice(&read[..room.min(read.len())]);
        self.replies.feed(read);
        Ok(())
    }

    /// The next well-formed answer in what was read, to whatever command.
    pub fn reply(&mut self) -> Option<Reply> {
        loop {
            match self.replies.next()? {
                Ok(reply) => return Some(reply),
                Err(Malformed) => self.malformed += 1,
            }
        }
    }

    /// The last reply was malformed in another way.
    pub fn malformed(&mut self) {
        self.malformed += 1;
    }

    /// The last reply was to another command.
    pub fn stray(&mut self) {
        self.others += 1;
    }

    /// The last reply was the answer: what came before it is of no interest.
    pub fn answered(&mut self) {
        (self.malformed, self.others) = (0, 0);
        self.heard.clear();
    }

    /// What was tried last, for messages.
    pub fn tried(&self) -> String {
        let what = match self.command {
            Some(FLASH_BEGIN) => "FLASH_BEGIN (erasing) with",
            Some(FLASH_DATA) => "FLASH_DATA (writing) with",
            Some(SYNC) => "SYNC with",
            Some(0x09) => "WRITE_REG to",
            Some(0x0A) => "READ_REG from",
            Some(0x0B) => "SPI_SET_PARAMS with",
            Some(0x0D) => "SPI_ATTACH with",
            Some(CHANGE_BAUDRATE) => "CHANGE_BAUDRATE with",
            Some(FLASH_MD5) => "SPI_FLASH_MD5 (verifying) with",
            Some(0x14) => "GET_SECURITY_INFO from",
            _ => "talking to",
        };
        format!("{what} the loader on {}", self.path.display())
    }

    /// No answer came until the deadline. `buttons` is the advice where not even a SYNC was answered.
    pub fn late(&self, deadline: Duration, buttons: &str) -> BoardFault {
        let is_sync = self.command == Some(SYNC);
        let instead = match (self.malformed, self.others) {
            (0, 0) => String::new(),
            (malformed, 0) => format!("; instead {malformed} malformed replies came"),
            (0, others) => format!("; instead {others} replies to other commands came"),
            (malformed, others) => format!(
                "; instead {malformed} malformed replies and {others} to other commands came"
            ),
        };
        let heard = match self.heard.as_slice() {
            [] => String::new(),
            heard => format!("; the board sends `{}`", printable(heard)),
        };
        let silent = is_sync && instead.is_empty() && heard.is_empty();
        let found = format!("no answer within {:.1} s{instead}{heard}", deadline.as_secs_f64());
        let fault = BoardFault::new(self.tried(), found).help(match is_sync {
            true => buttons,
            false => "Check the cable and the supply; a lower `flash_baud` helps on a bad line.",
        });
        if silent { fault.silent() } else { fault }
    }

    fn gone(&self) -> BoardFault {
        let writing = self.command == Some(FLASH_DATA);
        let what = if writing { "writing the flash" } else { "flashing" };
        port::gone(self.path, what, "hang-up")
    }
}
