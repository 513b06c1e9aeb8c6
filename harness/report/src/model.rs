//! A run, folded from its events. Summary, JUnit and terminal all read this model.

use std::collections::BTreeMap;

use hilrig_core::callers::HeapCallers;
use hilrig_core::certify::Certificate;
use hilrig_core::check::{Check, CheckOutcome};
use hilrig_core::crash::Crash;
use hilrig_core::event::{BoardFacts, BrokerFacts, Event, RunStarted, What};
use hilrig_core::heap::{HeapLows, HeapPhase};
use hilrig_core::phase::{Phase, PhaseOutcome};
use hilrig_core::scenario::{ScenarioFound, SlopeFound};
use hilrig_core::start::ChipStart;
use hilrig_core::text::printable;
use hilrig_core::verdict::Verdict;

use crate::certificate::Certification;

/// Notes that are kept of a run, each once: a soak with a note for each restart has thousands.
const MOST_NOTES: usize = 200;

/// A run by its events, at any point of the stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunModel {
    /// What it started from.
    pub started: Option<RunStarted>,
    /// The broker that got ready; the last one, if one was started again.
    pub broker: Option<BrokerFacts>,
    /// What was found when the broker was gone.
    pub broker_lost: Option<String>,
    /// Notes on the bench, in order, each once; the first [`MOST_NOTES`] of them.
    pub notes: Vec<String>,
    /// The boards, in the order of the run's start; one that was not named there comes after.
    pub boards: Vec<BoardModel>,
    /// The certifications of brokers, in the order in which they began.
    pub certifications: Vec<Certification>,
    /// How it ended.
    pub ended: Option<RunEnd>,
    /// Seconds from the run's start to the last event.
    pub at: f64,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEnd {
    /// The verdict over all boards.
    pub verdict: Verdict,
    /// The process's exit code.
    pub exit_code: u8,
    /// Seconds in all.
    pub seconds: f64,
    /// Why it ended early or judged nothing.
    pub why: Option<String>,
}

/// A board by its events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BoardModel {
    /// Its name.
    pub name: String,
    /// What the run found it to be.
    pub facts: Option<BoardFacts>,
    /// When its path began, seconds from the run's start.
    pub started: Option<f64>,
    /// The phase that it is in.
    pub phase: Option<Phase>,
    /// Bytes written and bytes in all, while it is being flashed.
    pub progress: Option<(u64, u64)>,
    /// What the flash phase did.
    pub flash: Option<FlashResult>,
    /// The phases that ended, in order. A phase that was walked twice is there twice.
    pub phases: Vec<PhaseRun>,
    /// Checks with their outcomes, in order.
    pub checks: Vec<Check>,
    /// Starts of the chip, in order. The run reports a limited number.
    pub starts: Vec<ChipStart>,
    /// Crashes, in order. The run reports a limited number and counts the rest.
    pub crashes: Vec<Crash>,
    /// Lowest heap figures, phase by phase.
    pub heap: HeapLows,
    /// The heap by function when it was lowest, phase by phase.
    pub callers: BTreeMap<HeapPhase, HeapCallers>,
    /// The results of its scenarios, in order.
    pub scenarios: Vec<ScenarioFound>,
    /// How its path ended.
    pub end: Option<BoardEnd>,
}

/// What came of flashing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlashResult {
    /// Bytes written.
    pub bytes: u64,
    /// Seconds of the write phase.
    pub seconds: f64,
    /// The image was on the board already and was not written again.
    pub kept: bool,
    /// Read back and compared; `None` where the loader cannot read back.
    pub verified: Option<bool>,
    /// Rate of the serial line that it was last written at, baud.
    pub baud: Option<u32>,
}

/// A phase that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseRun {
    /// Which.
    pub phase: Phase,
    /// How.
    pub outcome: PhaseOutcome,
    /// Seconds it took.
    pub seconds: f64,
    /// Of these, the seconds in which the rig waited for board or broker.
    pub waited: f64,
    /// Why it failed.
    pub why: Option<String>,
}

/// The end of a board's path.
#[derive(Clone, Debug, PartialEq)]
pub struct BoardEnd {
    /// The verdict.
    pub verdict: Verdict,
    /// Seconds from its start.
    pub seconds: f64,
    /// Why it did not pass.
    pub why: Option<String>,
}

impl BoardModel {
    /// The checks that failed or could not be measured, without those that were skipped.
    pub fn checks_not_passed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.held() && !check.skipped)
    }

    /// How many checks the board did not get to, and why.
    pub fn checks_skipped(&self) -> Option<(usize, &str)> {
        let mut skipped = self.checks.iter().filter(|check| check.skipped);
        let first = skipped.next()?;
        Some((1 + skipped.count(), first.found.as_deref().unwrap_or("no reason was reported")))
    }

    /// The crashes that differ, each with how often it came again: a board that crashes at one
    /// place does so until somebody stops it.
    pub fn distinct_crashes(&self) -> Vec<(&Crash, usize)> {
        let same = |a: &Crash, b: &Crash| {
            (a.kind, a.cause, &a.cause_words, &a.frames)
                == (b.kind, b.cause, &b.cause_words, &b.frames)
        };
        let mut distinct: Vec<(&Crash, usize)> = Vec::new();
        for crash in &self.crashes {
            match distinct.iter_mut().find(|(known, _)| same(known, crash)) {
                Some((_, again)) => *again += 1,
                None => distinct.push((crash, 0)),
            }
        }
        distinct
    }

    /// The traces of the crashes that differ, as text for people; the first few, for the others are
    /// in the summary.
    pub(crate) fn traces(&self) -> String {
        const MOST: usize = 5;
        let distinct = self.distinct_crashes();
        let mut text = String::new();
        for (crash, again) in distinct.iter().take(MOST) {
            text.push_str(&format!("{crash}{}\n", came_again(*again)));
        }
        if let more @ 1.. = distinct.len().saturating_sub(MOST) {
            text.push_str(&format!("{more} more in summary.json\n"));
        }
        text
    }

    /// The verdict, once there is one.
    pub fn verdict(&self) -> Option<Verdict> {
        self.end.as_ref().map(|end| end.verdict)
    }
}

impl RunModel {
    /// The fold over a whole stream.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> RunModel {
        let mut model = RunModel::default();
        for event in events {
            model.add(event);
        }
        model
    }

    /// How many boards ended with this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.boards.iter().filter(|board| board.verdict() == Some(verdict)).count()
    }

    /// The board of this name.
    pub fn board(&self, name: &str) -> Option<&BoardModel> {
        self.boards.iter().find(|board| board.name == name)
    }

    /// The certificate of this broker, as it was asked for, without its digest; none before every
    /// case is over.
    pub fn certificate(&self, broker: &str) -> Option<Certificate> {
        let certification = self.certifications.iter().find(|of| of.broker == broker)?;
        certification.certificate(self.started.as_ref()?)
    }

    /// Takes the next event in.
    pub fn add(&mut self, event: &Event) {
        self.at = event.at;
        let of_a_broker = Certification::take(&mut self.certifications, &event.what);
        match &event.board {
            _ if of_a_broker => {}
            Some(name) => {
                let board = self.board_mut(name);
                board.add(event.at, &event.what);
            }
            None => self.add_run(&event.what),
        }
    }

    fn board_mut(&mut self, name: &str) -> &mut BoardModel {
        let at = self.boards.iter().position(|board| board.name == name).unwrap_or_else(|| {
            self.boards.push(BoardModel { name: name.into(), ..BoardModel::default() });
            self.boards.len() - 1
        });
        &mut self.boards[at]
    }

    fn add_run(&mut self, what: &What) {
        match what {
            What::RunStarted(run) => {
                for name in &run.boards {
                    self.board_mut(name);
                }
                self.started = Some(run.clone());
            }
            What::Note { text } => {
                if self.notes.len() < MOST_NOTES && !self.notes.contains(text) {
                    self.notes.push(text.clone());
                }
            }
            What::BrokerReady(broker) => self.broker = Some(broker.clone()),
            What::BrokerLost { found } => self.broker_lost = Some(found.clone()),
            What::RunEnded { verdict, exit_code, seconds, why } => {
                self.ended = Some(RunEnd {
                    verdict: *verdict,
                    exit_code: *exit_code,
                    seconds: *seconds,
                    why: why.clone(),
                });
            }
            // These are about boards.
            What::BoardStarted(_)
            | What::PhaseStarted { .. }
            | What::FlashProgress { .. }
            | What::Flashed { .. }
            | What::LogLine { .. }
            | What::ChipStart(_)
            | What::Crash(_)
            | What::Reply { .. }
            | What::Step { .. }
            | What::Scenario(_)
            | What::Heap(_)
            | What::HeapRead(_)
            | What::HeapCallers(_)
            | What::Check(_)
            | What::PhaseEnded { .. }
            | What::BoardEnded { .. } => {}
            What::CertifyStarted(_)
            | What::CaseStarted { .. }
            | What::CaseEnded(_)
            | What::CertifyEnded(_) => {}
        }
    }
}

impl BoardModel {
    fn add(&mut self, at: f64, what: &What) {
        match what {
            What::BoardStarted(facts) => {
                self.facts = Some(facts.clone());
                self.started.get_or_insert(at);
            }
            What::PhaseStarted { phase } => {
                self.phase = Some(*phase);
                self.progress = None;
            }
            What::FlashProgress { written, total } => self.progress = Some((*written, *total)),
            What::Flashed { bytes, seconds, kept, verified, baud } => {
                // A retry writes once more, and the board's time and wear are those of both.
                let before = self.flash.map_or((0, 0.0), |flash| (flash.bytes, flash.seconds));
                self.flash = Some(FlashResult {
                    bytes: before.0 + bytes,
                    seconds: before.1 + seconds,
                    kept: *kept,
                    verified: *verified,
                    baud: *baud,
                });
            }
            What::Scenario(found) => self.scenarios.push(found.clone()),
            What::Heap(sample) => self.heap.add(sample),
            What::Check(check) => self.checks.push(check.clone()),
            What::ChipStart(start) => self.starts.push(start.clone()),
            What::Crash(crash) => self.crashes.push(crash.clone()),
            What::PhaseEnded { phase, outcome, seconds, waited, why } => {
                self.phase = None;
                self.progress = None;
                self.phases.push(PhaseRun {
                    phase: *phase,
                    outcome: *outcome,
                    seconds: *seconds,
                    waited: *waited,
                    why: why.clone(),
                });
            }
            What::BoardEnded { verdict, seconds, why } => {
                self.phase = None;
                self.end =
                    Some(BoardEnd { verdict: *verdict, seconds: *seconds, why: why.clone() });
            }
            // A flood of lines or replies must not grow a run's memory: the record has them.
            What::LogLine { .. } | What::Reply { .. } | What::Step { .. } => {}
            // The check that compares it with the firmware's own figures reports it.
            What::HeapRead(_) => {}
            What::HeapCallers(callers) => {
                let known = self.callers.get(&callers.phase);
                if known.is_none_or(|known| callers.lowest_free < known.lowest_free) {
                    self.callers.insert(callers.phase, callers.clone());
                }
            }
            What::RunStarted(_)
            | What::Note { .. }
            | What::BrokerReady(_)
            | What::BrokerLost { .. }
            | What::CertifyStarted(_)
            | What::CaseStarted { .. }
            | What::CaseEnded(_)
            | What::CertifyEnded(_)
            | What::RunEnded { .. } => {}
        }
    }
}

/// A line on how often a crash came again; empty where it did not.
pub(crate) fn came_again(again: usize) -> String {
    match again {
        0 => String::new(),
        1 => "  the same came once more\n".into(),
        n => format!("  the same came {n} times more\n"),
    }
}

/// How the free heap moves with something, for tables: `-64.0 a reconnect (-64.3 to -63.9)`.
pub(crate) fn slope_words(found: &SlopeFound) -> String {
    let SlopeFound { each, slope, low, high } = found;
    let article = if each == "hour" { "an" } else { "a" };
    // No minus before a zero.
    let [slope, low, high] = [slope, low, high].map(|value| format!("{:+.1}", value + 0.0));
    format!("{slope} {article} {} ({low} to {high})", printable(each.as_bytes()))
}

/// The outcome of a check, for tables.
pub(crate) fn outcome_words(outcome: CheckOutcome) -> &'static str {
    match outcome {
        CheckOutcome::Held => "passed",
        CheckOutcome::NotHeld => "failed",
        CheckOutcome::NotMeasured => "not measured",
    }
}

#[cfg(test)]
mod tests {
    use hilrig_core::heap::{HeapRead, HeapSample, HeapSource};

    use super::*;

    /// Events of a soak, again and again.
    fn soak(model: &mut RunModel, from: u32, to: u32) {
        let mut report = |at: u32, board: Option<&str>, what| {
            model.add(&Event { at: f64::from(at), board: board.map(String::from), what });
        };
        for n in from..to {
            let board = Some("b-1");
            report(n, None, What::Note { text: format!("no Docker engine, {n}") });
            report(n, board, What::Note { text: format!("a note of the board, {n}") });
            report(n, board, What::LogLine { line: n.into(), text: "connected".into() });
            let (over, request, reply) = ("mqtt".into(), "GetSensors".into(), n.to_string());
            report(n, board, What::Reply { over, request, reply, seconds: 0.1 });
            let sample = HeapSample {
                phase: HeapPhase::Connected,
                lowest_free: 40_000 - u64::from(n % 1000),
                free: Some(45_000),
                lowest_ever: Some(30_000),
                largest: Some(20_000),
                fragmentation: Some(7),
                failures: Some(0),
                stack: None,
                source: HeapSource::Reply,
            };
            report(n, board, What::Heap(sample));
            let read = HeapRead { free: 1, lowest_ever: 1, failures: None };
            report(n, board, What::HeapRead(read));
            let (scenario, text) = ("soak".into(), "a message of 7 B, refused".into());
            report(n, board, What::Step { scenario, step: n, of: None, text, seconds: 0.1 });
        }
    }

    #[test]
    fn a_run_of_hours_is_kept_in_no_more_room_than_one_of_minutes() {
        let kept = |model: &RunModel| format!("{model:?}").len();
        let mut model = RunModel::default();
        soak(&mut model, 0, 1000);
        let (short, notes) = (kept(&model), model.notes.len());
        soak(&mut model, 1000, 100_000);
        // More digits of counters, and nothing else.
        assert!(kept(&model) <= short + 16, "{short} and then {}", kept(&model));
        assert_eq!((notes, model.notes.len()), (MOST_NOTES, MOST_NOTES));
        let low = model.boards[0].heap.get(HeapPhase::Connected).unwrap();
        assert_eq!((low.lowest_free, low.samples), (39_001, 100_000));
    }
}
