//! Everything that a run reports, as one stream of events.
//!
//! Reporters only read events, so a recorded stream (`events.jsonl`, one event a line, documented in
//! docs/reference/events.md) can be replayed into any of them. Text from a board or a broker is made
//! printable before it gets into an event.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::callers::HeapCallers;
use crate::certify::{CaseEnded, CertifyEnded, CertifyStarted};
use crate::check::Check;
use crate::crash::Crash;
use crate::heap::{HeapPhase, HeapRead, HeapSample};
use crate::mac::Mac;
use crate::phase::{Phase, PhaseOutcome};
use crate::scenario::ScenarioFound;
use crate::sections::Section;
use crate::start::ChipStart;
use crate::text::Secrets;
use crate::verdict::Verdict;

/// Version of the event schema. It increases when readers of the older one would fail.
pub const SCHEMA: u32 = 1;

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Seconds since the run started, on a clock that never steps.
    pub at: f64,
    /// Its board, or none for the run itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub board: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// First event of a run.
    RunStarted(RunStarted),
    /// A note about the bench: what was removed, what was skipped and why.
    Note {
        /// The text.
        text: String,
    },
    /// A broker answers a TLS connection with CONNACK.
    BrokerReady(BrokerFacts),
    /// The broker ended while boards still need it.
    BrokerLost {
        /// What was found.
        found: String,
    },
    /// A board's run begins.
    BoardStarted(BoardFacts),
    /// A phase begins.
    PhaseStarted {
        /// Which.
        phase: Phase,
    },
    /// Bytes written to the flash so far.
    FlashProgress {
        /// Written, bytes.
        written: u64,
        /// Bytes to write in all.
        total: u64,
    },
    /// The result of the flash phase.
    Flashed {
        /// Bytes written; 0 when the image was on the board already.
        bytes: u64,
        /// Seconds of the write phase.
        seconds: f64,
        /// The image was known to be on the board and was not written again.
        kept: bool,
        /// Read back and compared; `None` where the chip's loader cannot read back.
        verified: Option<bool>,
        /// Rate of the serial line that it was written at, baud.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        baud: Option<u32>,
    },
    /// A boot log line that the run was waiting for.
    LogLine {
        /// Line of the boot log, counted from 1.
        line: u64,
        /// The line as printable text.
        text: String,
    },
    /// The chip started, by its ROM's text.
    ChipStart(ChipStart),
    /// The board crashed, or several crashes and starts show a boot loop or a brownout.
    Crash(Crash),
    /// A request was answered.
    Reply {
        /// How it was sent: `http` or `mqtt`.
        over: String,
        /// The request.
        request: String,
        /// The answer as printable text.
        reply: String,
        /// Seconds from the request to the answer.
        seconds: f64,
    },
    /// A step of a scenario worked; the heap figures before it are those after the step.
    Step {
        /// The scenario.
        scenario: String,
        /// Which step, counted from 1.
        step: u32,
        /// How many there are; `None` where the scenario has a duration.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        of: Option<u32>,
        /// What it was.
        text: String,
        /// Its seconds.
        seconds: f64,
    },
    /// The result of a scenario.
    Scenario(ScenarioFound),
    /// A set of heap figures.
    Heap(HeapSample),
    /// Heap figures that were read from the board's memory while it ran.
    HeapRead(HeapRead),
    /// Who had the heap allocated when it was lowest in a phase.
    HeapCallers(HeapCallers),
    /// A check with its outcome.
    Check(Check),
    /// A phase ended.
    PhaseEnded {
        /// Which.
        phase: Phase,
        /// How.
        outcome: PhaseOutcome,
        /// Seconds it took.
        seconds: f64,
        /// Of these, the seconds in which the rig waited for the board or the broker.
        waited: f64,
        /// Why it failed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        why: Option<String>,
    },
    /// A board's run ended.
    BoardEnded {
        /// The verdict.
        verdict: Verdict,
        /// Seconds from its start.
        seconds: f64,
        /// Why it did not pass, in a line.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        why: Option<String>,
    },
    /// The certification of a broker begins.
    CertifyStarted(CertifyStarted),
    /// A case of the matrix begins; with its board, if it has one.
    CaseStarted {
        /// The broker as named on the command line.
        broker: String,
        /// The case.
        id: String,
    },
    /// A case ended, or was left out with a reason. A repeated event replaces the earlier one.
    CaseEnded(Box<CaseEnded>),
    /// The certification of a broker ended: all cases were reported.
    CertifyEnded(Box<CertifyEnded>),
    /// Last event of a run.
    RunEnded {
        /// The verdict over all boards.
        verdict: Verdict,
        /// The process's exit code.
        exit_code: u8,
        /// Seconds in all.
        seconds: f64,
        /// Why the run ended early or has no verdict.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        why: Option<String>,
    },
}

/// What a run starts with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// Schema of the events, [`SCHEMA`].
    pub schema: u32,
    /// hilrig's version.
    pub hilrig: String,
    /// The run's id: unique on a bench, and the name of its record's folder.
    pub run: String,
    /// Wall clock at the start, RFC 3339, UTC.
    pub started: String,
    /// The seed of everything random in the run.
    pub seed: u64,
    /// The commit of the configuration's git repository, followed by `+` where files are changed; `None`
    /// outside of a git repository.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// The firmware of each kind of board.
    pub firmware: Vec<FirmwareFacts>,
    /// The form fields that are set on every board, without secrets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub settings: BTreeMap<String, String>,
    /// The scenarios of the run, as `handshake:20` (steps) or `soak:600s`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub scenarios: Vec<String>,
    /// Lowest free heap that a phase must keep, bytes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub floors: BTreeMap<HeapPhase, u64>,
    /// The boards of the run.
    pub boards: Vec<String>,
}

/// A firmware image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareFacts {
    /// The kind of board that it is for.
    pub kind: String,
    /// File, as the configuration names it.
    pub image: String,
    /// Size, bytes.
    pub bytes: u64,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    /// Its build id, where the contract has a pattern for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub build: Option<String>,
    /// It is the heap-tracing image: its heap figures are not those of another image.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub keeps_callers: bool,
    /// Its static memory, by its ELF file; empty without one.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sections: Vec<Section>,
    /// Lowest free heap that a phase must keep on this kind, bytes, in place of the run's `floors`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub floors: BTreeMap<HeapPhase, u64>,
}

impl RunStarted {
    /// The floors of the boards of a kind.
    pub fn floors_of(&self, kind: &str) -> BTreeMap<HeapPhase, u64> {
        let mut floors = self.floors.clone();
        let own = self.firmware.iter().filter(|firmware| firmware.kind == kind);
        floors.extend(
            own.flat_map(|firmware| &firmware.floors).map(|(phase, floor)| (*phase, *floor)),
        );
        floors
    }
}

/// A board, as the run found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardFacts {
    /// `virtual` or `esp8266`.
    pub kind: String,
    /// Its serial port.
    pub port: String,
    /// Its MAC, where it is known before the boot log shows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mac: Option<Mac>,
}

/// A broker that is ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrokerFacts {
    /// `container` or `process`.
    pub kind: String,
    /// `mosquitto`.
    pub software: String,
    /// Its version, as it reports it.
    pub version: String,
    /// The image or the executable.
    pub from: String,
    /// Its TLS versions and the keys of its certificates.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tls: Option<String>,
    /// Port of the listener with the run's certificate.
    pub port: u16,
    /// Seconds from the start to the first CONNACK over TLS.
    pub seconds: f64,
}

/// Where events go. It never blocks on anything slower than a file.
pub trait EventSink: Send + Sync {
    /// Gets one event.
    fn emit(&self, event: Event);
}

impl What {
    /// Masks each text that may be from a board or a broker.
    fn mask(&mut self, secrets: &Secrets) {
        for text in self.texts() {
            if let Cow::Owned(masked) = secrets.mask(text) {
                *text = masked;
            }
        }
    }

    fn texts(&mut self) -> Vec<&mut String> {
        match self {
            What::Note { text } | What::LogLine { text, .. } | What::Step { text, .. } => {
                vec![text]
            }
            What::BrokerLost { found } => vec![found],
            What::Scenario(found) => found.stopped.iter_mut().collect(),
            What::Reply { request, reply, .. } => vec![request, reply],
            What::Check(check) => {
                [Some(&mut check.title), check.found.as_mut()].into_iter().flatten().collect()
            }
            What::ChipStart(start) => vec![&mut start.reset, &mut start.boots],
            What::Crash(crash) => crash.texts(),
            What::CaseEnded(ended) => ended.result.texts(),
            What::PhaseEnded { why, .. }
            | What::BoardEnded { why, .. }
            | What::RunEnded { why, .. } => why.iter_mut().collect(),
            What::RunStarted(_)
            | What::BrokerReady(_)
            | What::BoardStarted(_)
            | What::PhaseStarted { .. }
            | What::FlashProgress { .. }
            | What::Flashed { .. }
            | What::Heap(_)
            | What::HeapRead(_)
            | What::CertifyStarted(_)
            | What::CaseStarted { .. }
            | What::CertifyEnded(_)
            | What::HeapCallers(_) => Vec::new(),
        }
    }
}

/// A handle for the run's events. It adds the time and masks the secrets.
#[derive(Clone)]
pub struct Events {
    sink: Arc<dyn EventSink>,
    secrets: Arc<Secrets>,
    start: std::time::Instant,
    /// Locked from the clock to the sink, because threads report the progress of flashing: events are in the
    /// order of their times.
    order: Arc<Mutex<Told>>,
}

/// The most notes that are remembered; a run has a few.
const MOST_NOTES: usize = 4096;

/// What was reported so far.
#[derive(Default)]
struct Told {
    /// Hashes of the notes, each with its board.
    notes: HashSet<u64>,
    /// The run has started and not ended.
    running: bool,
}

impl Told {
    /// Whether the event is new: a note is reported once.
    fn news(&mut self, board: Option<&str>, what: &What) -> bool {
        match what {
            What::RunStarted(_) => self.running = true,
            What::RunEnded { .. } => self.running = false,
            What::Note { text } if self.notes.len() < MOST_NOTES => {
                let mut hasher = DefaultHasher::new();
                (board, text).hash(&mut hasher);
                return self.notes.insert(hasher.finish());
            }
            _ => {}
        }
        true
    }
}

impl Events {
    /// The run starts now.
    pub fn new(sink: Arc<dyn EventSink>, secrets: Secrets) -> Events {
        Events {
            sink,
            secrets: Arc::new(secrets),
            start: std::time::Instant::now(),
            order: Arc::default(),
        }
    }

    /// When the run started.
    pub fn start(&self) -> std::time::Instant {
        self.start
    }

    /// Whether the run has started and not ended.
    pub fn are_running(&self) -> bool {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).running
    }

    /// Reports an event of the run.
    pub fn run(&self, what: What) {
        self.emit(None, what);
    }

    /// Reports an event of a board.
    pub fn board(&self, board: &str, what: What) {
        self.emit(Some(board.to_owned()), what);
    }

    fn emit(&self, board: Option<String>, mut what: What) {
        what.mask(&self.secrets);
        let mut in_order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if !in_order.news(board.as_deref(), &what) {
            return;
        }
        // Microseconds are precise enough, and short to read.
        let at = (self.start.elapsed().as_secs_f64() * 1e6).round() / 1e6;
        self.sink.emit(Event { at, board, what });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<Event>>);

    impl EventSink for Kept {
        fn emit(&self, event: Event) {
            self.0.lock().unwrap().push(event);
        }
    }

    #[test]
    fn a_note_is_told_once_and_of_each_board() {
        let kept = Arc::new(Kept::default());
        let events = Events::new(kept.clone(), Secrets::default());
        let note = |text: &str| What::Note { text: text.into() };
        for _ in 0..169 {
            events.run(note("no Docker engine"));
            events.board("b", note("no Docker engine"));
        }
        events.run(note("another"));
        assert_eq!(kept.0.lock().unwrap().len(), 3);
    }

    #[test]
    fn a_secret_is_in_no_event() {
        let kept = Arc::new(Kept::default());
        let events = Events::new(kept.clone(), Secrets::new(["hunter2".into()]));
        let secret = || "pw=hunter2".to_owned();
        events.run(What::Note { text: secret() });
        events.run(What::BrokerLost { found: secret() });
        events.board("b", What::LogLine { line: 1, text: secret() });
        events.board("b", What::Check(Check::of("id", secret(), true, secret())));
        let reply =
            What::Reply { over: "http".into(), request: secret(), reply: secret(), seconds: 0.0 };
        events.board("b", reply);
        let verdict = Verdict::Failed;
        events.board("b", What::BoardEnded { verdict, seconds: 0.0, why: Some(secret()) });
        let text = serde_json::to_string(&*kept.0.lock().unwrap()).unwrap();
        assert!(!text.contains("hunter2") && text.matches("pw=***").count() == 8, "{text}");
    }
}
