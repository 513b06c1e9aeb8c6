//! Taking a serial port: its lock, then the port itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hilrig_core::board::BoardFault;
use serialport::TTYPort;

use crate::lock::LockFile;
use crate::serial::port;

/// A port that this run has locked and opened.
pub struct OpenPort {
    // Order matters when it is dropped: the port goes before its lock.
    pub port: TTYPort,
    pub path: PathBuf,
    pub lock: LockFile,
}

/// How a port is taken.
pub struct PortClaim<'a> {
    /// Folder of the locks.
    pub locks: &'a Path,
    /// Rate that it is opened at, baud.
    pub baud: u32,
    /// Shown to those who want the port meanwhile.
    pub reason: &'a str,
    /// How long to wait for another run that has it.
    pub patience: Duration,
    /// Gets the words about that run.
    pub note: &'a dyn Fn(&str),
    /// A lock that this run has already: that of the port that the board was on.
    pub kept: &'a mut Option<LockFile>,
}

impl PortClaim<'_> {
    /// Locks the port and opens it.
    pub async fn take(&mut self, path: PathBuf) -> Result<OpenPort, BoardFault> {
        port::is_there(&path)?;
        if let Some(lock) = self.kept.take_if(|lock| lock.is_of(&path)) {
            return match port::open(&path, self.baud) {
                Ok(port) => Ok(OpenPort { port, path, lock }),
                Err(fault) => {
                    *self.kept = Some(lock);
                    Err(fault)
                }
            };
        }
        let lock = LockFile::wait(self.locks, &path, self.reason, self.patience, self.note).await?;
        Ok(OpenPort { port: port::open(&path, self.baud)?, path, lock })
    }
}
