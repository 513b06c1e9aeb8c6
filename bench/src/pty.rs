//! A bare pseudo terminal: what a port does without anything of ours.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// A pseudo terminal in raw mode.
pub struct PtyPair {
    /// The board's side.
    pub board: OwnedFd,
    /// The side that a program opens as its port.
    pub port: OwnedFd,
    /// The port's path.
    pub path: PathBuf,
}

impl PtyPair {
    /// A new one. Both sides block.
    pub fn open() -> io::Result<PtyPair> {
        let board = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&board)?;
        unlockpt(&board)?;
        let name = ptsname(&board, Vec::new())?;
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let noctty = OFlags::NOCTTY.bits() as i32;
        let port: OwnedFd =
            OpenOptions::new().read(true).write(true).custom_flags(noctty).open(&path)?.into();
        let mut termios = tcgetattr(&port)?;
        termios.make_raw();
        tcsetattr(&port, OptionalActions::Now, &termios)?;
        Ok(PtyPair { board, port, path })
    }
}

/// Writes all of `bytes`.
pub fn write_all(to: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads `total` bytes, and keeps none.
pub fn read_all(from: &OwnedFd, mut total: usize) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    while total > 0 {
        let most = total.min(buffer.len());
        match rustix::io::read(from, &mut buffer[..most]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => total -= read,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
