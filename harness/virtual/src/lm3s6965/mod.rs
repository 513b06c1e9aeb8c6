//! A board that is not there, of another kind: an LM3S6965 (Cortex-M3, 64 KiB of RAM, 256 KiB of
//! flash, Ethernet) behind a debug probe that is not there either.
//!
//! To whoever uses it it is a probe that probe-rs finds in this process, and the chip behind it:
//! flashed by the chip's own flash routine ([`flash_controller`] says how), reset, halted, stepped,
//! read while it runs. What is modelled:
//! - the CPU with memory, network and EEPROM, by QEMU;
//! - the core's debug registers ([`chip`]), over QEMU's gdbstub ([`gdb`]) and qtest socket
//!   ([`qtest`]);
//! - the flash, in a file that outlives the board;
//! - power, network cable, the probe's own cable ([`crate::control`]).
//!
//! What is not: the chip's speed, pins, the analog inputs, the UART (nobody reads it), SWO.

use std::ops::Range;
use std::time::Duration;

mod board;
mod cable;
mod chip;
mod flash_controller;
mod gdb;
mod machine;
mod probe;
mod qtest;

pub use board::{ArmBoard, ArmBoardConfig, ArmReady};

/// The chip's name in probe-rs.
pub const CHIP: &str = "LM3S6965";
/// Bytes of flash, from address 0 on.
const FLASH_SIZE: u32 = 256 * 1024;
const RAM: Range<u32> = 0x2000_0000..0x2001_0000;
/// QEMU answers in less than a millisecond; a machine under load gets time.
const ANSWER: Duration = Duration::from_secs(10);
