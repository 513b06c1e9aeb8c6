//! Heap figures over many boots: what they come to, how they are kept, and how two of them compare.

mod baseline;
mod callers;
mod compare;
pub mod export;
mod figures;
mod formats;
mod gate;
mod tables;
mod terminal_plot;

pub use baseline::{BASELINE, Baseline, BaselineError, Entry};
pub use callers::{CallerChange, Held, MOST_CALLERS, at_lowest, compare_callers, held, lowest};
pub use compare::{Change, Comparison, Judged, against, compare};
#[cfg(test)]
pub(crate) use figures::tests;
pub use figures::{Boots, Figure, Key, Metric, PhaseFigures, is_measured};
pub use formats::{CallerChanges, SideBySide};
pub use gate::{Boot, Compared, Gate, Missing, NoGate, Scope, Sorted, sorted};
pub use tables::{
    by_boot, callers_table, comparison_table, diff_tables, figures_table, history_table,
    sections_table, static_memory_table,
};
pub use terminal_plot::history_plots;
