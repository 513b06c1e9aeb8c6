//! The command lines of the commands that read what is recorded.

use std::path::PathBuf;

use clap::ValueEnum;

/// `hilrig report`.
#[derive(Debug, clap::Args)]
pub struct Report {
    /// The record: its folder, or the events.jsonl in it.
    pub record: PathBuf,
    /// Format of the report.
    #[arg(long, value_name = "FORMAT", default_value = "html")]
    pub format: ReportFormat,
    /// Output file. By default files go into the record, and text to standard output.
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What a report can be.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ReportFormat {
    /// report.html, a page for people.
    Html,
    /// summary.json.
    Summary,
    /// junit.xml.
    Junit,
    /// Markdown for a job summary or a comment on GitHub.
    Markdown,
    /// GitHub workflow commands, one for each board that did not pass.
    Annotations,
    /// certificate.json and certificate.md of each certified broker, in a folder each.
    Certificates,
}

/// `hilrig decode`.
#[derive(Debug, clap::Args)]
pub struct Decode {
    /// ELF file of the firmware, to resolve addresses to function, file and line.
    #[arg(long, value_name = "FILE")]
    pub elf: Option<PathBuf>,
    /// Contract of the firmware: its patterns find the build in the log and in the ELF, and the line that the
    /// firmware prints when it is up. By default those of the bundled firmware.
    #[arg(long, value_name = "FILE")]
    pub contract: Option<PathBuf>,
    /// Print one line of JSON for each finding.
    #[arg(long)]
    pub json: bool,
    /// Regular expression of the line that the firmware prints when it is up: starts with such a line
    /// between them are no boot loop. By default the bundled firmware's `Mode: ... Running`.
    #[arg(long, value_name = "REGEX")]
    pub up: Option<String>,
    /// The log; `-` is standard input.
    pub log: PathBuf,
}
