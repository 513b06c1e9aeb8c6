//! A virtual board of another kind: an LM3S6965 (Cortex-M3, 64 KiB of RAM, 256 KiB of flash, Ethernet) on
//! a virtual debug probe.
//!
//! To its users it is a probe that probe-rs finds in this process, and its chip: flashed by the chip's own
//! flash routine (see [`flash_controller`]), reset, halted, stepped, read while it runs. The model has:
//! - the CPU with memory, network and EEPROM, by QEMU;
//! - the core's debug registers ([`chip`]), over QEMU's gdbstub ([`gdb`]) and qtest socket
//!   ([`qtest`]);
//! - the flash, in a file that stays when the board stops;
//! - power, network cable, the probe's own cable ([`crate::control`]).
//!
//! It has not the chip's speed, no pins, no analog inputs, no UART (nothing reads it), no SWO.

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
