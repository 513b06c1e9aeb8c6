//! The board on a serial port: its port, its console, its reset lines.

pub mod board;
pub mod claim;
pub mod close;
pub mod console;
pub mod port;
pub mod reset_lines;
mod rom_text;
