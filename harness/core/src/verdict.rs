//! What is said of a board, and of a whole run, at the end.

use serde::{Deserialize, Serialize};

/// The verdict on one board or on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every check was measured and held.
    Passed,
    /// A check did not hold, or could not be measured although the bench was sound.
    Failed,
    /// The bench's own trouble: no broker, a port that is gone, a run that was stopped. Says
    /// nothing about the firmware.
    RigFault,
    /// Not run at all; the reason stands beside it.
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

    /// The verdict of a run over its boards'.
    ///
    /// A failed board outweighs a rig fault: that it failed is known, whatever happened elsewhere
    /// on the bench. A run without boards, or with skipped ones only, is skipped.
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
