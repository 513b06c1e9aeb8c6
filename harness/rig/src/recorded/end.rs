//! The one place that ends a run which did not get to its end.

use std::cell::RefCell;
use std::sync::Arc;

use hilrig_core::event::{Events, What};
use hilrig_core::exit;
use hilrig_core::verdict::Verdict;
use hilrig_report::Reporters;

use crate::Error;

/// Whatever happens after the first event (an error, a panic), the record ends with `run_ended` and its
/// files are written: when this is dropped, at the latest.
pub struct RunEnds {
    events: Events,
    reporters: Arc<Reporters>,
    why: RefCell<Option<(u8, String)>>,
}

impl RunEnds {
    /// For the run of these events.
    pub fn new(events: &Events, reporters: &Arc<Reporters>) -> RunEnds {
        RunEnds { events: events.clone(), reporters: reporters.clone(), why: RefCell::default() }
    }

    /// The run cannot go on, and this is why.
    pub fn because(&self, error: Error) -> Error {
        self.why.replace(Some((error.exit_code(), error.message().to_owned())));
        error
    }
}

impl Drop for RunEnds {
    fn drop(&mut self) {
        if !self.events.are_running() {
            return;
        }
        let unknown =
            || (exit::INTERNAL, "hilrig itself failed, as its standard error says".to_owned());
        let (exit_code, why) = self.why.take().unwrap_or_else(unknown);
        self.events.run(What::RunEnded {
            verdict: Verdict::RigFault,
            exit_code,
            seconds: self.events.start().elapsed().as_secs_f64(),
            why: Some(why),
        });
        for fault in self.reporters.finish() {
            tracing::error!("{fault}");
        }
    }
}
