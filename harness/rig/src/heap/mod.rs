//! Measures the free heap from commit to commit: boots, baselines, two sides, a search.

mod baseline;
mod bisect;
mod boots;
mod commits;
mod diff;
mod history;
mod measure;
mod sides;
mod worktree;

pub use self::baseline::{Accepted, Checked, accept, check};
pub use self::bisect::{FirstBad, bisect};
pub use self::boots::{BootsRequest, MeasuredRuns, recorded, runs};
pub use self::commits::BisectRequest;
pub use self::diff::{DiffRequest, HeapDiff, diff};
pub use self::history::opened;
pub use self::measure::MeasureRequest;
pub use self::sides::Side;
use crate::Error;

/// What a measurement reports while it goes on.
#[derive(Clone, Copy, Debug)]
pub enum Notice<'a> {
    /// A boot or a step is over: a line, with its end.
    Line(&'a str),
    /// Trouble that changes no figure.
    Warning(&'a str),
    /// A part of a record could not be written.
    Fault(&'a str),
}

/// Takes notices. Its error ends the measurement.
pub type Notices<'a> = dyn Fn(Notice<'_>) -> Result<(), Error> + 'a;
