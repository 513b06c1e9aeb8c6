//! A start of a board's chip, as its ROM prints it.

use serde::{Deserialize, Serialize};

/// The ROM's text about a start: why the chip was reset, and what it boots from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChipStart {
    /// Line of the boot log, from 1.
    pub line: u64,
    /// Number of the reset cause.
    pub rst_cause: u8,
    /// The reset cause in words. Printable.
    pub reset: String,
    /// Boot mode: two figures on the ESP8266, one on the ESP32 family.
    pub boot_mode: Vec<u8>,
    /// What it boots from, in words. Printable.
    pub boots: String,
}

impl ChipStart {
    /// In a line: `started after: power-on; boots from: flash`.
    pub fn in_a_line(&self) -> String {
        format!("started after: {}; boots from: {}", self.reset, self.boots)
    }
}
