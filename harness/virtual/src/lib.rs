//! A virtual board: the ESP8266's ROM loader on a pseudo terminal, its CPU in QEMU, a control socket in
//! place of its reset lines, power switch and cables.
//!
//! To its users it is a board on a serial port, and any serial tool can flash it and read its log. The
//! model has:
//! - the ROM's serial loader ([`loader`]), with its faults; the registers of the chip that tools read
//!   ([`chip`]);
//! - a NOR flash of 4 MiB in a file, which stays when the board stops;
//! - the CPU with memory, UART, network and flash, by QEMU; a boot ROM that is built with the firmware
//!   loads the flashed image, as the chip's does;
//! - reset, boot mode, power, network cable and trouble on the line ([`control`]).
//!
//! It has no radio, no pins, not the chip's speed, and no baud rates (all rates read the same) unless
//! they are switched on ([`control`]).
//!
//! A board is one task; many boards share a thread.

pub mod board;
pub mod chip;
pub mod control;
mod control_server;
mod control_socket;
mod error;
mod flash_file;
mod http_port;
pub mod lm3s6965;
pub mod loader;
mod port_line;
mod power;
mod process;
mod pty;
mod qemu;
mod qmp;
mod rates;
mod ready;
mod serving;
mod state_dir;

pub use board::{VirtualBoard, VirtualBoardConfig};
pub use control::{BoardState, BoardStatus, ControlCommand, ControlReply};
pub use control_socket::ControlSocket;
pub use error::VirtualError;
pub use ready::VirtualReady;
pub use serving::Serving;
pub use state_dir::seed_of;
