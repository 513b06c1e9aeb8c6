//! wip
mod classify;
mod crash_line;
mod scan;
mod start;
pub use classify::{Classifier, Sighting};
pub use crash_line::{CrashLine, Registers, cause_words};
pub use start::RomStart;
