//! `hilrig report`.

use std::path::{Path, PathBuf};

use hilrig_report::{
    CertificateFiles, EVENTS, HISTORY, HtmlFile, JUNIT, JunitFile, Reporter, RunModel, SUMMARY,
    SummaryFile, annotations, for_each_event, markdown,
};

use crate::args::{self, ReportFormat};
use crate::error::{Failure, print, warn};

/// Makes a report of a recorded run.
pub fn report(args: &args::Report) -> Result<u8, Failure> {
    let Recorded { folder, file, run } = recorded(&args.record)?;
    let write = |reporter: &mut dyn Reporter| write(&file, reporter);
    let out = |name: &str| args.out.clone().unwrap_or_else(|| folder.join(name));
    match args.format {
        ReportFormat::Html => {
            let mut html = HtmlFile::new(folder.clone());
            // Usually the record is in the folder of records, next to the history.
            if let Some(records) = folder.canonicalize().ok().as_deref().and_then(Path::parent) {
                html = html.beside(records.join(HISTORY));
            }
            if let Some(out) = &args.out {
                html = html.to(out);
            }
            write(&mut html)
        }
        ReportFormat::Summary => write(&mut SummaryFile::new(out(SUMMARY))),
        ReportFormat::Junit => write(&mut JunitFile::new(out(JUNIT))),
        ReportFormat::Certificates => {
            write(&mut CertificateFiles::new(args.out.clone().unwrap_or(folder)))
        }
        ReportFormat::Markdown => text(args, &markdown(&run)),
        ReportFormat::Annotations => text(args, &annotations(&run)),
    }
}

/// A record and the model of its events.
struct Recorded {
    folder: PathBuf,
    file: PathBuf,
    run: RunModel,
}

/// Reads the events one by one, because those of a long run are large. `record` is the folder or the file of
/// events.
fn recorded(record: &Path) -> Result<Recorded, Failure> {
    let folder = match record.is_file() {
        true => record.parent().unwrap_or(Path::new("")).to_owned(),
        false => record.to_owned(),
    };
    let file = if record.is_file() { record.to_owned() } else { folder.join(EVENTS) };
    let mut run = RunModel::default();
    let torn = for_each_event(&file, |event| run.add(&event)).map_err(Failure::usage)?;
    if run.started.is_none() {
        return Err(Failure::usage(format!(
            "{} has no `run_started`: the run was ended before it began, or this is no record. Name the folder of a run's record",
            file.display()
        )));
    }
    if let Some(torn) = &torn {
        warn(&format!(
            "{} is incomplete: its last line, {}, is torn and left out",
            file.display(),
            torn.line
        ));
    }
    if run.ended.is_none() {
        warn(&format!(
            "{} is incomplete: it has no `run_ended`. The run goes on, or was killed; what is reported is what it came to so far",
            file.display()
        ));
    }
    Ok(Recorded { folder, file, run })
}

fn write(file: &Path, reporter: &mut dyn Reporter) -> Result<u8, Failure> {
    let mut written = Ok(());
    for_each_event(file, |event| {
        if written.is_ok() {
            written = reporter.event(&event);
        }
    })
    .map_err(Failure::usage)?;
    written
        .and_then(|()| reporter.finish())
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
