//! Checks: single statements about a board that held, or did not, or could not be measured.

use serde::{Deserialize, Serialize};

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// Measured, and as it should be.
    Held,
    /// Measured, and not as it should be.
    NotHeld,
    /// Could not be measured. Never counts as held.
    NotMeasured,
}

/// One check with its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Stable name, such as `boot_log.configuration` or `heap.handshake`.
    pub id: String,
    /// What it says, for people: `lowest free heap in the handshake is at least 20480 B`.
    pub title: String,
    /// What came of it.
    pub outcome: CheckOutcome,
    /// What was found: the figure, the reply, the line. Printable text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub found: Option<String>,
    /// The boot log's line that shows it, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log_line: Option<u64>,
    /// The board did not get to it, and something else says why: `found` has the reason. Only with
    /// [`CheckOutcome::NotMeasured`].
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub skipped: bool,
}

impl Check {
    /// A check that held if `held`, with what was found.
    pub fn of(
        id: impl Into<String>,
        title: impl Into<String>,
        held: bool,
        found: impl Into<String>,
    ) -> Check {
        Check {
            id: id.into(),
            title: title.into(),
            outcome: if held { CheckOutcome::Held } else { CheckOutcome::NotHeld },
            found: Some(found.into()),
            log_line: None,
            skipped: false,
        }
    }

    /// A check that could not be measured, and why.
    pub fn not_measured(
        id: impl Into<String>,
        title: impl Into<String>,
        why: impl Into<String>,
    ) -> Check {
        Check {
            id: id.into(),
            title: title.into(),
            outcome: CheckOutcome::NotMeasured,
            found: Some(why.into()),
            log_line: None,
            skipped: false,
        }
    }

    /// A check that the board did not get to, and why.
    pub fn skipped(
        id: impl Into<String>,
        title: impl Into<String>,
        why: impl Into<String>,
    ) -> Check {
        Check { skipped: true, ..Check::not_measured(id, title, why) }
    }

    /// The same check, shown by this line of the boot log.
    #[must_use]
    pub fn at_line(mut self, line: u64) -> Check {
        self.log_line = Some(line);
        self
    }

    /// Whether it was measured and held.
    pub fn held(&self) -> bool {
        self.outcome == CheckOutcome::Held
    }
}
