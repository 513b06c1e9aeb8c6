//! Why a run ends before its boards are through.

use crate::journal::Journal;
use crate::stop::Stop;

/// Why a run ends early.
#[derive(Clone, Debug)]
pub(crate) enum Halt {
    /// A person stopped it.
    Interrupted(String),
    /// The bench cannot go on.
    Fault(String),
}

impl Halt {
    /// In words.
    pub(crate) fn why(&self) -> &str {
        match self {
            Halt::Interrupted(why) | Halt::Fault(why) => why,
        }
    }

    /// What it is for one board.
    pub(crate) fn stop(&self, journal: &Journal<'_>) -> Stop {
        match self {
            Halt::Interrupted(why) => {
                Stop::Interrupted(in_phase(journal, &format!("interrupted: {why}")))
            }
            Halt::Fault(why) => Stop::Rig(in_phase(journal, why)),
        }
    }
}

/// A reason with the phase that the board was in.
pub(crate) fn in_phase(journal: &Journal<'_>, reason: &str) -> String {
    match journal.now_in() {
        Some(phase) => format!("{reason} (in: {})", phase.words()),
        None => reason.into(),
    }
}
