//! Static memory: the memory of a chip that a firmware uses before it runs, by its ELF file.

use serde::{Deserialize, Serialize};

/// The contents of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// Code, with the constants that the linker placed with it.
    Code,
    /// Constants.
    Constants,
    /// Variables with a value at the start: both in flash and in data memory.
    Data,
    /// Variables without: only in data memory.
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

/// A section of the ELF that uses memory of the chip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Its name, `.irom0.text`.
    pub name: String,
    /// Its contents.
    pub holds: Holds,
    /// Its size, bytes.
    pub bytes: u64,
}
