//! The command lines of the commands that read what is recorded.

use std::path::PathBuf;

use clap::ValueEnum;

/// `hilrig report`.
#[derive(Debug, clap::Args)]
pub struct Report {
    /// The record: its folder, or the events.jsonl in it.
    pub record: PathBuf,
    /// What to make.
    #[arg(long, value_name = "FORMAT", default_value = "html")]
    pub format: ReportFormat,
    /// Where to; files go into the record and text to the terminal unless it is named.
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What a report can be.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ReportFormat {
    /// One page for people, report.html.
    Html,
    /// summary.json.
    Summary,
    /// junit.xml.
    Junit,
    /// Markdown for a job's summary or a comment on GitHub.
    Markdown,
    /// GitHub's workflow commands, one for each board that did not pass.
    Annotations,
    /// certificate.json and certificate.md of each broker that the run certified, in a folder each.
    Certificates,
}

/// `hilrig decode`.
#[derive(Debug, clap::Args)]
pub struct Decode {
    /// The firmware's ELF, to turn addresses into function, file and line.
    #[arg(long, value_name = "FILE")]
    pub elf: Option<PathBuf>,
    /// One line of JSON for each finding.
    #[arg(long)]
    pub json: bool,
    /// Regular expression of a line which says that the firmware came up: starts with such a line
    /// in between are no boot loop. By default the bundled firmware's `Mode: ... Running`.
    #[arg(long, value_name = "REGEX")]
    pub up: Option<String>,
    /// The log; `-` is standard input.
    pub log: PathBuf,
}
