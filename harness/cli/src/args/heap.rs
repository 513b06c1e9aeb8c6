//! The command line of `hilrig heap`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use hilrig::heap::BootsRequest;
use hilrig::load::BoardSelection;
use hilrig::{BrokerChoice, RunRequest};

use super::{BoardArgs, ConfigArg, Scenarios, broker_choice};

/// The commands of `hilrig heap`.
#[derive(Debug, Subcommand)]
pub enum HeapCommand {
    /// Write the figures of some boots into the baseline, a file to be committed.
    Accept(HeapBoots),
    /// Fail where a board has less heap than the baseline says.
    Check(HeapCheck),
    /// Show who held the heap when it was lowest, of a run with the image that keeps it.
    Callers(HeapCallers),
    /// Put two runs, commits or files side by side.
    Diff(HeapDiff),
    /// Find the commit that cost the heap, by halves as `git bisect` does.
    Bisect(HeapBisect),
    /// Show the runs so far as a table and a plot, or export them.
    History(HeapHistory),
}

/// `hilrig heap accept` and `hilrig heap check`.
#[derive(Debug, clap::Args)]
pub struct HeapBoots {
    #[command(flatten)]
    pub config: ConfigArg,
    /// Run this many virtual boards in place of the configured ones.
    #[arg(long = "virtual", value_name = "N", conflicts_with = "board")]
    pub virtual_boards: Option<std::num::NonZeroUsize>,
    /// Run only the board of this name (may be given more than once).
    #[arg(long, value_name = "NAME")]
    pub board: Vec<String>,
    /// Only boards of this kind (may be given more than once); of the baseline, a check judges only these.
    #[arg(long, value_name = "KIND")]
    pub kind: Vec<String>,
    /// Which broker, by its name, or where it runs; overrides the configuration.
    #[arg(long, value_name = "BROKER", value_parser = broker_choice())]
    pub broker: Option<BrokerChoice>,
    /// Folder that the records go into, in place of the configuration's.
    #[arg(long, value_name = "DIR")]
    pub records: Option<PathBuf>,
    /// How many runs the figures are taken from.
    #[arg(long, value_name = "N", default_value = "5")]
    pub boots: std::num::NonZeroUsize,
    #[command(flatten)]
    pub scenarios: Scenarios,
    /// Take the figures from these records, and run nothing.
    #[arg(long, value_name = "RECORD", num_args = 1.., conflicts_with_all = ["boots", "virtual_boards", "board", "broker", "scenario"])]
    pub from: Vec<PathBuf>,
    /// The baseline; left out, heap-baseline.toml beside the configuration.
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
                broker: self.broker.clone(),
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
    /// Judge only what has TEXT in its name, such as `tls_mfl=512` (may be given more than once);
    /// `measured`: only what these boots measure.
    #[arg(long, value_name = "TEXT")]
    pub only: Vec<String>,
    /// What to print.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: HeapFormat,
}

/// How figures side by side are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HeapFormat {
    /// Tables.
    Text,
    /// One JSON object (docs/heap.md).
    Json,
    /// JUnit XML: a test case for each figure.
    Junit,
    /// Markdown for a job's summary or a comment on GitHub.
    Markdown,
}

/// `hilrig heap callers`.
#[derive(Debug, clap::Args)]
pub struct HeapCallers {
    #[command(flatten)]
    pub config: ConfigArg,
    #[command(flatten)]
    pub boards: BoardArgs,
    /// Which broker, by its name, or where it runs; overrides the configuration.
    #[arg(long, value_name = "BROKER", value_parser = broker_choice())]
    pub broker: Option<BrokerChoice>,
    /// Folder that the record goes into, in place of the configuration's.
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
    /// Another.
    pub after: PathBuf,
    #[command(flatten)]
    pub config: ConfigArg,
    /// Build a commit that has no figures and boot it, in a working tree of its own, and one that does
    /// not tell who holds the heap once more with the image that does.
    #[arg(long)]
    pub measure: bool,
    /// Builds what is checked out; run by `sh -c` in the repository's top folder.
    #[arg(long, value_name = "COMMAND", default_value = "make firmware", requires = "measure")]
    pub build: String,
    /// Run this many virtual boards in place of the configured ones.
    #[arg(long = "virtual", value_name = "N", requires = "measure")]
    pub virtual_boards: Option<std::num::NonZeroUsize>,
    /// How many runs the figures of a commit are taken from.
    #[arg(long, value_name = "N", default_value = "5", requires = "measure")]
    pub boots: std::num::NonZeroUsize,
    /// What to print.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: HeapFormat,
}

/// `hilrig heap bisect`.
#[derive(Debug, clap::Args)]
pub struct HeapBisect {
    #[command(flatten)]
    pub config: ConfigArg,
    /// A commit that left enough free.
    #[arg(long, value_name = "COMMIT")]
    pub good: String,
    /// A commit that leaves less.
    #[arg(long, value_name = "COMMIT", default_value = "HEAD")]
    pub bad: String,
    /// Builds what is checked out; run by `sh -c` in the repository's top folder.
    #[arg(long, value_name = "COMMAND", default_value = "make firmware")]
    pub build: String,
    /// Run this many virtual boards in place of the configured ones.
    #[arg(long = "virtual", value_name = "N")]
    pub virtual_boards: Option<std::num::NonZeroUsize>,
    /// How many runs each commit's figures are taken from.
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
    /// The last so many runs.
    #[arg(long, value_name = "N", default_value = "50")]
    pub last: std::num::NonZeroUsize,
    /// What to print.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: HistoryFormat,
}

/// How the history is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum HistoryFormat {
    /// A table and a plot.
    Table,
    /// One figure a line.
    Csv,
    /// The same as an array of objects.
    Json,
    /// Bencher Metric Format, of the last run.
    Bencher,
    /// OpenMetrics text, of each board's last run.
    Openmetrics,
}
