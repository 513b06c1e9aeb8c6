//! What a board's log shows of crashes, resets and brownouts, and where in the firmware they were.
//!
//! - [`Decoder`]: a stream of bytes in, [`Finding`]s out.
//! - [`Firmware`]: addresses to function, file and line, by the ELF that was flashed.
//! - [`Finding::decoded`]: a finding with its frames, as text and as JSON (docs/reference/decode.md).
//! - [`CrashLine`], [`RomStart`], [`Classifier`]: single lines, for a monitor.

mod build;
mod call;
mod classify;
mod clean;
mod crash_line;
mod decoded;
mod decoder;
mod encoding;
mod finding;
mod firmware;
mod judge;
#[cfg(test)]
mod line_ends;
mod lines;
mod live;
mod marks;
mod number;
mod plausible;
mod prefix;
mod registers;
mod scan;
mod sections;
mod shape;
mod shown;
mod signs;
mod stack;
mod start;
#[cfg(test)]
mod test_elf;
mod words;

pub use classify::{Classifier, Sighting};
pub use crash_line::{CrashLine, Registers};
pub use decoder::Decoder;
pub use finding::{Address, EvidenceLine, Finding, Kind, Role};
pub use firmware::{Firmware, FirmwareError, SourcePlace};
pub use judge::LoopRule;
pub use live::LiveDecoder;
pub use sections::sections;
pub use signs::SIGNS;
pub use start::RomStart;
