//! `hilrig report`.

use std::path::{Path, PathBuf};

use hilrig_core::event::{Event, What};
use hilrig_report::{
    CertificateFiles, EVENTS, HISTORY, HtmlFile, JUNIT, JunitFile, Reporter, RunModel, SUMMARY,
    SummaryFile, annotations, markdown, read_events, replay,
};

use crate::args::{self, ReportFormat};
use crate::error::{Failure, print, warn};

/// Makes a report of a recorded run.
pub fn report(args: &args::Report) -> Result<u8, Failure> {
    let (folder, events) = recorded(&args.record)?;
    let out = |name: &str| args.out.clone().unwrap_or_else(|| folder.join(name));
    match args.format {
        ReportFormat::Html => {
            let mut html = HtmlFile::new(folder.clone());
            // A record mostly lies in the folder of records, and the history beside it.
            if let Some(records) = folder.canonicalize().ok().as_deref().and_then(Path::parent) {
                html = html.beside(records.join(HISTORY));
            }
            if let Some(out) = &args.out {
                html = html.to(out);
            }
            write(&events, html)
        }
        ReportFormat::Summary => write(&events, SummaryFile::new(out(SUMMARY))),
        ReportFormat::Junit => write(&events, JunitFile::new(out(JUNIT))),
        ReportFormat::Certificates => {
            write(&events, CertificateFiles::new(args.out.clone().unwrap_or(folder)))
        }
        ReportFormat::Markdown => text(args, &markdown(&RunModel::of(&events))),
        ReportFormat::Annotations => text(args, &annotations(&RunModel::of(&events))),
    }
}

/// The record's folder and its events. The events' file itself may be named, too.
fn recorded(record: &Path) -> Result<(PathBuf, Vec<Event>), Failure> {
    let folder = match record.is_file() {
        true => record.parent().unwrap_or(Path::new("")).to_owned(),
        false => record.to_owned(),
    };
    let file = if record.is_file() { record.to_owned() } else { folder.join(EVENTS) };
    let recorded = read_events(&file).map_err(Failure::usage)?;
    if !recorded.events.iter().any(|event| matches!(event.what, What::RunStarted(_))) {
        return Err(Failure::usage(format!(
            "{} has no `run_started`: the run was ended before it began, or this is no record. Name the folder of a run's record",
            file.display()
        )));
    }
    if let Some(torn) = &recorded.torn {
        warn(&format!(
            "{} is incomplete: its last line, {}, is torn and left out",
            file.display(),
            torn.line
        ));
    }
    if !recorded.events.iter().any(|event| matches!(event.what, What::RunEnded { .. })) {
        warn(&format!(
            "{} is incomplete: it has no `run_ended`. The run goes on, or was killed; what is reported is what it came to so far",
            file.display()
        ));
    }
    Ok((folder, recorded.events))
}

fn write(events: &[Event], mut reporter: impl Reporter) -> Result<u8, Failure> {
    replay(events, &mut reporter)
        .map_err(|error| Failure::rig(format!("writing {}: {error}", reporter.name())))?;
    print(&format!("{}\n", reporter.name()))
}

fn text(args: &args::Report, text: &str) -> Result<u8, Failure> {
    match &args.out {
        None => print(text),
        Some(out) => {
            std::fs::write(out, text)
                .map_err(|error| Failure::rig(format!("writing {}: {error}", out.display())))?;
            print(&format!("{}\n", out.display()))
        }
    }
}
