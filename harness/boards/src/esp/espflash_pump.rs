//! The pump between espflash's own flasher and a board's port.
//!
//! espflash 4.7 owns the port that it is given, has deadlines of its own, cannot be stopped, and trusts
//! the board: it slices an answer by the length that the answer claims, which panics where that
//! lies; it reads an answer up to 2 GiB; and it accepts a late answer to an earlier question. So it gets
//! a pty. The pump passes its requests on to the board, and passes back answers only: framed, of an
//! honest length, to the command that was sent, and as many as that has. Each request has a deadline,
//! and the port stays with the rig however espflash ends.

use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use hilrig_core::board::BoardFault;
use hilrig_core::slip::{self, FrameDecoder};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serialport::TTYPort;

use crate::esp::deadlines::LoaderDeadlines;
use crate::esp::loader_port::{
    CHANGE_BAUDRATE, FLASH_BEGIN, FLASH_DATA, FLASH_MD5, LoaderPort, SLICE, SYNC, SYNC_REPLIES,
};
use crate::esp::replies::Reply;

const BUTTONS: &str = "Is the board powered and its serial lines connected? Without reset wiring, hold BOOT \
    (GPIO0, GPIO9 on RISC-V chips), press RST, release both, and start again.";

/// A pty for espflash: the end that stays here and the port that it gets. Neither is inherited by
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
    left: usize,
    answered: bool,
}

/// The pump on an open port.
pub struct Pump<'a> {
    line: LoaderPort<'a>,
    deadlines: LoaderDeadlines,
    baud: u32,
    request: Option<Request>,
}

impl<'a> Pump<'a> {
    /// A pump for `port`, which stays the caller's and is set to `baud` once the loader has
    /// changed its own rate.
    pub fn new(
        port: &'a mut TTYPort,
        path: &'a Path,
        deadlines: LoaderDeadlines,
        baud: u32,
        stop: &'a AtomicBool,
    ) -> Pump<'a> {
        Pump { line: LoaderPort::new(port, path, stop), deadlines, baud, request: None }
    }

    /// Runs until espflash closes its end.
    ///
    /// # Errors
    /// The run was stopped, the port is gone, or the board did not answer in time. espflash sees
    /// its port hang up as soon as `near` is dropped.
    pub fn run(&mut self, near: OwnedFd) -> Result<(), BoardFault> {
        let mut near = File::from(near);
        let mut frames = FrameDecoder::default();
        loop {
            self.line.stopped()?;
            let mut time = SLICE;
            if let Some(waiting) = self.request.as_ref().filter(|request| !request.answered) {
                let left = waiting.until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(self.line.late(waiting.deadline, BUTTONS));
                }
                time = time.min(left);
            }
            let (asks, answers) = {
                let mut fds = [
                    PollFd::new(&near, PollFlags::IN),
                    PollFd::from_borrowed_fd(self.line.fd(), PollFlags::IN),
                ];
                let time = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
                // Interrupted is as good as nothing yet.
                let _ = poll(&mut fds, Some(&time));
                (fds[0].revents(), fds[1].revents())
            };
            // A request first: what the board sent before it is no answer to it.
            if !asks.is_empty() {
                let mut bytes = [0; 4096];
                let read = match rustix::io::read(&near, &mut bytes) {
                    Ok(0) | Err(Errno::IO) => return Ok(()),
                    Ok(read) => read,
                    Err(Errno::AGAIN | Errno::INTR) => continue,
                    Err(error) => return Err(BoardFault::new(self.tried(), error)),
                };
                let failed =
                    frames.feed(&bytes[..read], |frame| match frame.map(|f| self.ask(f)) {
                        Ok(Err(fault)) => ControlFlow::Break(fault),
                        Ok(Ok(())) | Err(slip::Spoilt) => ControlFlow::Continue(()),
                    });
                failed.map_or(Ok(()), Err)?;
            } else if !answers.is_empty() {
                self.line.read()?;
                while let Some(reply) = self.line.reply() {
                    self.answer(&reply, &mut near)?;
                }
            }
        }
    }

    /// Sends a request to the board, and notes how long its answer may take.
    fn ask(&mut self, frame: &[u8]) -> Result<(), BoardFault> {
        let word = |at: usize| {
            let four = frame.get(at..at + 4).and_then(|four| four.try_into().ok());
            u32::from_le_bytes(four.unwrap_or_default())
        };
        let command = frame.get(1).copied().unwrap_or_default();
        let deadline = match command {
            SYNC => self.deadlines.sync,
            FLASH_BEGIN => self.deadlines.erasing(word(8)),
            FLASH_MD5 => self.deadlines.digest(word(12)),
            FLASH_DATA => self.deadlines.block,
            _ => self.deadlines.register,
        };
        // SYNC is sent again and again: all attempts together have its deadline.
        let until = match &self.request {
            Some(first) if command == SYNC && first.command == SYNC && !first.answered => {
                first.until
            }
            _ => Instant::now() + deadline,
        };
        let left = if command == SYNC { SYNC_REPLIES } else { 1 };
        self.request = Some(Request { command, deadline, until, left, answered: false });
        self.line.send(frame)
    }

    /// Passes a reply on if it is an answer that espflash waits for.
    fn answer(&mut self, reply: &Reply, near: &mut File) -> Result<(), BoardFault> {
        if !reply.is_honest() {
            self.line.malformed();
            return Ok(());
        }
        let Some(request) = &mut self.request else { return Ok(()) };
        if request.command != reply.command || request.left == 0 {
            self.line.stray();
            return Ok(());
        }
        request.left -= 1;
        request.answered = true;
        self.line.answered();
        // The answer still came at the old rate. Its status is before the ROM's other three status bytes.
        let status = reply.bytes.get(reply.bytes.len().saturating_sub(4));
        if reply.command == CHANGE_BAUDRATE && status == Some(&0) {
            self.line.set_baud(self.baud)?;
        }
        let mut bytes = Vec::new();
        slip::encode(&reply.bytes, &mut bytes);
        // A pty holds far more than the answers to one request.
        near.write_all(&bytes).map_err(|error| BoardFault::new(self.tried(), error))
    }

    /// What was tried last, for messages.
    pub fn tried(&self) -> String {
        self.line.tried()
    }
}
