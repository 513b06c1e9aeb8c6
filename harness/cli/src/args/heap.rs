//! The command line of `hilrig heap`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use hilrig::RunRequest;
use hilrig::heap::BootsRequest;
use hilrig::load::BoardSelection;

use super::run::BOARDS;
use super::{BoardArgs, BrokerArg, ConfigArg, Scenarios};

/// The commands of `hilrig heap`.
#[derive(Debug, Subcommand)]
pub enum HeapCommand {
    /// Measure some boots and write their figures into the baseline, a file to commit.
    Accept(HeapBoots),
    /// Measure some boots and fail if a board has less heap than the baseline.
    Check(HeapCheck),
    /// Show which functions had allocated the heap when it was lowest (heap-tracing image).
    Callers(HeapCallers),
    /// Compare two runs, commits or files.
    Diff(HeapDiff),
    /// Find the commit that costs heap, as `git bisect` does.
    Bisect(HeapBisect),
    /// Show all runs as a table and a plot, or export them.
    History(HeapHistory),
}

/// `hilrig heap accept` and `hilrig heap check`.
#[derive(Debug, clap::Args)]
pub struct HeapBoots {
    #[command(flatten)]
    pub config: ConfigArg,
    /// Run this many virtual boards instead of the configured ones.
    #[arg(long = "virtual", help_heading = BOARDS, value_name = "N", conflicts_with = "board")]
    pub virtual_boards: Option<std::num::NonZeroUsize>,
    /// Run only the board of this name (may be given more than once).
    #[arg(long, help_heading = BOARDS, value_name = "NAME")]
    pub board: Vec<String>,
    /// Run and judge only boards of this kind (may be given more than once).
    #[arg(long, help_heading = BOARDS, value_name = "KIND")]
    pub kind: Vec<String>,
    #[command(flatten)]
    pub broker: BrokerArg,
    /// Folder for the records; overrides the configuration.
    #[arg(long, value_name = "DIR")]
    pub records: Option<PathBuf>,
    /// Number of runs to measure.
    #[arg(long, value_name = "N", default_value = "5")]
    pub boots: std::num::NonZeroUsize,
    #[command(flatten)]
    pub scenarios: Scenarios,
    /// Use the figures of these records, and run nothing.
    #[arg(long, value_name = "RECORD", num_args = 1.., conflicts_with_all = ["boots", "virtual_boards", "board", "broker", "scenario"])]
    pub from: Vec<PathBuf>,
    /// The baseline. By default heap-baseline.toml next to the configuration.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
}

impl HeapBoots {
    /// As the library takes it.
    pub fn request(&self) -> BootsRequest {
        let boards = BoardSelection {
            virtual_boards: self.virtual_boards.map(usize::from),
            kind: None,
            names: self.board.clone(),
        };
        BootsRequest {
            run: RunRequest {
                boards,
                scenarios: self.scenarios.selection(),
                broker: self.broker.broker.clone(),
                records: self.records.clone(),
                ..RunRequest::new(&self.config.config)
            },
            kinds: self.kind.clone(),
            boots: self.boots.get(),
            from: self.from.clone(),
            baseline: self.baseline.clone(),
        }
    }
}

/// `hilrig heap check`.
#[derive(Debug, clap::Args)]
pub struct HeapCheck {
    #[command(flatten)]
    pub boots: HeapBoots,
    /// Judge only entries with TEXT in their name, such as `tls_mfl=512` (may be given more than once).
    /// `measured` judges only what these boots measured.
    #[arg(long, value_name = "TEXT")]
    pub only: Vec<String>,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: HeapFormat,
}

/// The format of compared figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HeapFormat {
    /// Tables.
    Text,
    /// One JSON object (docs/heap.md).
    Json,
    /// JUnit XML, a test case for each figure.
    Junit,
    /// Markdown for a job summary or a comment on GitHub.
    Markdown,
}

/// `hilrig heap callers`.
#[derive(Debug, clap::Args)]
pub struct HeapCallers {
    #[command(flatten)]
    pub config: ConfigArg,
    #[command(flatten)]
    pub boards: BoardArgs,
    #[command(flatten)]
    pub broker: BrokerArg,
    /// Folder for the records; overrides the configuration.
    #[arg(long, value_name = "DIR")]
    pub records: Option<PathBuf>,
    /// Show this record, and run nothing.
    #[arg(long, value_name = "RECORD", conflicts_with_all = ["virtual_boards", "board", "broker", "records", "scenario"])]
    pub from: Option<PathBuf>,
    #[command(flatten)]
    pub scenarios: Scenarios,
}

/// `hilrig heap diff`.
#[derive(Debug, clap::Args)]
pub struct HeapDiff {
    /// A record's folder, a baseline (.toml), a run's id (or `latest`), or a commit.
    pub before: PathBuf,
    /// What to compare it with.
    pub after: PathBuf,
    #[command(flatten)]
    pub config: ConfigArg,
    /// Build and boot a commit that has no figures, in a separate working tree; then boot its
    /// heap-tracing image if the other side has the heap's callers.
    #[arg(long)]
    pub measure: bool,
    /// Build command; run by `sh -c` in the top folder of the repository.
    #[arg(long, value_name = "COMMAND", default_value = "make firmware", requires = "measure")]
    pub build: String,
    /// Run this many virtual boards instead of the configured ones.
    #[arg(long = "virtual", value_name = "N", requires = "measure")]
    pub virtual_boards: Option<std::num::NonZeroUsize>,
    /// Number of runs to measure for each commit.
    #[arg(long, value_name = "N", default_value = "5", requires = "measure")]
    pub boots: std::num::NonZeroUsize,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: HeapFormat,
}

/// `hilrig heap bisect`.
#[derive(Debug, clap::Args)]
pub struct HeapBisect {
    #[command(flatten)]
    pub config: ConfigArg,
    /// A commit that leaves enough heap free.
    #[arg(long, value_name = "COMMIT")]
    pub good: String,
    /// A commit that leaves less heap free.
    #[arg(long, value_name = "COMMIT", default_value = "HEAD")]
    pub bad: String,
    /// Build command; run by `sh -c` in the top folder of the repository.
    #[arg(long, value_name = "COMMAND", default_value = "make firmware")]
    pub build: String,
    /// Run this many virtual boards instead of the configured ones.
    #[arg(long = "virtual", value_name = "N")]
    pub virtual_boards: Option<std::num::NonZeroUsize>,
    /// Number of runs to measure for each commit.
    #[arg(long, value_name = "N", default_value = "5")]
    pub boots: std::num::NonZeroUsize,
    #[command(flatten)]
    pub scenarios: Scenarios,
}

/// `hilrig heap history`.
#[derive(Debug, clap::Args)]
pub struct HeapHistory {
    #[command(flatten)]
    pub config: ConfigArg,
    /// Only boards of this kind.
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Only the board of this name.
    #[arg(long, value_name = "NAME")]
    pub board: Option<String>,
    /// Only this many of the last runs.
    #[arg(long, value_name = "N", default_value = "50")]
    pub last: std::num::NonZeroUsize,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: HistoryFormat,
}

/// How the history is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum HistoryFormat {
    /// A table and a plot.
    Table,
    /// CSV, one figure a line.
    Csv,
    /// JSON, an array of figures.
    Json,
    /// Bencher Metric Format, of the last run.
    Bencher,
    /// OpenMetrics text, of each board's last run.
    Openmetrics,
}
