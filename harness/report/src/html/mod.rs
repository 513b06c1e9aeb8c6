//! `report.html`: a run on one page. It needs no server, and it runs no script: what a board sent
//! is in it as text, and a policy forbids the browser to run anything.

mod against;
mod board;
mod boot_log;
mod certificate;
mod certificate_plot;
mod crash;
mod document;
mod history;
mod memory;
mod page;
mod plot;
mod table;
mod trace;

pub use certificate::certificate_page;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use hilrig_core::event::{Event, What};
use hilrig_core::text::plain_lines;

use crate::heap::{Baseline, against};
use crate::history::{History, HistoryFilter, HistoryRow};
use crate::model::RunModel;
use crate::record::REPORT;
use crate::reporters::Reporter;
use hilrig_file::WholeFile;
use trace::Trace;

/// Runs that the history shows.
const MOST_RUNS: usize = 60;

/// Writes the page when the run is over.
pub struct HtmlFile {
    run: RunModel,
    traces: BTreeMap<String, Trace>,
    record: PathBuf,
    history: Option<PathBuf>,
    baseline: Option<Baseline>,
    file: WholeFile,
}

impl HtmlFile {
    /// The page of the record in this folder, which the boards' boot logs are read from.
    pub fn new(record: PathBuf) -> HtmlFile {
        let file = WholeFile::new(record.join(REPORT));
        HtmlFile {
            run: RunModel::default(),
            traces: BTreeMap::new(),
            record,
            history: None,
            baseline: None,
            file,
        }
    }

    /// The same with the runs of this history beside it, if it can be read.
    #[must_use]
    pub fn beside(self, history: PathBuf) -> HtmlFile {
        HtmlFile { history: Some(history), ..self }
    }

    /// The same, compared with this baseline.
    #[must_use]
    pub fn against(self, baseline: Baseline) -> HtmlFile {
        HtmlFile { baseline: Some(baseline), ..self }
    }

    /// The same, written elsewhere.
    #[must_use]
    pub fn to(self, path: &Path) -> HtmlFile {
        HtmlFile { file: WholeFile::new(path.into()), ..self }
    }

    /// The figures of the runs before this one, and of this one.
    fn rows(&self) -> Vec<HistoryRow> {
        let Some(path) = self.history.as_ref().filter(|path| path.exists()) else {
            return Vec::new();
        };
        let wanted = HistoryFilter { last: Some(MOST_RUNS), ..HistoryFilter::default() };
        let rows = History::read(path).and_then(|history| history.rows(&wanted));
        let mut rows = rows.unwrap_or_else(|error| {
            tracing::warn!("{error}");
            Vec::new()
        });
        // A page that is made again shows the history up to its own run.
        let started = self.run.started.as_ref().map_or("", |started| started.started.as_str());
        rows.retain(|row| row.started.as_str() < started);
        rows.extend(HistoryRow::of(&self.run));
        rows
    }

    fn write(&self) -> io::Result<()> {
        let compared = self.baseline.as_ref().map(|baseline| against(baseline, &self.run));
        let compared = compared.unwrap_or_default();
        let page = page::page(&self.run, &self.traces, &self.record, &self.rows(), &compared);
        self.file.write(plain_lines(&page.into_string()).as_bytes())
    }
}

impl Reporter for HtmlFile {
    fn name(&self) -> String {
        self.file.path().display().to_string()
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.run.add(event);
        if let Some(board) = &event.board {
            self.traces.entry(board.clone()).or_default().add(event.at, &event.what);
        }
        match event.what {
            What::RunEnded { .. } => self.write(),
            _ => Ok(()),
        }
    }

    /// A run that ended early, or a recorded one that was killed, has its page, too.
    fn finish(&mut self) -> io::Result<()> {
        match self.run.ended {
            Some(_) => Ok(()),
            None => self.write(),
        }
    }
}
