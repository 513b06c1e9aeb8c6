//! What touches a board that hangs on a serial port: finding it, holding it against other runs,
//! flashing it, resetting it, reading its console.
//!
//! [`SerialBoard`] is the one board of this crate. What differs from board to board is handed in:
//! the lines that reset it ([`ModemLines`] on real boards, [`NoLines`] where none are wired, the
//! control socket of a virtual board), its port and its rates.

mod access;
mod ask;
mod close;
mod console;
pub mod discover;
mod esp32;
mod flash_esp32;
mod flash_esp8266;
mod holder;
pub mod identity;
mod lines;
mod loader;
mod lock;
mod port;
pub mod power;
mod probe;
pub mod probes;
mod record;
mod relay;
mod reply;
mod rom;
mod rom_text;
mod seek;
mod seen;
mod serial_board;

pub use ask::Identity;
pub use lines::{ModemLines, NoLines};
pub use loader::Deadlines;
pub use lock::{NotTaken, PortLock, sweep_locks};
pub use probe::{ProbeBoard, ProbeSettings};
pub use seek::{Bench, Seek, ask_on};
pub use seen::Seen;
pub use serial_board::{SerialBoard, Settings};
