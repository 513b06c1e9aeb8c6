//! The current work of a board in a certification.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use super::queue::{Need, Task};

/// The current work of a board.
pub(super) struct BoardWork {
    /// The board's name.
    pub name: String,
    /// The purpose of its current broker.
    pub need: Cell<Option<Need>>,
    /// Its case and the start time.
    pub task: Cell<Option<(Task, Instant)>>,
    /// The broker rule that made the case fail.
    pub rule: RefCell<Option<ByRule>>,
    /// The board was connected, but its first reply did not arrive.
    pub unheard: Cell<bool>,
}

/// A broker rule that made a case fail after the board connected.
pub(super) struct ByRule {
    pub rule: String,
    pub line: u64,
    pub said: String,
}

impl BoardWork {
    /// A board without work yet.
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
