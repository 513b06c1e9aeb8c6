//! The serial port: a pseudo terminal whose master side is the board.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::inotify;
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, ioctl_tiocnxcl, tcgetattr, tcsetattr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::error::VirtualError;

/// The pseudo terminal, with its client's side (the port) in raw mode.
#[derive(Debug)]
pub struct BoardPty {
    master: AsyncFd<OwnedFd>,
    /// Stays open, so that the master gets no hang-up when a client closes the port, and bytes are kept
    /// while no client has it open.
    slave: OwnedFd,
    /// Watches for clients that close the port, if the system has a watch left.
    closes: Option<AsyncFd<OwnedFd>>,
    path: PathBuf,
}

impl BoardPty {
    /// A new one. Needs a tokio runtime.
    pub fn open() -> Result<BoardPty, VirtualError> {
        make().map_err(VirtualError::io("making a pseudo terminal"))
    }

    /// The port's path, for serial tools.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The rate that the port's client has set, baud.
    pub fn baud(&self) -> u32 {
        tcgetattr(&self.slave).map_or(0, |termios| termios.output_speed())
    }

    /// Waits until there may be a client's bytes.
    pub async fn readable(&self) -> io::Result<()> {
        self.master.readable().await?.retain_ready();
        Ok(())
    }

    /// Waits until the port may accept bytes.
    pub async fn writable(&self) -> io::Result<()> {
        self.master.writable().await?.retain_ready();
        Ok(())
    }

    /// Reads a client's bytes; `WouldBlock` when there are none.
    pub fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut got = 0;
        let result = self.master.try_io(Interest::READABLE, |fd| {
            got = rustix::io::read(fd, &mut *into)?;
            // A short read: nothing is left, and the next bytes make the port readable again. This saves
            // a read without result.
            if got < into.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match result {
            Err(error) if got == 0 => Err(error),
            _ => Ok(got),
        }
    }

    /// Writes bytes to the port; `WouldBlock` when it is full because no client reads.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.master.try_io(Interest::WRITABLE, |fd| Ok(rustix::io::write(fd, bytes)?))
    }

    /// Waits until a client has closed the port, and ends its exclusive use (TIOCEXCL). A serial port does
    /// that at its last close. This one has no last close, and only root could open it again.
    pub async fn forget_closed_client(&self) -> io::Result<()> {
        let Some(closes) = &self.closes else { return std::future::pending().await };
        closes.readable().await?.retain_ready();
        let mut events = [MaybeUninit::uninit(); 1024];
        let _ = closes.try_io(Interest::READABLE, |fd| {
            while rustix::io::read(fd, &mut events)?.0.len() == events.len() {}
            Err::<(), _>(io::ErrorKind::WouldBlock.into())
        });
        Ok(ioctl_tiocnxcl(&self.slave)?)
    }
}

fn make() -> io::Result<BoardPty> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags)?;
    rustix::pty::grantpt(&master)?;
    rustix::pty::unlockpt(&master)?;
    let path = PathBuf::from(
        rustix::pty::ptsname(&master, Vec::new())?.into_string().map_err(io::Error::other)?,
    );
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
    let mut termios = tcgetattr(&slave)?;
    termios.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &termios)?;
    rustix::io::ioctl_fionbio(&master, true)?;
    let closes = watch_closes(&path)
        .inspect_err(|error| tracing::warn!(%error, "cannot end the exclusive use of the port"))
        .ok();
    Ok(BoardPty {
        master: watched(master, Interest::READABLE | Interest::WRITABLE)?,
        slave,
        closes,
        path,
    })
}

fn watch_closes(path: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let closes = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(&closes, path, inotify::WatchFlags::CLOSE)?;
    watched(closes, Interest::READABLE)
}

fn watched(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and stays the same descriptor until it is dropped, which is when
    // the `AsyncFd` is.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}
