//! The command line.

mod certify;
mod heap;

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};
use hilrig::attach::BoardName;
use hilrig::load::{BoardSelection, ScenarioSelection};
use hilrig::{BrokerChoice, RunRequest};
use hilrig_broker::Software;
use hilrig_core::config::{BoardKind, BrokerKind};
use hilrig_core::mac::Mac;
use hilrig_core::scenario::{FEWEST_STEPS, Scenario};
use hilrig_core::units::Span;

pub use certify::{Certify, CertifyCheck, CertifyCommand, CertifyDiff, CertifyRun, CertifyShow};
pub use heap::{
    HeapBisect, HeapBoots, HeapCallers, HeapCheck, HeapCommand, HeapDiff, HeapFormat, HeapHistory,
    HistoryFormat,
};

const EXIT_CODES: &str = "\
Exit codes:
    0  every board passed
    1  hilrig itself went wrong
    2  the command line or the configuration cannot be used
  100  a board failed its checks
  120  rig fault: the bench had trouble of its own, and a board was not judged

HILRIG_LOG=debug shows what hilrig does inside (levels as in Rust's env filters).";

/// Flash boards, talk TLS to them, and judge them by boot log, replies and lowest free heap.
#[derive(Debug, Parser)]
#[command(name = "hilrig", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole path on every board, and judge them.
    #[command(after_help = "\
Examples:
  hilrig run                           the boards of runner-config.toml
  hilrig run --virtual 8               eight virtual boards instead
  hilrig run --board bench-1 --flash   one board, flashed even if the image is on it
  hilrig run --record out/nightly      the record in this folder
  hilrig run --scenario reconnect --count 50
  hilrig run --scenario soak --for \"2 h\"")]
    Run(Run),
    /// List what is attached, and which board of the configuration it is.
    #[command(after_help = "\
Chip and MAC are those of the last time that the board was asked; nothing is touched. --ask resets
every board on a USB adapter, unless another run has it.

Examples:
  hilrig boards
  hilrig boards --ask
  hilrig boards --json | jq '.ports[] | select(.board == null)'")]
    Boards(Boards),
    /// Write a firmware image to a board.
    #[command(after_help = "\
Examples:
  hilrig flash --board bench-1                       the configuration's image
  hilrig flash --port /dev/ttyUSB0 firmware.bin      any board, any image
  hilrig flash --port /dev/ttyACM0 --kind esp32c3 firmware.elf")]
    Flash(Flash),
    /// Show what a board says, with times, heap figures and crash text picked out.
    #[command(after_help = "\
Examples:
  hilrig monitor --board bench-1
  hilrig monitor --port /dev/ttyUSB0 --baud 74880 --reset")]
    Monitor(Monitor),
    /// Switch a board's power, by the power line that the configuration names.
    #[command(after_help = "\
A board that a run has is left alone.

Examples:
  hilrig power --board bench-1 cycle
  hilrig power --board bench-1 off")]
    Power(Power),
    /// Run a virtual board on its own: a serial port that any tool can use.
    #[command(after_help = "\
Prints one line of JSON when it is ready, and runs until it is stopped:
  {\"port\":\"/dev/pts/5\",\"control\":\"...\",\"http\":\"127.0.0.1:23456\",\"mac\":\"18:fe:34:...\"}

Examples:
  hilrig virtual-board --state board-1
  esptool --chip esp8266 --port PORT --before no-reset --after no-reset --no-stub write-flash 0 firmware.bin
  hilrig monitor --port PORT --control CONTROL --reset")]
    VirtualBoard(VirtualBoard),
    /// Find the crashes in a recorded log, and where in the firmware they were.
    #[command(after_help = "\
Times, quotes, colours and what web pages make of a dump are taken off first. Exit code 0 whether
or not a crash is found, 2 where a file cannot be read. The JSON lines: docs/reference/decode.md.

Examples:
  hilrig decode --elf firmware.elf boot.log
  hilrig monitor --port /dev/ttyUSB0 | hilrig decode --elf firmware.elf -
  hilrig decode --json issue.txt | jq 'select(.kind != \"start\")'")]
    Decode(Decode),
    /// Make a report of a recorded run.
    #[command(after_help = "\
Examples:
  hilrig report hilrig-records/latest                       report.html in the record
  hilrig report hilrig-records/latest --format markdown >> $GITHUB_STEP_SUMMARY
  hilrig report hilrig-records/latest --format annotations")]
    Report(Report),
    /// Follow the free heap from commit to commit.
    #[command(after_help = "\
Examples:
  hilrig heap accept                        five boots, written to heap-baseline.toml
  hilrig heap check                         five boots, compared with it
  hilrig heap check --kind virtual --format junit > heap.xml
  hilrig heap check --from hilrig-records/20261122-* --baseline heap-baseline.toml
  hilrig heap diff hilrig-records/A latest  two runs, by record or by id
  hilrig heap diff v1.2 HEAD --measure      two commits, built and booted where they have no figures
  hilrig heap bisect --good v1.2            the commit since v1.2 that cost heap
  hilrig heap history --last 30
  hilrig heap history --format csv > heap.csv")]
    Heap {
        /// What to do.
        #[command(subcommand)]
        command: HeapCommand,
    },
    /// Certify brokers for small devices: which TLS settings a board can talk to, and what they cost.
    #[command(after_help = "\
Exit code 100 where a case that must hold did not, 0 where all of these held that could be run.

Examples:
  hilrig certify                                   mosquitto, with the boards of runner-config.toml
  hilrig certify --broker all --virtual 8          each broker that is installed, on eight virtual boards
  hilrig certify --broker broker.example:8883 --ca ca.pem --user u --password-file secret
  hilrig certify --case mfln-512 --case wrong-pin
  hilrig certify --list
  hilrig certify check hilrig-records/latest
  hilrig certify show hilrig-records/latest --markdown >> $GITHUB_STEP_SUMMARY
  hilrig certify show certificate.json --html -o certificate.html
  hilrig certify diff hilrig-records/A hilrig-records/B")]
    Certify(Box<Certify>),
    /// Tell what this machine has and what is missing, with the command that mends it.
    #[command(after_help = "\
Examples:
  hilrig doctor
  hilrig doctor --config bench/runner-config.toml || echo \"not ready\"")]
    Doctor(Doctor),
    /// Write a commented runner-config.toml for the boards that are attached.
    #[command(after_help = "\
Examples:
  hilrig init                            runner-config.toml in this folder
  hilrig init --ask                      the boards' chips and MACs in it
  hilrig init bench/runner-config.toml")]
    Init(Init),
    /// Print a completion script.
    #[command(after_help = "\
Examples:
  hilrig completions bash > ~/.local/share/bash-completion/completions/hilrig
  hilrig completions fish > ~/.config/fish/completions/hilrig.fish")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// The configuration file.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigArg {
    /// Configuration file.
    #[arg(long, value_name = "FILE", default_value = "runner-config.toml")]
    pub config: PathBuf,
}

/// The boards of a run.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct BoardArgs {
    /// Run this many virtual boards in place of the configured ones.
    #[arg(long = "virtual", value_name = "N", conflicts_with = "board")]
    pub virtual_boards: Option<std::num::NonZeroUsize>,
    /// The kind of these virtual boards; overrides the configuration.
    #[arg(long, value_name = "KIND", requires = "virtual_boards", value_parser = virtual_kind())]
    pub kind: Option<BoardKind>,
    /// Run only the board of this name (may be given more than once).
    #[arg(long, value_name = "NAME")]
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

/// `hilrig run`.
#[derive(Debug, clap::Args)]
pub struct Run {
    #[command(flatten)]
    pub config: ConfigArg,
    #[command(flatten)]
    pub boards: BoardArgs,
    /// Put the record into exactly this folder, which must be new or empty.
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
    /// Flash even if the image is on the board already.
    #[arg(long)]
    pub flash: bool,
    /// Run the image that keeps who holds the heap (`callers` in the configuration).
    #[arg(long)]
    pub callers: bool,
    /// Which broker, by its name, or where it runs; overrides the configuration.
    #[arg(long, value_name = "BROKER", value_parser = broker_choice())]
    pub broker: Option<BrokerChoice>,
    /// Seed of everything random in the run, to repeat an earlier one.
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
            broker: self.broker.clone(),
            seed: self.seed,
            record: self.record.clone(),
            ..RunRequest::new(&self.config.config)
        }
    }
}

/// What the boards are put through beside the main path.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Scenarios {
    /// Put the boards through this scenario, too (may be given more than once).
    #[arg(long, value_name = "NAME")]
    pub scenario: Vec<ScenarioName>,
    /// Steps of each scenario; overrides the configuration.
    #[arg(long, value_name = "N", requires = "scenario",
        value_parser = clap::value_parser!(u32).range(i64::from(FEWEST_STEPS)..=100_000))]
    pub count: Option<u32>,
    /// How long a soak goes on, such as "10 min"; overrides the configuration.
    #[arg(long = "for", value_name = "TIME", requires = "scenario", value_parser = time)]
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
    /// TLS connections in a row.
    Handshake,
    /// The configuration page, in a row and at once.
    Page,
    /// MQTT messages up to the buffer and over it.
    Payload,
    /// The broker goes away and comes back.
    Reconnect,
    /// A mix of all that MQTT mode has, for a time.
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

/// The kinds of virtual board.
fn virtual_kind() -> impl TypedValueParser<Value = BoardKind> {
    kind_of(|kind| kind.is_virtual())
}

/// The kinds of board that a serial port can have.
fn serial_kind() -> impl TypedValueParser<Value = BoardKind> {
    kind_of(|kind| !kind.is_virtual() && !kind.has_probe())
}

/// The kinds of board that `fits` is true for.
fn kind_of(fits: fn(&BoardKind) -> bool) -> impl TypedValueParser<Value = BoardKind> {
    let values = BoardKind::all().filter(fits);
    PossibleValuesParser::new(values.map(|kind| PossibleValue::new(kind.name()).help(kind.words())))
        .map(|name| BoardKind::named(&name).expect("it is one of the list"))
}

const BROKER_KINDS: [(&str, &str, BrokerKind); 3] = [
    ("auto", "in a container if an engine answers, else as a process", BrokerKind::Auto),
    ("container", "in a container", BrokerKind::Container),
    ("process", "as a process of this machine", BrokerKind::Process),
];

fn broker_choice() -> impl TypedValueParser<Value = BrokerChoice> {
    let kinds = BROKER_KINDS.iter().map(|(word, help, _)| PossibleValue::new(*word).help(*help));
    let names = Software::all().iter().map(|one| one.name.as_str());
    let named = names.map(PossibleValue::new);
    PossibleValuesParser::new(kinds.chain(named)).map(|word| {
        let kind = BROKER_KINDS.iter().find(|(one, ..)| *one == word);
        kind.map_or(BrokerChoice::Named(word), |(.., kind)| BrokerChoice::Kind(*kind))
    })
}

/// `hilrig boards`.
#[derive(Debug, clap::Args)]
pub struct Boards {
    #[command(flatten)]
    pub config: ConfigArg,
    /// Reset every board into its loader, ask for chip and MAC, and reset it back.
    #[arg(long)]
    pub ask: bool,
    /// As JSON, for scripts.
    #[arg(long)]
    pub json: bool,
}

/// A board: by its name in the configuration, or by its port.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub struct Which {
    /// A board of the configuration.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["port", "control"])]
    pub board: Option<String>,
    /// A serial port.
    #[arg(long, value_name = "PORT")]
    pub port: Option<PathBuf>,
    /// Control socket of a virtual board on that port; a real one is reset through DTR and RTS.
    #[arg(long, value_name = "SOCKET", requires = "port")]
    pub control: Option<PathBuf>,
    /// The chip on that port.
    #[arg(long, value_name = "KIND", default_value = "esp8266", requires = "port", conflicts_with = "control",
        hide_possible_values = true, value_parser = serial_kind())]
    pub kind: BoardKind,
}

impl Which {
    /// As the library takes it.
    pub fn name(&self) -> BoardName {
        match (&self.board, &self.port) {
            (None, Some(port)) => BoardName::Port {
                port: port.clone(),
                control: self.control.clone(),
                kind: self.kind,
            },
            // Clap lets nothing through that has neither.
            (name, _) => BoardName::Configured(name.clone().unwrap_or_default()),
        }
    }
}

/// `hilrig flash`.
#[derive(Debug, clap::Args)]
pub struct Flash {
    #[command(flatten)]
    pub config: ConfigArg,
    #[command(flatten)]
    pub which: Which,
    /// The image; left out, the configuration's for this kind of board.
    pub image: Option<PathBuf>,
    /// The highest baud that the loader is tried at, where the board is named by its port.
    #[arg(long, default_value_t = hilrig_core::config::FLASH_BAUD)]
    pub baud: u32,
}

/// `hilrig monitor`.
#[derive(Debug, clap::Args)]
pub struct Monitor {
    #[command(flatten)]
    pub config: ConfigArg,
    #[command(flatten)]
    pub which: Which,
    /// Baud of the firmware's console, where the board is named by its port.
    #[arg(long, default_value_t = 115_200)]
    pub baud: u32,
    /// Reset the board first.
    #[arg(long)]
    pub reset: bool,
}

/// `hilrig power`.
#[derive(Debug, clap::Args)]
pub struct Power {
    #[command(flatten)]
    pub config: ConfigArg,
    /// A board of the configuration.
    #[arg(long, value_name = "NAME")]
    pub board: String,
    /// What to do.
    pub action: PowerAction,
}

/// What is done to a board's power.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PowerAction {
    /// Give it.
    On,
    /// Cut it.
    Off,
    /// Cut it, and give it again after the configured time.
    Cycle,
}

/// `hilrig virtual-board`.
#[derive(Debug, clap::Args)]
pub struct VirtualBoard {
    /// Folder that keeps the board's flash and identity.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// MAC of a new board; one that is there keeps its own. By default it is made from the seed.
    #[arg(long)]
    pub mac: Option<Mac>,
    /// Seed of the board's random numbers. By default each folder has its own.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// QEMU's executable.
    #[arg(long, value_name = "FILE", default_value = "qemu-system-xtensa")]
    pub qemu: PathBuf,
    /// The boot ROM that QEMU starts.
    #[arg(long, value_name = "FILE", default_value = "firmware/build/virtual/bootrom.elf")]
    pub boot_rom: PathBuf,
    /// Let the CPU wait, at each power-on, for a debugger at DIR/gdb.
    #[arg(long)]
    pub gdb: bool,
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

/// `hilrig doctor`.
#[derive(Debug, clap::Args)]
pub struct Doctor {
    #[command(flatten)]
    pub config: ConfigArg,
}

/// `hilrig init`.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// Reset every board on a USB adapter into its loader to learn its chip and its MAC.
    #[arg(long)]
    pub ask: bool,
    /// The file to write; one that is there is never overwritten.
    #[arg(default_value = "runner-config.toml")]
    pub file: PathBuf,
}
