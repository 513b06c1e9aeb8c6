//! The model of a run, for later steps of the same process.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use hilrig_core::event::Event;

use crate::model::RunModel;
use crate::reporters::Reporter;

/// Folds the events as they come, so that the record of a long run is not read again. Its clones
/// share one model.
#[derive(Clone, Default)]
pub struct Fold(Arc<Mutex<RunModel>>);

impl Fold {
    /// The run so far; what was taken is not kept.
    pub fn run(&self) -> RunModel {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Reporter for Fold {
    fn name(&self) -> String {
        "the run's figures".into()
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(event);
        Ok(())
    }
}
