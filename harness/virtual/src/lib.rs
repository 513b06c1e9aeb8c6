//! A board that is not there: the ESP8266's ROM loader on a pseudo terminal, its CPU in QEMU, a
//! control socket in place of its reset lines, power switch and cables.
//!
//! To whoever uses it it is a board on a serial port, and any serial tool can flash it and read its
//! log. What is modelled:
//! - the ROM's serial loader ([`loader`]), with its faults; the chip's registers as far as tools
//!   look at them ([`chip`]);
//! - a NOR flash of 4 MiB in a file, which outlives the board;
//! - the CPU with memory, UART, network and flash, by QEMU; a boot ROM that is built beside the
//!   firmware loads what was flashed, as the chip's does;
//! - reset, boot mode, power, network cable and trouble on the line ([`control`]).
//!
//! What is not: radio, pins, the chip's speed, baud rates (any rate reads the same).
//!
//! One task serves a board; many boards share a thread.

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
mod serving;
mod state_dir;

pub use board::{VirtualBoard, VirtualBoardConfig, VirtualReady};
pub use control::{BoardState, BoardStatus, ControlCommand, ControlReply};
pub use control_socket::ControlSocket;
pub use error::VirtualError;
pub use serving::Serving;
pub use state_dir::seed_of;
