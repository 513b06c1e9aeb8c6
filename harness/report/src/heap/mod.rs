//! Heap figures over many boots: their statistics, the baseline, and how two sets compare.

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
pub use tables::{
    by_boot, callers_table, comparison_table, diff_tables, figures_table, history_table,
    sections_table, static_memory_table,
};
pub use terminal_plot::history_plots;
