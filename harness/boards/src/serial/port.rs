//! Opening a serial port, and the reasons why that fails.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use hilrig_core::board::BoardFault;
use rustix::fs::OFlags;
use rustix::termios::OptionalActions;
use serialport::TTYPort;

use crate::identity::access;

/// Opens `path` raw, 8N1, for this process only (TIOCEXCL and flock). Earlier output of the board stays in
/// the port's buffer. The descriptor does not block, so that each read and write has a deadline.
pub fn open(path: &Path, baud: u32) -> Result<TTYPort, BoardFault> {
    let name = path.to_string_lossy();
    let port = TTYPort::open(&serialport::new(name, baud).exclusive(true))
        .map_err(|error| cannot_open(path, &error))?;
    set_nonblocking(&port).map_err(|error| {
        BoardFault::new(format!("setting up the port {}", path.display()), error)
    })?;
    Ok(port)
}

/// Whether there is such a port at all.
pub fn is_there(path: &Path) -> Result<(), BoardFault> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing(path)),
        // Other problems show when it is opened.
        _ => Ok(()),
    }
}

fn missing(path: &Path) -> BoardFault {
    BoardFault::new(format!("opening the port {}", path.display()), "there is no such file")
        .help("Check the board's cable; `hilrig boards` lists what is attached.")
        .silent()
}

fn set_nonblocking(port: &TTYPort) -> rustix::io::Result<()> {
    let fd = fd(port);
    rustix::fs::fcntl_setfl(fd, rustix::fs::fcntl_getfl(fd)? | OFlags::NONBLOCK)
}

/// The port's descriptor.
pub fn fd(port: &TTYPort) -> BorrowedFd<'_> {
    use std::os::fd::AsRawFd;
    // SAFETY: a TTYPort owns its descriptor until it is dropped, and the borrow ends before that.
    unsafe { BorrowedFd::borrow_raw(port.as_raw_fd()) }
}

/// VID and PID of the USB device that an open port belongs to, by sysfs.
pub fn usb_id(port: BorrowedFd<'_>) -> Option<(u16, u16)> {
    let device = rustix::fs::fstat(port).ok()?.st_rdev;
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let node =
        PathBuf::from(format!("/sys/dev/char/{major}:{minor}/device")).canonicalize().ok()?;
    // The device is two or three folders above the port's interface.
    node.ancestors().take(4).find_map(|folder| {
        let id = |name: &str| {
            let text = std::fs::read_to_string(folder.join(name)).ok()?;
            u16::from_str_radix(text.trim(), 16).ok()
        };
        Some((id("idVendor")?, id("idProduct")?))
    })
}

/// Changes the rate, also for all other descriptors of the port. Earlier bytes stay in its buffer. A
/// pty stores the rate without an effect.
pub fn set_baud(port: BorrowedFd<'_>, path: &Path, baud: u32) -> Result<(), BoardFault> {
    let set = || {
        let mut termios = rustix::termios::tcgetattr(port)?;
        termios.set_speed(baud)?;
        rustix::termios::tcsetattr(port, OptionalActions::Now, &termios)
    };
    set().map_err(|error| {
        BoardFault::new(format!("setting the port {} to {baud} baud", path.display()), error)
            .help("Set `baud` to a rate that the adapter supports; all support 115200.")
    })
}

/// The port disappeared while it was in use.
pub fn gone(path: &Path, tried: &str, found: impl ToString) -> BoardFault {
    BoardFault::new(
        format!("{tried} on {}", path.display()),
        format!("the port is gone ({})", found.to_string()),
    )
    .help("Check the board's cable and power; `hilrig boards` lists what is attached.")
    .silent()
}

fn cannot_open(path: &Path, error: &serialport::Error) -> BoardFault {
    use std::io::ErrorKind as Io;
    let tried = format!("opening the port {}", path.display());
    match error.kind() {
        serialport::ErrorKind::Io(Io::NotFound) => missing(path),
        serialport::ErrorKind::Io(Io::PermissionDenied) => {
            BoardFault::new(tried, "permission denied").help(access::port_help(path))
        }
        serialport::ErrorKind::NoDevice => {
            let found = match users_of(path).as_slice() {
                [] => "another program has it open".to_owned(),
                users => format!("another program has it open: {}", users.join(", ")),
            };
            BoardFault::new(tried, found).help("End that program, or name another port.")
        }
        _ => BoardFault::new(tried, &error.description)
            .help("Is it a serial port? `hilrig boards` lists those that are attached."),
    }
}

/// Processes that have `path` open, as `name (pid N)`. Other users' processes are not visible.
fn users_of(path: &Path) -> Vec<String> {
    let Ok(path) = path.canonicalize() else { return Vec::new() };
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let has_it = |process: &Path| {
        std::fs::read_dir(process.join("fd"))
            .into_iter()
            .flatten()
            .flatten()
            .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|target: PathBuf| target == path))
    };
    let mut found: Vec<(u32, String)> = processes
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            has_it(&entry.path()).then(|| {
                let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                (pid, hilrig_core::text::printable(name.trim_end().as_bytes()))
            })
        })
        .collect();
    found.sort();
    found.into_iter().map(|(pid, name)| format!("{name} (pid {pid})")).collect()
}
