//! Static memory: what a firmware takes of a chip's memory before it runs, by its ELF file.

use serde::{Deserialize, Serialize};

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// Code, with the constants that the linker put beside it.
    Code,
    /// Constants.
    Constants,
    /// Variables with a value at the start: both in flash and in data memory.
    Data,
    /// Variables without: data memory alone.
    Bss,
}

impl Holds {
    /// The words for tables.
    pub fn words(self) -> &'static str {
        match self {
            Holds::Code => "code",
            Holds::Constants => "constants",
            Holds::Data => "initialised data",
            Holds::Bss => "uninitialised data",
        }
    }
}

/// A section of the ELF that takes memory on the chip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Its name, `.irom0.text`.
    pub name: String,
    /// What it holds.
    pub holds: Holds,
    /// Its size, bytes.
    pub bytes: u64,
}
