//! The verdict on a board, and on a whole run.

use serde::{Deserialize, Serialize};

/// The verdict on one board or on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All checks were measured and passed.
    Passed,
    /// A check failed, or could not be measured although the bench worked.
    Failed,
    /// A fault of the bench: no broker, a port that is gone, a run that was stopped. No statement about the
    /// firmware.
    RigFault,
    /// Not run, with a reason.
    Skipped,
}

impl Verdict {
    /// The word for tables and plain logs.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::RigFault => "rig fault",
            Verdict::Skipped => "skipped",
        }
    }

    /// The verdict of a run, from those of its boards.
    ///
    /// A failed board outweighs a rig fault: its failure is certain, independent of the rest of the bench. A run without boards, or with skipped ones only, is skipped.
    pub fn of_run(boards: impl IntoIterator<Item = Verdict>) -> Verdict {
        let rank = |verdict| match verdict {
            Verdict::Skipped => 0,
            Verdict::Passed => 1,
            Verdict::RigFault => 2,
            Verdict::Failed => 3,
        };
        boards.into_iter().max_by_key(|v| rank(*v)).unwrap_or(Verdict::Skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{self, *};

    #[test]
    fn a_run_is_judged_by_its_worst_board() {
        assert_eq!(Verdict::of_run([Passed, Passed]), Passed);
        assert_eq!(Verdict::of_run([Passed, Skipped]), Passed);
        assert_eq!(Verdict::of_run([Passed, RigFault]), RigFault);
        assert_eq!(Verdict::of_run([Failed, RigFault, Passed]), Failed);
        assert_eq!(Verdict::of_run([]), Skipped);
    }
}
