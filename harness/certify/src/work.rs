//! What a board of a certification works on.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use super::queue::{Need, Task};

/// What a board works on.
pub(super) struct BoardWork {
    /// The board's name.
    pub name: String,
    /// What the broker that it has is for.
    pub need: Cell<Option<Need>>,
    /// Its case, and when it began.
    pub task: Cell<Option<(Task, Instant)>>,
    /// The rule of the broker that the case failed by.
    pub rule: RefCell<Option<ByRule>>,
    /// The board was connected, and the first reply did not come.
    pub unheard: Cell<bool>,
}

/// A rule of the broker that a case failed by, after the board had connected.
pub(super) struct ByRule {
    pub rule: String,
    pub line: u64,
    pub said: String,
}

impl BoardWork {
    /// A board that works on nothing yet.
    pub(super) fn new(name: &str) -> BoardWork {
        BoardWork {
            name: name.to_owned(),
            need: Cell::new(None),
            task: Cell::new(None),
            rule: RefCell::new(None),
            unheard: Cell::new(false),
        }
    }
}
