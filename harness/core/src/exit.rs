//! The exit codes of `hilrig`. They are part of its interface: CI scripts branch on them.

use crate::verdict::Verdict;

/// All boards passed, or the command succeeded.
pub const PASSED: u8 = 0;
/// An internal error of hilrig. Please report it.
pub const INTERNAL: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;
/// At least one board failed its checks.
pub const BOARD_FAILED: u8 = 100;
/// The bench had a fault, and at least one board has no verdict.
pub const RIG_FAULT: u8 = 120;

/// The exit code of a run with this verdict.
///
/// A run with skipped boards only measured nothing, and not measured is never passed: it ends as a rig
/// fault.
pub fn of(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Passed => PASSED,
        Verdict::Failed => BOARD_FAILED,
        Verdict::RigFault | Verdict::Skipped => RIG_FAULT,
    }
}
