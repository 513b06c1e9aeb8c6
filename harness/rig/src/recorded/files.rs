//! The files of a run's record, and the bench's history.

use hilrig_core::config::Config;
use hilrig_report::heap::Baseline;
use hilrig_report::{
    CertificateFiles, EVENTS, EventsFile, HISTORY, History, HtmlFile, JUNIT, JunitFile, Record,
    Reporter, Reporters, RunModel, SUMMARY, SummaryFile, TerminalStream,
};

use crate::Error;

/// The reporters that write the record, then `more`, then the terminal.
pub fn reporters(
    record: &Record,
    config: &Config,
    baseline: Option<Baseline>,
    more: Vec<Box<dyn Reporter>>,
    terminal: Option<TerminalStream>,
) -> Result<Reporters, Error> {
    let events = EventsFile::create(&record.file(EVENTS)).map_err(|error| {
        Error::rig(format!("making {}: {error}", record.file(EVENTS).display()))
    })?;
    let mut page = HtmlFile::new(record.folder().into()).beside(config.records.join(HISTORY));
    if let Some(baseline) = baseline {
        page = page.against(baseline);
    }
    let mut reporters: Vec<Box<dyn Reporter>> = vec![
        Box::new(events),
        Box::new(SummaryFile::new(record.file(SUMMARY))),
        Box::new(JunitFile::new(record.file(JUNIT))),
        Box::new(CertificateFiles::new(record.folder().into())),
        Box::new(page),
    ];
    reporters.extend(more);
    reporters.extend(
        terminal.map(|stream| hilrig_report::terminal(stream, Some(record.folder().into()))),
    );
    Ok(Reporters::new(reporters))
}

/// Adds the run to the bench's history. The record is complete, so a history that cannot be written loses nothing and
/// is no fault of the run.
pub fn remember(config: &Config, run: &RunModel, record: &Record) -> Result<(), String> {
    History::open(&config.records.join(HISTORY))
        .and_then(|mut history| history.add(run, record.folder()))
        .map_err(|error| error.to_string())
}
