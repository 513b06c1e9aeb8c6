//! events.jsonl there and back.

use std::fs::OpenOptions;
use std::sync::{Arc, Mutex};

use hilrig_core::event::{Event, EventSink as _, Events, What};
use hilrig_core::text::Secrets;
use hilrig_core::verdict::Verdict;
use hilrig_report::{
    EventsFile, ReadError, Reporter, Reporters, RunModel, SummaryFile, read_events,
};
use proptest::prelude::*;

use crate::sample::{KINDS, kind, mixed, written};

#[test]
fn the_sample_has_every_kind_of_event() {
    let mut kinds: Vec<&str> = mixed().events.iter().map(|event| kind(&event.what)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), KINDS, "{kinds:?}");
}

#[test]
fn what_is_read_back_is_what_was_written_and_gives_the_same_summary() {
    let events = mixed().events;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    hilrig_report::replay(&events, &mut EventsFile::create(&path).unwrap()).unwrap();
    let recorded = read_events(&path).unwrap();
    assert_eq!(recorded.events, events);
    assert_eq!(recorded.torn, None);
    let summary =
        |events: &[Event]| written(events, |path| Box::new(SummaryFile::new(path.into())));
    assert_eq!(summary(&recorded.events), summary(&events));
    assert!(EventsFile::create(&path).is_err(), "a record is never written over");
}

#[test]
fn a_torn_last_line_is_reported_and_the_rest_is_read() {
    let events = mixed().events;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    hilrig_report::replay(&events, &mut EventsFile::create(&path).unwrap()).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    for cut in [last + 1, last + 20, whole.len() - 2] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let recorded = read_events(&path).unwrap();
        assert_eq!(recorded.events, events[..events.len() - 1]);
        assert_eq!(recorded.torn.unwrap().line, events.len());
    }
    // A line that is torn in the middle of the file is no torn end.
    let mut broken = whole[..10].to_vec();
    broken.push(b'\n');
    broken.extend_from_slice(&whole);
    std::fs::write(&path, &broken).unwrap();
    assert!(matches!(read_events(&path), Err(ReadError::Line { line: 1, .. })));
}

#[test]
fn a_newer_schema_is_refused_with_its_number() {
    let mut events = mixed().events;
    if let What::RunStarted(run) = &mut events[0].what {
        run.schema = 99;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    hilrig_report::replay(&events, &mut EventsFile::create(&path).unwrap()).unwrap();
    let error = read_events(&path).unwrap_err();
    assert!(error.to_string().contains("events of schema 99"), "{error}");
    let error = read_events(&dir.path().join("none")).unwrap_err();
    assert!(matches!(error, ReadError::File { .. }), "{error}");
}

struct Counts(Arc<Mutex<usize>>);

impl Reporter for Counts {
    fn name(&self) -> String {
        "count".into()
    }

    fn event(&mut self, _: &Event) -> std::io::Result<()> {
        *self.0.lock().unwrap() += 1;
        Ok(())
    }
}

#[test]
fn a_full_disk_stops_one_reporter_and_is_reported_once() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let count = Arc::new(Mutex::new(0));
    let reporters = Arc::new(Reporters::new(vec![
        Box::new(EventsFile::to("events.jsonl", full)),
        Box::new(Counts(Arc::clone(&count))),
    ]));
    let events = Events::new(Arc::clone(&reporters) as Arc<_>, Secrets::default());
    assert_eq!(reporters.faults(), []);
    events.run(What::Note { text: "one".into() });
    events.board("v1", What::BoardEnded { verdict: Verdict::Passed, seconds: 1.0, why: None });
    let faults = reporters.faults();
    assert_eq!(faults.len(), 1);
    let told = faults[0].to_string();
    assert!(told.starts_with("writing events.jsonl: No space left on device"), "{told}");
    assert_eq!(reporters.finish(), faults);
    assert_eq!(reporters.finish(), []);
    assert_eq!(*count.lock().unwrap(), 2);
}

#[test]
fn a_killed_run_leaves_whole_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let reporters = Reporters::new(vec![Box::new(EventsFile::create(&path).unwrap())]);
    let events = mixed().events;
    for (told, event) in events.iter().enumerate() {
        reporters.emit(event.clone());
        // Nothing is closed or flushed: this is what a SIGKILL would leave.
        let recorded = read_events(&path).unwrap();
        assert_eq!((recorded.events.len(), recorded.torn), (told + 1, None));
    }
}

proptest! {
    #[test]
    fn every_figure_comes_back_as_it_was(at in 0.0..1e6_f64, seconds: f64) {
        let seconds = if seconds.is_finite() { seconds } else { 0.1 };
        let what = What::BoardEnded { verdict: Verdict::Passed, seconds, why: None };
        let event = Event { at, board: Some("v1".into()), what };
        let line = serde_json::to_string(&event).unwrap();
        prop_assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }

    #[test]
    fn a_stream_may_stop_or_stutter_anywhere(cuts in prop::collection::vec(0usize..200, 0..60)) {
        let events = mixed().events;
        let picked: Vec<Event> = cuts.iter().filter_map(|at| events.get(*at).cloned()).collect();
        let model = RunModel::of(&picked);
        prop_assert!(model.boards.len() <= 4);
        for make in [
            |path: &std::path::Path| Box::new(SummaryFile::new(path.into())) as Box<dyn Reporter>,
            |path: &std::path::Path| Box::new(hilrig_report::JunitFile::new(path.into())) as _,
        ] {
            prop_assert!(!written(&picked, make).is_empty());
        }
        let page = crate::sample::Page::default();
        let mut plain = hilrig_report::Plain::new(page.clone(), Default::default(), None);
        hilrig_report::replay(&picked, &mut plain).unwrap();
        prop_assert!(page.text().lines().count() > 0);
    }
}
