//! The addresses of a board that has started.

use std::net::SocketAddr;
use std::path::PathBuf;

use hilrig_core::mac::Mac;
use serde::{Deserialize, Serialize};

/// The addresses of a board that has started. As JSON it is the line that `hilrig virtual-board`
/// prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualReady {
    /// Its serial port.
    pub port: PathBuf,
    /// Its control socket; see [`crate::control`].
    pub control: PathBuf,
    /// Address of its web server, when its firmware runs one.
    pub http: SocketAddr,
    /// Its MAC address.
    pub mac: Mac,
    /// The process that runs it.
    pub pid: u32,
    /// QEMU's GDB server while firmware runs, a Unix socket, if configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gdb: Option<PathBuf>,
}
