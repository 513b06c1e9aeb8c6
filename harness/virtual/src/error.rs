//! What can go wrong with a virtual board. None of it is the firmware's fault.

use std::io;
use std::path::{Path, PathBuf};

use hilrig_core::mac::Mac;

/// A virtual board could not be created, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum VirtualError {
    /// Another process has the board.
    #[error(
        "the virtual board in {dir} is running already, as process {process}. Stop that process, or give another --state folder",
        dir = dir.display(),
        process = process.map_or("unknown".into(), |pid| pid.to_string())
    )]
    Locked {
        /// Its folder.
        dir: PathBuf,
        /// The process that runs it, if known.
        process: Option<u32>,
    },
    /// An error of the board's folder or the system.
    #[error("{tried}: {source}")]
    Io {
        /// What was tried, with the path.
        tried: String,
        /// The system's error.
        source: io::Error,
    },
    /// A file in the board's folder is not what it should be.
    #[error("{path}: {found}. {help}", path = path.display())]
    Folder {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What to do.
        help: &'static str,
    },
    /// The chip cannot report such an address, or a network cannot use it.
    #[error(
        "{0} cannot be a board's MAC address: its first three bytes must be a vendor's prefix, as in 18:fe:34:a2:66:29"
    )]
    Mac(Mac),
    /// The board has another MAC address than the one that was given.
    #[error(
        "the virtual board in {dir} has the MAC address {has}, and {given} was given. Leave that out, or delete its board.json for a new address",
        dir = dir.display()
    )]
    OtherMac {
        /// Its folder.
        dir: PathBuf,
        /// What it has.
        has: Mac,
        /// What was given.
        given: Mac,
    },
    /// QEMU is not there.
    #[error(
        "`{}` was not found, and virtual boards need it. Install it with `apt-get install {}`",
        .0.display(),
        package(.0)
    )]
    NoQemu(PathBuf),
    /// The boot ROM is not there.
    #[error("the virtual board's boot ROM {} is not there. Build it with `make firmware`", .0.display())]
    NoBootRom(PathBuf),
    /// QEMU ended, or did not start.
    #[error("QEMU for the virtual board in {dir} {found}{printed}", dir = dir.display(), printed = printed(stderr))]
    Qemu {
        /// The board's folder.
        dir: PathBuf,
        /// What happened.
        found: String,
        /// The end of QEMU's output.
        stderr: String,
    },
    /// No port of the range was free.
    #[error("no free TCP port on 127.0.0.1 from {first} to {last} for a board's web server")]
    NoPort {
        /// First port tried.
        first: u16,
        /// Last port tried.
        last: u16,
    },
    /// The board cannot carry out a command in its present state.
    #[error("{0}")]
    Refused(&'static str),
}

/// The command needs power, and the board has none.
pub(crate) const NO_POWER: VirtualError =
    VirtualError::Refused("the board has no power; power_on restores it");

fn printed(stderr: &str) -> String {
    match stderr.trim() {
        "" => " without output".into(),
        text => format!(". It printed: {text}"),
    }
}

impl VirtualError {
    /// For `map_err`: what was tried.
    pub(crate) fn io(tried: impl Into<String>) -> impl FnOnce(io::Error) -> VirtualError {
        let tried = tried.into();
        move |source| VirtualError::Io { tried, source }
    }

    /// The same for rustix's calls.
    pub(crate) fn errno(
        tried: impl Into<String>,
    ) -> impl FnOnce(rustix::io::Errno) -> VirtualError {
        let tried = tried.into();
        move |source| VirtualError::Io { tried, source: source.into() }
    }
}

/// Debian's package with this QEMU.
fn package(qemu: &Path) -> &'static str {
    match qemu.to_string_lossy().contains("arm") {
        true => "qemu-system-arm",
        false => "qemu-system-misc",
    }
}
