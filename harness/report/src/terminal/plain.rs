//! The run as plain lines, for CI logs and pipes.

use std::io::{self, Write};
use std::path::PathBuf;

use hilrig_core::event::{BrokerFacts, Event, What};
use hilrig_core::phase::PhaseOutcome;

use super::progress::ScenarioProgress;
use super::style::TerminalStyle;
use super::{crash, table, words};
use crate::model::RunModel;
use crate::reporters::Reporter;

/// One line for each change of phase and each verdict, and the table at the end.
pub struct Plain<W> {
    out: W,
    looks: TerminalStyle,
    record: Option<PathBuf>,
    run: RunModel,
    names: usize,
    progress: ScenarioProgress,
}

impl<W: Write + Send> Plain<W> {
    /// Writes to `out`. `record` is named at the end.
    pub fn new(out: W, looks: TerminalStyle, record: Option<PathBuf>) -> Plain<W> {
        Plain {
            out,
            looks,
            record,
            run: RunModel::default(),
            names: 0,
            progress: ScenarioProgress::default(),
        }
    }

    /// The line for an event, where it is worth one.
    fn line(&self, event: &Event) -> Option<String> {
        let looks = self.looks;
        let model = event.board.as_ref().and_then(|name| self.run.board(name));
        Some(match &event.what {
            What::RunStarted(run) => words::run(run),
            What::Note { text } => words::block(text, 0),
            What::BrokerReady(broker) => {
                let BrokerFacts { port, seconds, .. } = broker;
                format!("{}, port {port}, ready in {seconds:.3} s", words::broker(broker))
            }
            What::BrokerLost { found } => {
                looks.bad(&format!("broker lost: {}", words::clean(found)))
            }
            What::BoardStarted(facts) => words::board(facts),
            What::PhaseStarted { phase } => phase.words().to_owned(),
            What::Flashed { .. } => words::flashed(model?.flash.as_ref()?),
            What::Check(check) if !check.held() && !check.skipped => {
                looks.bad(&words::check(check))
            }
            What::Crash(_) if model?.crashes.len() > crash::MOST_LINES => return None,
            What::Crash(crash) => looks.bad(&crash::in_a_line(crash)),
            What::PhaseEnded { phase, outcome, seconds, why, .. } => {
                let how = match outcome {
                    PhaseOutcome::Done => return None,
                    PhaseOutcome::Failed => "failed",
                    PhaseOutcome::RigFault => "rig fault",
                    PhaseOutcome::Interrupted => "interrupted",
                };
                let why = why.as_deref().map(|why| format!(": {}", words::block(why, 0)));
                let why = why.unwrap_or_default();
                looks.bad(&format!("{}: {how} after {seconds:.3} s{why}", phase.words()))
            }
            What::BoardEnded { .. } => {
                let board = model?;
                let mut end = board.end.clone()?;
                // The line of the failed phase has the reason.
                end.why.take_if(|_| board.phases.last().is_some_and(|run| run.why.is_some()));
                words::end(&end, looks, 0)
            }
            What::CertifyStarted(started) => words::certify(started),
            What::CaseEnded(ended) => words::case(&ended.broker, &ended.result, looks),
            What::CaseStarted { .. }
            | What::CertifyEnded(_)
            | What::FlashProgress { .. }
            | What::LogLine { .. }
            | What::Reply { .. }
            | What::Step { .. }
            | What::Scenario(_)
            | What::Heap(_)
            | What::HeapRead(_)
            | What::HeapCallers(_)
            | What::Check(_)
            | What::ChipStart(_)
            | What::RunEnded { .. } => return None,
        })
    }
}

impl<W: Write + Send> Reporter for Plain<W> {
    fn name(&self) -> String {
        "terminal".into()
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.run.add(event);
        if matches!(event.what, What::RunStarted(_)) {
            self.names = words::name_columns(self.run.boards.iter().map(|b| b.name.as_str()));
        }
        self.progress.add(event);
        let mut lines = String::new();
        let mut put = |name: Option<&String>, text: &str| {
            let name = name.map(|name| format!("{:<1$}  ", words::clean(name), self.names));
            let name = name.unwrap_or_default();
            for line in text.lines() {
                lines += &format!("[{:>8.3}s] {name}{line}\n", event.at);
            }
        };
        if let Some(text) = self.line(event) {
            put(event.board.as_ref(), &text);
        }
        // A scenario goes on for hours without a line of its own.
        for (name, text) in self.progress.due(event.at) {
            put(Some(&name), &text);
        }
        if lines.is_empty() {
            return Ok(());
        }
        self.out.write_all(lines.as_bytes())?;
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.write_all(table::end(&self.run, self.looks, self.record.as_deref()).as_bytes())?;
        self.out.flush()
    }
}
