//! The record that a run leaves, read as other tools would.

use std::fs;
use std::path::{Path, PathBuf};

use hilrig_core::check::{Check, CheckOutcome};
use hilrig_core::event::{Event, What};
use hilrig_core::phase::Phase;
use hilrig_core::start::ChipStart;
use hilrig_core::verdict::Verdict;
use serde_json::Value;

/// A record.
#[derive(Clone, Debug)]
pub struct Record {
    folder: PathBuf,
}

impl Record {
    /// The record in a folder.
    pub fn open(folder: &Path) -> Record {
        assert!(folder.is_dir(), "there is no record in {}", folder.display());
        Record { folder: folder.into() }
    }

    /// A file of it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A file of it as text.
    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name))
            .unwrap_or_else(|error| panic!("{}: {error}", self.file(name).display()))
    }

    /// A file of it.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let path = self.file(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Every event. Each line must be one.
    pub fn events(&self) -> Vec<Event> {
        let text = self.text("events.jsonl");
        assert!(text.ends_with('\n'), "the last event is cut off");
        let event = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("no event: {error}: {line}"))
        };
        text.lines().map(event).collect()
    }

    /// The summary.
    pub fn summary(&self) -> Value {
        serde_json::from_str(&self.text("summary.json")).expect("summary.json is JSON")
    }

    /// A board of the summary.
    pub fn board(&self, name: &str) -> Value {
        let summary = self.summary();
        let boards = summary["boards"].as_array().expect("the summary lists its boards");
        let board = boards.iter().find(|board| board["name"] == name);
        board.unwrap_or_else(|| panic!("no board {name} in {summary:#}")).clone()
    }

    /// The verdict on a board, and why.
    pub fn verdict(&self, name: &str) -> (Verdict, String) {
        let ends = self.events().into_iter().filter_map(|event| match event.what {
            What::BoardEnded { verdict, why, .. } if event.board.as_deref() == Some(name) => {
                Some((verdict, why.unwrap_or_default()))
            }
            _ => None,
        });
        let ends: Vec<_> = ends.collect();
        assert_eq!(ends.len(), 1, "{name} has one verdict: {ends:?}");
        let board = self.board(name);
        let word = serde_json::to_value(ends[0].0).expect("a verdict is JSON");
        assert_eq!(board["verdict"], word, "summary and events agree");
        ends[0].clone()
    }

    /// A check of a board.
    pub fn check(&self, board: &str, id: &str) -> Check {
        let found = self.checks(board).into_iter().filter(|check| check.id == id);
        let found: Vec<_> = found.collect();
        assert_eq!(found.len(), 1, "{board} has one check {id}: {found:?}");
        found[0].clone()
    }

    /// The checks of a board, as they came.
    pub fn checks(&self, board: &str) -> Vec<Check> {
        let checks = self.events().into_iter().filter_map(|event| match event.what {
            What::Check(check) if event.board.as_deref() == Some(board) => Some(check),
            _ => None,
        });
        checks.collect()
    }

    /// Ids of the checks of a board with this outcome.
    pub fn checks_that(&self, board: &str, outcome: CheckOutcome) -> Vec<String> {
        let checks = self.checks(board).into_iter();
        checks.filter(|check| check.outcome == outcome).map(|check| check.id).collect()
    }

    /// The phases of a board that were begun, in order. Each must have been ended, too.
    pub fn phases(&self, board: &str) -> Vec<Phase> {
        let (mut begun, mut ended) = (Vec::new(), Vec::new());
        for event in self.events() {
            match event.what {
                _ if event.board.as_deref() != Some(board) => {}
                What::PhaseStarted { phase } => begun.push(phase),
                What::PhaseEnded { phase, .. } => ended.push(phase),
                _ => {}
            }
        }
        assert_eq!(begun, ended, "every phase of {board} that began has its end");
        begun
    }

    /// The starts of a board's chip.
    pub fn starts(&self, board: &str) -> Vec<ChipStart> {
        let starts = self.events().into_iter().filter_map(|event| match event.what {
            What::ChipStart(start) if event.board.as_deref() == Some(board) => Some(start),
            _ => None,
        });
        starts.collect()
    }

    /// The notes of the run and its boards.
    pub fn notes(&self) -> Vec<String> {
        let notes = self.events().into_iter().filter_map(|event| match event.what {
            What::Note { text } => Some(text),
            _ => None,
        });
        notes.collect()
    }

    /// The run's id.
    pub fn run(&self) -> String {
        match &self.events()[0].what {
            What::RunStarted(run) => run.run.clone(),
            other => panic!("the first event is {other:?}"),
        }
    }

    /// A record is whole however its run ended: start and end of the run, each board's verdict and
    /// boot log, a summary that is marked complete, and JUnit XML.
    pub fn must_be_whole(&self) {
        let events = self.events();
        let Some(Event { what: What::RunStarted(started), .. }) = events.first() else {
            panic!("the first event is {:?}", events.first());
        };
        let Some(Event { what: What::RunEnded { verdict, .. }, .. }) = events.last() else {
            panic!("the last event is {:?}", events.last());
        };
        // Progress is reported by the flashing threads, and may be recorded a moment after its time.
        let others =
            events.iter().filter(|event| !matches!(event.what, What::FlashProgress { .. }));
        assert!(others.is_sorted_by_key(|event| event.at), "events are in their order");
        let summary = self.summary();
        assert_eq!(summary["complete"], true);
        assert_eq!(summary["run"], started.run);
        assert_eq!(summary["verdict"], serde_json::to_value(verdict).expect("JSON"));
        let junit = self.text("junit.xml");
        assert!(junit.starts_with("<?xml") && junit.trim_end().ends_with("</testsuites>"));
        for board in &started.boards {
            self.verdict(board);
            self.phases(board);
            assert!(junit.contains(&format!("testsuite name=\"{board}\"")), "{board} in junit.xml");
            assert!(self.file(board).join("boot.log").is_file(), "{board} has a boot log");
            assert!(self.file(board).join("boot.timed.log").is_file(), "{board} has a timed log");
        }
    }
}
