//! The exit codes of `hilrig`. They are part of its interface: CI scripts branch on them.

use crate::verdict::Verdict;

/// Every board passed, or the command did what it was asked.
pub const PASSED: u8 = 0;
/// hilrig itself went wrong. Worth a bug report.
pub const INTERNAL: u8 = 1;
/// The command line or the configuration cannot be used as it stands.
pub const USAGE: u8 = 2;
/// At least one board failed its checks.
pub const BOARD_FAILED: u8 = 100;
/// The bench had trouble of its own, so that at least one board was not judged.
pub const RIG_FAULT: u8 = 120;

/// The exit code of a run with this verdict.
///
/// A run in which every board was skipped judged nothing, and what was not measured never passes:
/// it ends as a rig fault.
pub fn of(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Passed => PASSED,
        Verdict::Failed => BOARD_FAILED,
        Verdict::RigFault | Verdict::Skipped => RIG_FAULT,
    }
}
