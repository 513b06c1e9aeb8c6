//! What of the requirements is not met, before the run ends.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use hilrig_core::certify::certificate::RequiredOutcome;
use hilrig_core::event::{Event, What};

use super::words;
use crate::model::RunModel;
use crate::reporters::Reporter;

/// Follows a run, to report before its end which requirements are not met.
#[derive(Clone, Default)]
pub struct PolicyWatch {
    run: Arc<Mutex<RunModel>>,
}

impl PolicyWatch {
    /// What is not met, in a short line; nothing where everything is. The reports have the reasons.
    pub fn not_met(&self) -> Option<String> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for certification in &run.certifications {
            let broker = &certification.broker;
            let policy = run.certificate(broker).map(|of| of.policy).unwrap_or_default();
            let not_met: Vec<String> = policy
                .iter()
                .filter(|one| one.outcome != RequiredOutcome::Passed)
                .map(|one| format!("{} ({})", one.require, words::required_outcome(one.outcome)))
                .collect();
            if !not_met.is_empty() {
                all.push(format!("{broker}: required and not met: {}", not_met.join(", ")));
            }
        }
        (!all.is_empty()).then(|| all.join("; "))
    }
}

impl Reporter for PolicyWatch {
    fn name(&self) -> String {
        "the requirements".into()
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        if matches!(
            event.what,
            What::RunStarted(_)
                | What::CertifyStarted(_)
                | What::CaseEnded(_)
                | What::CertifyEnded(_)
        ) {
            self.run.lock().unwrap_or_else(PoisonError::into_inner).add(event);
        }
        Ok(())
    }
}
