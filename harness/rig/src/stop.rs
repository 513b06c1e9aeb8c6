//! Why a job ends before its end.

use hilrig_core::board::BoardFault;

/// Why a job on one board ended early. It decides who gets the blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The board did something wrong: the board fails.
    Failed(String),
    /// The board crashed: the board fails. The text is what was known when the job ended; the journal has
    /// the decoded crash.
    Crashed(String),
    /// The bench could not go on: a rig fault.
    Rig(String),
    /// The board was silent, and so was its ROM. The pool power-cycles it once and runs the job again; after that it
    /// is a rig fault.
    Silent(String),
    /// The run was interrupted.
    Interrupted(String),
}

impl Stop {
    /// What the board did wrong, if the board is to blame.
    pub fn failed(&self) -> Option<&str> {
        match self {
            Stop::Failed(why) | Stop::Crashed(why) => Some(why),
            Stop::Rig(_) | Stop::Silent(_) | Stop::Interrupted(_) => None,
        }
    }

    /// The reason, in words.
    pub fn why(&self) -> &str {
        match self {
            Stop::Failed(why)
            | Stop::Crashed(why)
            | Stop::Rig(why)
            | Stop::Silent(why)
            | Stop::Interrupted(why) => why,
        }
    }
}

impl From<BoardFault> for Stop {
    fn from(fault: BoardFault) -> Stop {
        match fault.silent {
            true => Stop::Silent(fault.to_string()),
            false => Stop::Rig(fault.to_string()),
        }
    }
}
