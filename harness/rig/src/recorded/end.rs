//! Ends a run that did not get to its end.

use std::cell::RefCell;
use std::sync::Arc;

use hilrig_core::event::{Events, What};
use hilrig_core::exit;
use hilrig_core::verdict::Verdict;
use hilrig_report::Reporters;

use crate::Error;

/// Writes `run_ended` and the record's files when it is dropped, if the run has not ended by then. So an error
/// or a panic after the first event leaves a record that can be read.
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

    /// Notes why the run cannot go on.
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
        let unknown = || {
            (exit::INTERNAL, "hilrig itself failed; its standard error has the reason".to_owned())
        };
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use hilrig_core::event::{Event, RunStarted, SCHEMA};
    use hilrig_core::text::Secrets;
    use hilrig_report::{EVENTS, EventsFile, SUMMARY, SummaryFile, read_events};

    use super::*;

    fn started() -> What {
        What::RunStarted(RunStarted {
            schema: SCHEMA,
            hilrig: "0".into(),
            run: "r-1".into(),
            started: "2026-11-22T10:00:00Z".into(),
            seed: 1,
            commit: None,
            firmware: Vec::new(),
            settings: BTreeMap::new(),
            scenarios: Vec::new(),
            floors: BTreeMap::new(),
            boards: Vec::new(),
        })
    }

    /// Does `happens` in a run. Returns its last event, and whether its summary was written.
    fn last_event(happens: impl FnOnce(&RunEnds)) -> (Event, bool) {
        let folder = tempfile::tempdir().unwrap();
        let (file, summary) = (folder.path().join(EVENTS), folder.path().join(SUMMARY));
        let reporters = Arc::new(Reporters::new(vec![
            Box::new(EventsFile::create(&file).unwrap()),
            Box::new(SummaryFile::new(summary.clone())),
        ]));
        let events = Events::new(reporters.clone(), Secrets::default());
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let ends = RunEnds::new(&events, &reporters);
            events.run(started());
            happens(&ends);
        }));
        drop(ended);
        let mut events = read_events(&file).unwrap().events;
        (events.pop().unwrap(), summary.is_file())
    }

    #[test]
    fn a_panic_leaves_a_record_with_its_last_event() {
        let (event, summary) = last_event(|_| panic!("a bug"));
        let What::RunEnded { verdict, exit_code, why, .. } = event.what else {
            panic!("{event:?}")
        };
        assert_eq!((verdict, exit_code), (Verdict::RigFault, exit::INTERNAL));
        assert!(why.unwrap().contains("hilrig itself failed"));
        assert!(summary);
    }

    #[test]
    fn an_early_error_is_the_reason_in_the_last_event() {
        let (event, summary) = last_event(|ends| {
            ends.because(Error::rig("there is no room"));
        });
        let What::RunEnded { exit_code, why, .. } = event.what else { panic!("{event:?}") };
        assert_eq!((exit_code, why.as_deref()), (exit::RIG_FAULT, Some("there is no room")));
        assert!(summary);
    }

    #[test]
    fn a_run_that_ended_is_not_ended_twice() {
        let (event, _) = last_event(|ends| {
            ends.events.run(What::RunEnded {
                verdict: Verdict::Passed,
                exit_code: exit::PASSED,
                seconds: 1.0,
                why: None,
            });
        });
        assert!(matches!(event.what, What::RunEnded { verdict: Verdict::Passed, .. }));
    }
}
