//! The chip's end of a serial line: a pty, requests read from it, answers written to it.
//!
//! Its SLIP is written from RFC 1055 and not shared with the code under test.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// A pty: its master and the path and an open descriptor of its other side. While that descriptor
/// is open, the master does not report a hang-up before a client has opened the port.
pub fn pty() -> (OwnedFd, PathBuf, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
    let held = File::options().read(true).write(true).open(&path).unwrap();
    let mut attributes = tcgetattr(&held).unwrap();
    attributes.make_raw();
    tcsetattr(&held, OptionalActions::Now, &attributes).unwrap();
    (master, path, held)
}

/// Waits up to 20 ms until the line can be read or written.
pub fn ready(line: &File, flags: PollFlags) -> bool {
    let mut fds = [PollFd::new(line, flags)];
    let slice = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    poll(&mut fds, Some(&slice)).unwrap() > 0
}

/// Sends `bytes` over and over until `stop`.
pub fn flood(line: &mut File, bytes: &[u8], stop: &AtomicBool) {
    let bytes = bytes.repeat(64);
    while !stop.load(Ordering::Relaxed) {
        if ready(line, PollFlags::OUT) {
            // A pty's master accepts what fits and blocks for the rest.
            let _ = line.write(&bytes);
        }
    }
}

/// Sends a frame.
pub fn send(line: &mut File, frame: &[u8]) {
    let mut bytes = vec![0xC0];
    for byte in frame {
        match byte {
            0xC0 => bytes.extend([0xDB, 0xDC]),
            0xDB => bytes.extend([0xDB, 0xDD]),
            other => bytes.push(*other),
        }
    }
    bytes.push(0xC0);
    line.write_all(&bytes).unwrap();
}

/// The requests in what a client sends.
#[derive(Default)]
pub struct Requests {
    frame: Vec<u8>,
    inside: bool,
    escaped: bool,
}

impl Requests {
    /// Processes a byte; returns the request that ends with it. Bytes outside of a frame are complaints.
    pub fn feed(&mut self, byte: u8, complaints: &mut Vec<String>) -> Option<Vec<u8>> {
        match (byte, std::mem::take(&mut self.escaped)) {
            (0xC0, _) if self.inside && !self.frame.is_empty() => {
                self.inside = false;
                return Some(std::mem::take(&mut self.frame));
            }
            (0xC0, _) => self.inside = true,
            (0xDB, false) => self.escaped = true,
            (0xDC, true) => self.frame.push(0xC0),
            (0xDD, true) => self.frame.push(0xDB),
            (other, true) => complaints.push(format!("escaped {other:#x}")),
            (other, false) if self.inside => self.frame.push(other),
            (other, false) => complaints.push(format!("stray {other:#x}")),
        }
        None
    }
}
