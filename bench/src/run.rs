//! One `hilrig run`, and what its events say of where the time went.

use std::path::Path;
use std::process::Command;
use std::time::UNIX_EPOCH;

use hilrig_core::contract::Contract;
use hilrig_core::event::{Event, What};
use hilrig_core::phase::Phase;
use hilrig_core::verdict::Verdict;
use hilrig_report::{EVENTS, RunModel, read_events};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::place;
use crate::process::{Usage, measured};

/// A run that passed.
pub struct MeasuredRun {
    /// What the process took.
    pub usage: Usage,
    /// Its result.
    pub model: RunModel,
    events: Vec<Event>,
    /// Seconds from the process's start to the start of its events' clock.
    lead: f64,
}

/// Where a run of one board left its time, seconds.
pub struct Shares {
    /// From the process's start to the first phase.
    pub before: f64,
    /// Between the phases.
    pub between: f64,
    /// Each phase: seconds, and those of them in which board or broker were at work.
    pub phases: Vec<(Phase, f64, f64)>,
    /// From the board's verdict to the end of the broker.
    pub broker_stop: f64,
    /// From the last phase to the process's end, without that.
    pub after: f64,
}

impl Shares {
    /// The rig's own seconds inside the phases.
    pub fn in_phases(&self) -> f64 {
        self.phases.iter().map(|(_, seconds, waited)| seconds - waited).sum()
    }

    /// All of the rig's own seconds.
    pub fn own(&self) -> f64 {
        self.before + self.between + self.in_phases() + self.after
    }
}

impl MeasuredRun {
    /// Runs `boards` virtual boards with a broker of this kind.
    pub fn new(hilrig: &Path, boards: usize, broker: &str) -> Result<MeasuredRun, String> {
        let dir = tempfile::tempdir().map_err(|error| format!("making a folder: {error}"))?;
        let record = dir.path().join("record");
        let mut command = Command::new(hilrig);
        command.current_dir(place::workspace());
        command.args(["run", "--virtual", &boards.to_string(), "--broker", broker, "--record"]);
        let usage = measured(command.arg(&record)).map_err(|e| format!("running hilrig: {e}"))?;
        if usage.code != Some(0) {
            // A verdict and its reason are in the summary; what went before that, on stderr.
            let summary = std::fs::read_to_string(record.join(hilrig_report::SUMMARY));
            let why = summary.unwrap_or_default();
            let why: Vec<&str> = why.lines().filter(|line| line.contains("\"why\"")).collect();
            return Err(format!(
                "`hilrig run` ended with {:?}: {} {}",
                usage.code,
                usage.stderr.trim(),
                why.join(" ").trim()
            ));
        }
        let events = read_events(&record.join(EVENTS)).map_err(|error| error.to_string())?.events;
        let model = RunModel::of(&events);
        if model.count(Verdict::Passed) != boards {
            return Err(format!("{} of {boards} boards passed", model.count(Verdict::Passed)));
        }
        let started = model.started.as_ref().map_or("", |started| started.started.as_str());
        let started = OffsetDateTime::parse(started, &Rfc3339)
            .map_err(|error| format!("the run's start `{started}`: {error}"))?;
        let spawned = usage.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let lead = started.unix_timestamp_nanos() as f64 / 1e9 - spawned;
        Ok(MeasuredRun { usage, model, events, lead })
    }

    /// Where the time went; for a run of one board.
    pub fn shares(&self) -> Result<Shares, String> {
        let board = self.model.boards.first().ok_or("the run has no board")?;
        let at = |wanted: fn(&What) -> bool| {
            let mut times = self.events.iter().filter(|event| wanted(&event.what));
            (times.next().map(|event| event.at), times.next_back().map(|event| event.at))
        };
        let (first, _) = at(|what| matches!(what, What::PhaseStarted { .. }));
        let (_, last) = at(|what| matches!(what, What::PhaseEnded { .. }));
        let (verdict, _) = at(|what| matches!(what, What::BoardEnded { .. }));
        let (end, _) = at(|what| matches!(what, What::RunEnded { .. }));
        let (Some(first), Some(last), Some(verdict), Some(end)) = (first, last, verdict, end)
        else {
            return Err("the run's events are not whole".into());
        };
        let phases: Vec<_> =
            board.phases.iter().map(|run| (run.phase, run.seconds, run.waited)).collect();
        let before = self.lead + first;
        let in_phases: f64 = phases.iter().map(|(_, seconds, _)| seconds).sum();
        let broker_stop = end - verdict;
        Ok(Shares {
            before,
            between: last - first - in_phases,
            phases,
            broker_stop,
            after: self.usage.wall - before - (last - first) - broker_stop,
        })
    }

    /// Seconds that each connection to the broker took: from the line that reports that MQTT mode is
    /// up to the one with `connected` (TCP, TLS with the broker's certificate checked, CONNACK).
    pub fn handshakes(&self, contract: &Contract) -> Vec<f64> {
        let up = contract.mqtt.last();
        let lines = self.events.iter().filter_map(|event| match &event.what {
            What::LogLine { text, .. } => Some((event.board.as_deref(), event.at, text.as_str())),
            _ => None,
        });
        let mut since = std::collections::BTreeMap::new();
        let mut seconds = Vec::new();
        for (board, at, text) in lines {
            if up.is_some_and(|up| up.is_match(text)) {
                since.insert(board, at);
            } else if contract.connection.connected.is_match(text) {
                seconds.extend(since.remove(&board).map(|since| at - since));
            }
        }
        seconds
    }

    /// How often a board came up in either mode, over all boards.
    pub fn boots(&self, contract: &Contract) -> usize {
        let last = [contract.configuration.last(), contract.mqtt.last()];
        let ups = self.events.iter().filter(|event| match &event.what {
            What::LogLine { text, .. } => last.iter().flatten().any(|line| line.is_match(text)),
            _ => false,
        });
        ups.count()
    }
}

/// The lines that the bundled firmware prints.
pub fn contract() -> Result<Contract, String> {
    let path = place::workspace().join("firmware/contract.toml");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("reading {}: {error}", path.display()))?;
    Contract::parse(&path, &text).map_err(|error| error.to_string())
}
