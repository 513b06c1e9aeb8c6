//! Heap figures over many boots: what they come to, how they are kept, and how two of them compare.

mod baseline;
mod callers;
mod compare;
mod figures;
mod formats;
mod gate;

pub use baseline::{BASELINE, Baseline, BaselineError, Entry};
pub use callers::{
    CallerChange, CallerRow, MOST_CALLERS, at_lowest, caller_rows, compare_callers, lowest,
};
pub use compare::{Change, Comparison, FigureJudgement, against, compare};
#[cfg(test)]
pub(crate) use figures::tests;
pub use figures::{Boots, HeapFigure, Key, Metric, PhaseFigures, is_measured};
pub use formats::{CallerChanges, SideBySide};
pub use gate::{
    Gate, GateError, KeyComparison, Missing, Scope, UnmeasuredBoot, UnmeasuredBoots,
    unmeasured_boots,
};
