//! The command line of `hilrig run`, and the options that other commands share with it.

use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use hilrig::load::{BoardSelection, ScenarioSelection};
use hilrig::{BrokerChoice, RunRequest};
use hilrig_broker::BrokerDescription;
use hilrig_core::config::{BoardKind, BrokerKind};
use hilrig_core::scenario::{FEWEST_STEPS, Scenario};
use hilrig_core::units::Span;

use super::{ConfigArg, kind_of};

/// The heading of the options that select boards.
pub const BOARDS: &str = "Boards";
/// The heading of the options that select scenarios.
const SCENARIOS: &str = "Scenarios";

/// `hilrig run`.
#[derive(Debug, clap::Args)]
pub struct Run {
    #[command(flatten)]
    pub config: ConfigArg,
    #[command(flatten)]
    pub boards: BoardArgs,
    /// Write the record into this folder, which must be new or empty.
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
    /// Flash even if the image is already on the board.
    #[arg(long)]
    pub flash: bool,
    /// Run the heap-tracing image (`callers` in the configuration).
    #[arg(long)]
    pub callers: bool,
    #[command(flatten)]
    pub broker: BrokerArg,
    /// Seed of all random choices, to repeat an earlier run.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..1 << 53))]
    pub seed: Option<u64>,
    #[command(flatten)]
    pub scenarios: Scenarios,
}

impl Run {
    /// As the library takes it.
    pub fn request(&self) -> RunRequest {
        RunRequest {
            boards: self.boards.selection(),
            scenarios: self.scenarios.selection(),
            callers: self.callers,
            force_flash: self.flash,
            broker: self.broker.broker.clone(),
            seed: self.seed,
            record: self.record.clone(),
            ..RunRequest::new(&self.config.config)
        }
    }
}

/// What runs after the main path.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Scenarios {
    /// Run this scenario after the main path (may be given more than once).
    #[arg(long, help_heading = SCENARIOS, value_name = "NAME")]
    pub scenario: Vec<ScenarioName>,
    /// Number of steps of each scenario; overrides the configuration.
    #[arg(long, help_heading = SCENARIOS, value_name = "N", requires = "scenario",
        value_parser = clap::value_parser!(u32).range(i64::from(FEWEST_STEPS)..=100_000))]
    pub count: Option<u32>,
    /// Length of a soak, such as "10 min"; overrides the configuration.
    #[arg(long = "for", help_heading = SCENARIOS, value_name = "TIME", requires = "scenario", value_parser = time)]
    pub soak_for: Option<Span>,
}

impl Scenarios {
    /// As the library takes them.
    pub fn selection(&self) -> ScenarioSelection {
        ScenarioSelection {
            scenarios: self.scenario.iter().map(|name| Scenario::from(*name)).collect(),
            steps: self.count,
            soak: self.soak_for,
        }
    }
}

/// A scenario, as on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScenarioName {
    /// TLS connections, one after another.
    Handshake,
    /// Requests of the configuration page, one after another and at once.
    Page,
    /// MQTT messages up to the buffer's size and beyond.
    Payload,
    /// Restarts of the broker.
    Reconnect,
    /// A mix of everything in MQTT mode, for a time.
    Soak,
}

impl From<ScenarioName> for Scenario {
    fn from(name: ScenarioName) -> Scenario {
        match name {
            ScenarioName::Handshake => Scenario::Handshake,
            ScenarioName::Page => Scenario::Page,
            ScenarioName::Payload => Scenario::Payload,
            ScenarioName::Reconnect => Scenario::Reconnect,
            ScenarioName::Soak => Scenario::Soak,
        }
    }
}

fn time(text: &str) -> Result<Span, String> {
    Span::parse(text)
}

/// The boards of a run.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct BoardArgs {
    /// Run this many virtual boards instead of the configured ones.
    #[arg(long = "virtual", help_heading = BOARDS, value_name = "N", conflicts_with = "board")]
    pub virtual_boards: Option<std::num::NonZeroUsize>,
    /// Kind of the virtual boards; overrides the configuration.
    #[arg(long, help_heading = BOARDS, value_name = "KIND", requires = "virtual_boards",
        value_parser = virtual_kind())]
    pub kind: Option<BoardKind>,
    /// Run only the board of this name (may be given more than once).
    #[arg(long, help_heading = BOARDS, value_name = "NAME")]
    pub board: Vec<String>,
}

impl BoardArgs {
    /// As the library takes them.
    pub fn selection(&self) -> BoardSelection {
        BoardSelection {
            virtual_boards: self.virtual_boards.map(usize::from),
            kind: self.kind,
            names: self.board.clone(),
        }
    }
}

/// The kinds of virtual board.
fn virtual_kind() -> impl TypedValueParser<Value = BoardKind> {
    kind_of(|kind| kind.is_virtual())
}

/// The broker of a run.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct BrokerArg {
    /// The broker by its name, or where it runs; overrides the configuration.
    #[arg(long, value_name = "BROKER", value_parser = broker_choice())]
    pub broker: Option<BrokerChoice>,
}

const BROKER_KINDS: [(&str, &str, BrokerKind); 3] = [
    ("auto", "In a container if a Docker engine answers, else as a process", BrokerKind::Auto),
    ("container", "In a container", BrokerKind::Container),
    ("process", "As a process on this machine", BrokerKind::Process),
];

fn broker_choice() -> impl TypedValueParser<Value = BrokerChoice> {
    let kinds = BROKER_KINDS.iter().map(|(word, help, _)| PossibleValue::new(*word).help(*help));
    let names = BrokerDescription::all().iter().map(|one| one.name.as_str());
    let named = names.map(PossibleValue::new);
    PossibleValuesParser::new(kinds.chain(named)).map(|word| {
        let kind = BROKER_KINDS.iter().find(|(one, ..)| *one == word);
        kind.map_or(BrokerChoice::Named(word), |(.., kind)| BrokerChoice::Kind(*kind))
    })
}
