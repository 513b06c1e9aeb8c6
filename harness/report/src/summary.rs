//! `summary.json`: the result of a run, for other tools.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use serde::Serialize;

use hilrig_core::callers::HeapCallers;
use hilrig_core::certify::Tally;
use hilrig_core::certify::certificate::{Profile, Required, Verdict as CaseVerdict};
use hilrig_core::check::Check;
use hilrig_core::crash::Crash;
use hilrig_core::event::{BrokerFacts, Event, FirmwareFacts, What};
use hilrig_core::heap::{HeapLows, HeapPhase};
use hilrig_core::mac::Mac;
use hilrig_core::phase::{Phase, PhaseOutcome};
use hilrig_core::scenario::ScenarioFound;
use hilrig_core::start::ChipStart;
use hilrig_core::text::plain_json;
use hilrig_core::verdict::Verdict;

use crate::certificate::Certification;
use crate::model::{BoardModel, FlashResult, RunModel};
use crate::record::{BOOT_LOG, CERTIFICATE, folder_of};
use crate::reporters::Reporter;
use hilrig_file::WholeFile;

/// Version of the summary's schema. It rises when a reader of an older one would go wrong.
const SCHEMA: u32 = 1;

/// A run's summary. The fields are described in docs/reference/summary.md.
#[derive(Debug, PartialEq, Serialize)]
struct Summary<'a> {
    schema: u32,
    complete: bool,
    hilrig: Option<&'a str>,
    run: Option<&'a str>,
    started: Option<&'a str>,
    seed: Option<u64>,
    verdict: Option<Verdict>,
    exit_code: Option<u8>,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    firmware: &'a [FirmwareFacts],
    broker: Option<&'a BrokerFacts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broker_lost: Option<&'a str>,
    boards: Vec<BoardSummary<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certifications: Vec<CertificationSummary<'a>>,
    notes: &'a [String],
}

#[derive(Debug, PartialEq, Serialize)]
struct CertificationSummary<'a> {
    name: &'a str,
    complete: bool,
    software: Option<&'a str>,
    version: Option<&'a str>,
    certificate: Option<String>,
    tally: Tally,
    not_held: Vec<&'a str>,
    profile: Option<Profile>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policy: Vec<Required>,
}

#[derive(Debug, PartialEq, Serialize)]
struct BoardSummary<'a> {
    name: &'a str,
    kind: Option<&'a str>,
    port: Option<&'a str>,
    mac: Option<Mac>,
    verdict: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    seconds: Option<f64>,
    boot_log: String,
    flashed_bytes: u64,
    flash: Option<FlashSummary>,
    checks: &'a [Check],
    starts: &'a [ChipStart],
    crashes: &'a [Crash],
    phases: Vec<PhaseSummary<'a>>,
    heap: &'a HeapLows,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    callers: &'a BTreeMap<HeapPhase, HeapCallers>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    scenarios: &'a [ScenarioFound],
}

#[derive(Debug, PartialEq, Serialize)]
struct FlashSummary {
    bytes: u64,
    seconds: f64,
    kept: bool,
    verified: Option<bool>,
    baud: Option<u32>,
}

#[derive(Debug, PartialEq, Serialize)]
struct PhaseSummary<'a> {
    phase: Phase,
    outcome: PhaseOutcome,
    seconds: f64,
    waited: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

/// Microseconds are plenty, and short to read.
fn micros(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

impl<'a> Summary<'a> {
    /// The summary of a run, which need not be over.
    fn of(run: &'a RunModel) -> Summary<'a> {
        let started = run.started.as_ref();
        let ended = run.ended.as_ref();
        Summary {
            schema: SCHEMA,
            complete: ended.is_some(),
            hilrig: started.map(|s| s.hilrig.as_str()),
            run: started.map(|s| s.run.as_str()),
            started: started.map(|s| s.started.as_str()),
            seed: started.map(|s| s.seed),
            verdict: ended.map(|e| e.verdict),
            exit_code: ended.map(|e| e.exit_code),
            seconds: micros(ended.map_or(run.at, |e| e.seconds)),
            why: ended.and_then(|e| e.why.as_deref()),
            firmware: started.map_or(&[], |s| s.firmware.as_slice()),
            broker: run.broker.as_ref(),
            broker_lost: run.broker_lost.as_deref(),
            boards: run.boards.iter().map(BoardSummary::of).collect(),
            certifications: run
                .certifications
                .iter()
                .map(|of| CertificationSummary::of(of, run))
                .collect(),
            notes: &run.notes,
        }
    }

    /// As the file holds it.
    fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|json| json + "\n")
    }
}

impl<'a> CertificationSummary<'a> {
    fn of(certification: &'a Certification, run: &RunModel) -> CertificationSummary<'a> {
        let facts = certification.ended.as_ref().map(|ended| &ended.facts);
        let not_held =
            certification.cases.iter().filter(|case| case.verdict == CaseVerdict::NotHeld);
        let folder = || format!("{}/{CERTIFICATE}", folder_of(&certification.broker));
        let certificate = run.certificate(&certification.broker);
        CertificationSummary {
            name: &certification.broker,
            complete: certification.ended.is_some(),
            software: facts.map(|facts| facts.software.as_str()),
            version: facts.map(|facts| facts.version.as_str()),
            certificate: certification.ended.is_some().then(folder),
            tally: certification.tally(),
            not_held: not_held.map(|case| case.id.as_str()).collect(),
            profile: certificate.as_ref().and_then(|of| of.profile.clone()),
            policy: certificate.map(|of| of.policy).unwrap_or_default(),
        }
    }
}

impl<'a> BoardSummary<'a> {
    fn of(board: &'a BoardModel) -> BoardSummary<'a> {
        let facts = board.facts.as_ref();
        let end = board.end.as_ref();
        BoardSummary {
            name: &board.name,
            kind: facts.map(|f| f.kind.as_str()),
            port: facts.map(|f| f.port.as_str()),
            mac: facts.and_then(|f| f.mac),
            verdict: end.map(|e| e.verdict),
            why: end.and_then(|e| e.why.as_deref()),
            seconds: end.map(|e| micros(e.seconds)),
            boot_log: format!("{}/{BOOT_LOG}", folder_of(&board.name)),
            flashed_bytes: board.flash.map_or(0, |flash| flash.bytes),
            flash: board.flash.map(FlashSummary::of),
            checks: &board.checks,
            starts: &board.starts,
            crashes: &board.crashes,
            phases: board
                .phases
                .iter()
                .map(|run| PhaseSummary {
                    phase: run.phase,
                    outcome: run.outcome,
                    seconds: micros(run.seconds),
                    waited: micros(run.waited),
                    why: run.why.as_deref(),
                })
                .collect(),
            heap: &board.heap,
            callers: &board.callers,
            scenarios: &board.scenarios,
        }
    }
}

impl FlashSummary {
    fn of(flash: FlashResult) -> FlashSummary {
        let FlashResult { bytes, seconds, kept, verified, baud } = flash;
        FlashSummary { bytes, seconds: micros(seconds), kept, verified, baud }
    }
}

/// Writes the summary at the end, and whenever a board ends: so that the verdicts so far outlive a
/// run that is killed.
pub struct SummaryFile {
    run: RunModel,
    file: WholeFile,
}

impl SummaryFile {
    /// Writes to `path`, replacing what is there.
    pub fn new(path: PathBuf) -> SummaryFile {
        SummaryFile { run: RunModel::default(), file: WholeFile::new(path) }
    }

    fn write(&self) -> io::Result<()> {
        let json = Summary::of(&self.run).to_json()?;
        self.file.write(plain_json(&json).as_bytes())
    }
}

impl Reporter for SummaryFile {
    fn name(&self) -> String {
        self.file.path().display().to_string()
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.run.add(event);
        match event.what {
            // From the start on, so that a record shows which board has no verdict yet.
            What::RunStarted(_)
            | What::BoardEnded { .. }
            | What::CertifyEnded(_)
            | What::RunEnded { .. } => self.write(),
            _ => Ok(()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.write()
    }
}
