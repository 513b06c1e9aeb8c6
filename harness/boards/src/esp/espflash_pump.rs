//! What stands between espflash's own flasher and a board's port.
//!
//! espflash owns the port that it is given, waits as long as it sees fit, cannot be stopped, and
//! trusts the board: a length that lies makes it panic, an answer may grow to 2 GiB, and a late
//! answer to one question is taken for the answer to the next. So it gets a pty, and this carries
//! its requests to the board and back the answers that are some: framed, of an honest length, to
//! the command that was sent, and as many as that has. Each request has a deadline, and the port
//! stays with the rig however espflash ends.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hilrig_core::board::BoardFault;
use hilrig_core::text::printable;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serialport::{ClearBuffer, SerialPort, TTYPort};

use crate::esp::esp8266_loader::Deadlines;
use crate::esp::replies::Replies;

const END: u8 = 0xC0;
const ESC: u8 = 0xDB;
/// Direction, command, length, value: what stands before an answer's data.
const HEAD: usize = 8;
const SYNC: u8 = 0x08;
const FLASH_BEGIN: u8 = 0x02;
const FLASH_DATA: u8 = 0x03;
const FLASH_MD5: u8 = 0x13;
const CHANGE_BAUDRATE: u8 = 0x0F;

/// The ROM answers a SYNC this many times, everything else once.
const SYNC_REPLIES: u32 = 8;
/// How late a stop may be seen.
const SLICE: Duration = Duration::from_millis(50);
/// espflash's longest request is a block of 1 KiB, each byte escaped.
const LONGEST_REQUEST: usize = 4096;
/// What is kept of what the board says, to be shown.
const HEARD: usize = 256;
/// For the ROM's MD5 of 1 MiB: 8 s/MB, as esptool allows it.
const MD5: f64 = 8.4;

const BUTTONS: &str = "Is the board powered and its serial lines connected? Without reset wiring, hold BOOT \
    (GPIO0, GPIO9 on RISC-V chips), press RST, release both, and start again.";
const LINE: &str = "Look at the cable and the supply; a lower `flash_baud` helps on a bad line.";

/// A pty for espflash: the end that stays here and the port that it gets. Neither is handed on to
/// child processes, so that each end sees the other close.
pub fn pty(baud: u32) -> Result<(OwnedFd, TTYPort), BoardFault> {
    let cannot = |found: String| BoardFault::new("making a pty for the flasher", found);
    let near = (|| {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&near)?;
        unlockpt(&near)?;
        let name = ptsname(&near, Vec::new())?;
        Ok((near, name))
    })();
    let (near, name) = near.map_err(|error: Errno| cannot(error.to_string()))?;
    let far = TTYPort::open(&serialport::new(name.to_string_lossy(), baud))
        .map_err(|error| cannot(error.to_string()))?;
    Ok((near, far))
}

/// A request that was sent.
struct Request {
    command: u8,
    deadline: Duration,
    until: Instant,
    /// Answers that espflash still gets.
    left: u32,
    answered: bool,
}

/// The relay on an open port.
pub struct Relay<'a> {
    port: &'a mut TTYPort,
    path: &'a Path,
    deadlines: Deadlines,
    baud: u32,
    stop: &'a AtomicBool,
    request: Option<Request>,
    replies: Replies,
    heard: Vec<u8>,
    malformed: usize,
    others: usize,
}

impl<'a> Relay<'a> {
    /// A relay for `port`, which stays the caller's and is set to `baud` once the loader has
    /// changed its own rate.
    pub fn new(
        port: &'a mut TTYPort,
        path: &'a Path,
        deadlines: Deadlines,
        baud: u32,
        stop: &'a AtomicBool,
    ) -> Relay<'a> {
        Relay {
            port,
            path,
            deadlines,
            baud,
            stop,
            request: None,
            replies: Replies::default(),
            heard: Vec::new(),
            malformed: 0,
            others: 0,
        }
    }

    /// Carries until espflash closes its end.
    ///
    /// # Errors
    /// The run was stopped, the port is gone, or the board did not answer in time. espflash sees
    /// its port hang up as soon as `near` is dropped.
    pub fn carry(&mut self, near: OwnedFd) -> Result<(), BoardFault> {
        let mut near = File::from(near);
        let mut request = Vec::new();
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(BoardFault::new(self.tried(), "the run was stopped"));
            }
            let now = Instant::now();
            let mut time = SLICE;
            if let Some(waiting) = self.request.as_ref().filter(|request| !request.answered) {
                if now >= waiting.until {
                    return Err(self.late(waiting.deadline));
                }
                time = time.min(waiting.until - now);
            }
            let (asks, says) = {
                let mut fds = [
                    PollFd::new(&near, PollFlags::IN),
                    PollFd::from_borrowed_fd(crate::serial::port::fd(self.port), PollFlags::IN),
                ];
                let time = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
                // Interrupted is as good as nothing yet.
                let _ = poll(&mut fds, Some(&time));
                (fds[0].revents(), fds[1].revents())
            };
            // A request first: what the board sent before it is no answer to it.
            if !asks.is_empty() {
                let mut bytes = [0; LONGEST_REQUEST];
                match rustix::io::read(&near, &mut bytes) {
                    Ok(0) | Err(Errno::IO) => return Ok(()),
                    Ok(read) => self.ask(&mut request, &bytes[..read])?,
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(error) => return Err(BoardFault::new(self.tried(), error)),
                }
            } else if !says.is_empty() {
                self.answer(&mut near)?;
            }
        }
    }

    /// Takes a part of a request, and sends it to the board once it is whole.
    fn ask(&mut self, request: &mut Vec<u8>, part: &[u8]) -> Result<(), BoardFault> {
        request.extend_from_slice(part);
        let whole = request.len() > 1 && request.ends_with(&[END]);
        if !whole {
            return match request.len() <= 2 * LONGEST_REQUEST {
                true => Ok(()),
                false => Err(BoardFault::new(self.tried(), "espflash's request has no end")),
            };
        }
        let bytes = std::mem::take(request);
        self.begin(&unescaped(&bytes));
        // What came before is no answer to this; how a board sounds is kept to be told.
        self.replies.clear();
        let sent = self.port.clear(ClearBuffer::Input).map_err(|_| self.gone());
        sent.and_then(|()| self.send(&bytes))
    }

    /// Notes what is asked and how long its answer may take.
    fn begin(&mut self, frame: &[u8]) {
        let word = |at: usize| {
            let four = frame.get(at..at + 4).and_then(|four| four.try_into().ok());
            u32::from_le_bytes(four.unwrap_or_default())
        };
        let command = frame.get(1).copied().unwrap_or_default();
        let mib = |bytes: u32| f64::from(bytes) / (1024.0 * 1024.0);
        let deadline = match command {
            SYNC => self.deadlines.sync,
            FLASH_BEGIN => self.deadlines.erase.mul_f64(mib(word(8))) + self.deadlines.block,
            FLASH_MD5 => Duration::from_secs_f64(MD5 * mib(word(12))) + self.deadlines.block,
            FLASH_DATA => self.deadlines.block,
            _ => self.deadlines.register,
        };
        // SYNC is sent again and again: all attempts together have its deadline.
        let again = self.request.as_ref().filter(|last| command == SYNC && last.command == SYNC);
        let until = match again {
            Some(first) if !first.answered => first.until,
            _ => Instant::now() + deadline,
        };
        if again.is_none() {
            (self.malformed, self.others) = (0, 0);
            self.heard.clear();
        }
        let left = if command == SYNC { SYNC_REPLIES } else { 1 };
        self.request = Some(Request { command, deadline, until, left, answered: false });
    }

    fn send(&mut self, mut bytes: &[u8]) -> Result<(), BoardFault> {
        /// For the port to take a block: 1 KiB at 9600 baud is 1.1 s.
        const TAKING_BYTES: Duration = Duration::from_secs(3);
        let until = Instant::now() + TAKING_BYTES;
        while !bytes.is_empty() {
            match rustix::io::write(crate::serial::port::fd(self.port), bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() || self.stop.load(Ordering::Relaxed) {
                        let found = match left.is_zero() {
                            true => "the port takes no bytes",
                            false => "the run was stopped",
                        };
                        return Err(BoardFault::new(self.tried(), found)
                            .help("Unplug the adapter and plug it in again."));
                    }
                    let port = crate::serial::port::fd(self.port);
                    let mut fds = [PollFd::from_borrowed_fd(port, PollFlags::OUT)];
                    let time = left.min(SLICE);
                    let time = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
                    let _ = poll(&mut fds, Some(&time));
                }
                Err(_) => return Err(self.gone()),
            }
        }
        Ok(())
    }

    /// Takes what the board says, and hands espflash the answers in it.
    fn answer(&mut self, near: &mut File) -> Result<(), BoardFault> {
        let mut bytes = [0; 4096];
        let read = match rustix::io::read(crate::serial::port::fd(self.port), &mut bytes) {
            Ok(read) if read > 0 => &bytes[..read],
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            _ => return Err(self.gone()),
        };
        let room = HEARD.saturating_sub(self.heard.len());
        self.heard.extend_from_slice(&read[..room.min(read.len())]);
        self.replies.feed(read);
        while let Some(reply) = self.replies.next() {
            let Ok(reply) = reply else {
                self.malformed += 1;
                continue;
            };
            let length = usize::from(u16::from_le_bytes([reply.bytes[2], reply.bytes[3]]));
            if length != reply.bytes.len() - HEAD {
                self.malformed += 1;
                continue;
            }
            let Some(request) = &mut self.request else { continue };
            if request.command != reply.command || request.left == 0 {
                self.others += 1;
                continue;
            }
            request.left -= 1;
            request.answered = true;
            // The answer still came at the old rate.
            if reply.command == CHANGE_BAUDRATE && accepted(&reply.bytes) {
                let baud = self.baud;
                crate::serial::port::set_baud(crate::serial::port::fd(self.port), self.path, baud)?;
            }
            // A pty holds far more than the answers to one request.
            near.write_all(&escaped(&reply.bytes))
                .map_err(|error| BoardFault::new(self.tried(), error))?;
        }
        Ok(())
    }

    fn late(&self, deadline: Duration) -> BoardFault {
        let sync = self.request.as_ref().is_some_and(|request| request.command == SYNC);
        let instead = match (self.malformed, self.others) {
            (0, 0) => String::new(),
            (malformed, others) => {
                format!(
                    "; instead {malformed} malformed replies and {others} to other commands came"
                )
            }
        };
        let heard = match self.heard.as_slice() {
            [] => String::new(),
            heard => format!("; the board sends `{}`", printable(heard)),
        };
        let silent = sync && instead.is_empty() && heard.is_empty();
        let fault = BoardFault::new(
            self.tried(),
            format!("no answer within {:.1} s{instead}{heard}", deadline.as_secs_f64()),
        )
        .help(if sync { BUTTONS } else { LINE });
        if silent { fault.silent() } else { fault }
    }

    /// What was tried last, for messages.
    pub fn tried(&self) -> String {
        let what = match self.request.as_ref().map(|request| request.command) {
            Some(SYNC) => "SYNC with",
            Some(0x09) => "WRITE_REG to",
            Some(0x0A) => "READ_REG from",
            Some(0x0B) => "SPI_SET_PARAMS with",
            Some(0x0D) => "SPI_ATTACH with",
            Some(0x14) => "GET_SECURITY_INFO from",
            Some(FLASH_BEGIN) => "FLASH_BEGIN (erasing) with",
            Some(FLASH_DATA) => "FLASH_DATA (writing) with",
            Some(FLASH_MD5) => "SPI_FLASH_MD5 (verifying) with",
            Some(CHANGE_BAUDRATE) => "CHANGE_BAUDRATE with",
            _ => "talking to",
        };
        format!("{what} the loader on {}", self.path.display())
    }

    fn gone(&self) -> BoardFault {
        let writing = self.request.as_ref().is_some_and(|request| request.command == FLASH_DATA);
        let what = if writing { "writing the flash" } else { "flashing" };
        crate::serial::port::gone(self.path, what, "hang-up")
    }
}

/// Whether an answer says that the command was carried out; its status stands before the ROM's
/// other three status bytes.
fn accepted(reply: &[u8]) -> bool {
    reply.get(reply.len().saturating_sub(4)) == Some(&0)
}

/// SLIP (RFC 1055), as the loader's protocol uses it: with a border on both sides.
fn escaped(frame: &[u8]) -> Vec<u8> {
    let mut bytes = vec![END];
    for byte in frame {
        match *byte {
            END => bytes.extend([ESC, 0xDC]),
            ESC => bytes.extend([ESC, 0xDD]),
            byte => bytes.push(byte),
        }
    }
    bytes.push(END);
    bytes
}

/// The frame in what espflash sent.
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter().filter(|byte| **byte != END);
    while let Some(byte) = bytes.next() {
        match *byte {
            ESC => frame.push(if bytes.next() == Some(&0xDC) { END } else { ESC }),
            byte => frame.push(byte),
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_frame_is_the_same_after_its_way(frame: Vec<u8>) {
            prop_assert_eq!(unescaped(&escaped(&frame)), frame);
        }
    }
}
