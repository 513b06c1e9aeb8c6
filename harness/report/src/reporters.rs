//! The reporters of a run as one event sink.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hilrig_core::event::{Event, EventSink};

/// Makes something of a run's events: a file, a picture on the terminal.
pub trait Reporter: Send {
    /// What it is, for messages: a file's path, `terminal`.
    fn name(&self) -> String;

    /// Takes the next event.
    fn event(&mut self, event: &Event) -> io::Result<()>;

    /// No event comes any more. Called once, also when the run ended early.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reporter that could not do its work: a full disk, a closed pipe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "writing {reporter}: {found}. What it holds is not whole; free the disk or open the pipe and run again"
)]
pub struct ReporterFault {
    /// [`Reporter::name`].
    pub reporter: String,
    /// The error that it met.
    pub found: String,
}

/// Hands each event to each reporter.
///
/// A reporter that fails gets no further event, and the others go on. A run whose record is not
/// whole is a rig fault: ask [`Reporters::faults`] before its verdict is reported, and
/// [`Reporters::finish`] after.
pub struct Reporters {
    slots: Mutex<Vec<Slot>>,
}

struct Slot {
    reporter: Box<dyn Reporter>,
    fault: Option<ReporterFault>,
}

impl Slot {
    fn call(&mut self, what: impl FnOnce(&mut dyn Reporter) -> io::Result<()>) {
        if self.fault.is_some() {
            return;
        }
        if let Err(error) = what(self.reporter.as_mut()) {
            let fault = ReporterFault { reporter: self.reporter.name(), found: error.to_string() };
            tracing::warn!("{fault}");
            self.fault = Some(fault);
        }
    }
}

impl Reporters {
    /// Events go to `reporters` in this order.
    pub fn new(reporters: Vec<Box<dyn Reporter>>) -> Reporters {
        let slots = reporters.into_iter().map(|reporter| Slot { reporter, fault: None });
        Reporters { slots: Mutex::new(slots.collect()) }
    }

    /// The same with one more after the others.
    pub fn and(self, reporter: Box<dyn Reporter>) -> Reporters {
        self.slots().push(Slot { reporter, fault: None });
        self
    }

    /// Lets every reporter finish. Returns the faults of the whole run, each once.
    pub fn finish(&self) -> Vec<ReporterFault> {
        let mut slots = self.slots();
        for slot in slots.iter_mut() {
            slot.call(|reporter| reporter.finish());
        }
        slots.drain(..).filter_map(|slot| slot.fault).collect()
    }

    /// The faults so far.
    pub fn faults(&self) -> Vec<ReporterFault> {
        self.slots().iter().filter_map(|slot| slot.fault.clone()).collect()
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        // A reporter that panicked leaves the others sound.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for Reporters {
    fn emit(&self, event: Event) {
        for slot in self.slots().iter_mut() {
            slot.call(|reporter| reporter.event(&event));
        }
    }
}

impl Drop for Reporters {
    /// A run that ends by an error of hilrig's own still leaves its record.
    fn drop(&mut self) {
        self.finish();
    }
}

/// Hands a recorded stream to a reporter.
pub fn replay(events: &[Event], reporter: &mut dyn Reporter) -> io::Result<()> {
    for event in events {
        reporter.event(event)?;
    }
    reporter.finish()
}
