//! Drivers for boards: finding them, locking them against other runs, flashing, resetting, reading
//! their consoles, switching their power.
//!
//! | Folder | Contents |
//! | --- | --- |
//! | [`identity`] | which serial port a board of the configuration is on |
//! | `lock` | one run a board, across processes and users |
//! | `serial` | the board on a serial port: port, console, reset lines |
//! | `esp` | flashing over the ROM loaders of Espressif's chips |
//! | [`probe`] | the board on a debug probe |
//! | [`power`] | what switches a board's power: one file a backend |
//!
//! [`SerialBoard`] and [`ProbeBoard`] are the two boards. What differs from board to board is passed
//! in: the lines that reset it ([`ModemLines`] on real boards, [`NoLines`] where none are wired, the
//! control socket of a virtual board), its port and its rates.

mod esp;
mod flash_cache;
pub mod identity;
mod lock;
pub mod power;
pub mod probe;
mod serial;

pub use esp::deadlines::LoaderDeadlines;
pub use esp::identify::ChipIdentity;
pub use identity::port_cache::PortCache;
pub use identity::search::{Neighbours, PortSearch, identify_on};
pub use lock::{LockFile, NotTaken, sweep_locks};
pub use probe::board::{ProbeBoard, ProbeSettings};
pub use serial::board::{SerialBoard, SerialSettings};
pub use serial::reset_lines::{ModemLines, NoLines};
