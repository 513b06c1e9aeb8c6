//! The command line.

mod board;
mod certify;
mod heap;
mod record;
mod run;

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use hilrig_core::config::BoardKind;

pub use board::{Boards, Flash, Init, Monitor, Power, PowerAction, VirtualBoard};
pub use certify::{Certify, CertifyCheck, CertifyCommand, CertifyDiff, CertifyRun, CertifyShow};
pub use heap::{
    HeapBisect, HeapBoots, HeapCallers, HeapCheck, HeapCommand, HeapDiff, HeapFormat, HeapHistory,
    HistoryFormat,
};
pub use record::{Decode, Report, ReportFormat};
pub use run::{BoardArgs, BrokerArg, Run, Scenarios};

const EXIT_CODES: &str = "\
Exit codes:
    0  every board passed
    1  hilrig itself failed
    2  the command line or the configuration cannot be used
  100  a board failed its checks
  120  rig fault: the bench had trouble of its own, so a board was not judged

HILRIG_LOG=debug logs what hilrig does (levels as in Rust's RUST_LOG).";

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
    /// Run the main path on every board, and judge each.
    #[command(after_help = "\
Examples:
  hilrig run                           the boards of runner-config.toml
  hilrig run --virtual 8               eight virtual boards instead
  hilrig run --board bench-1 --flash   one board, flashed even if the image is on it
  hilrig run --record out/nightly      the record in this folder
  hilrig run --scenario reconnect --count 50
  hilrig run --scenario soak --for \"2 h\"")]
    Run(Run),
    /// List the attached ports and probes, and which board of the configuration each is.
    #[command(after_help = "\
Chip and MAC are those that the board last reported; no board is touched. --ask resets every board
on a USB adapter, except those that another run has locked.

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
    /// Print a board's log with times, and mark heap figures and crashes.
    #[command(after_help = "\
Examples:
  hilrig monitor --board bench-1
  hilrig monitor --port /dev/ttyUSB0 --baud 74880 --reset")]
    Monitor(Monitor),
    /// Switch a board's power through the power line in its configuration.
    #[command(after_help = "\
A board that a run has locked is not switched.

Examples:
  hilrig power --board bench-1 cycle
  hilrig power --board bench-1 off")]
    Power(Power),
    /// Start a virtual board: a serial port that any tool can use.
    #[command(after_help = "\
Prints one line of JSON when the board is ready, and runs until it is stopped:
  {\"port\":\"/dev/pts/5\",\"control\":\"...\",\"http\":\"127.0.0.1:23456\",\"mac\":\"18:fe:34:...\"}

Examples:
  hilrig virtual-board --state board-1
  esptool --chip esp8266 --port PORT --before no-reset --after no-reset \\
      --no-stub write-flash 0 firmware.bin
  hilrig monitor --port PORT --control CONTROL --reset")]
    VirtualBoard(VirtualBoard),
    /// Find the crashes in a log, with the function and line of each.
    #[command(after_help = "\
Timestamps, quote marks, colours and HTML around a dump are removed first. The exit code is 0
whether or not a crash is found, and 2 if a file cannot be read. The JSON lines: docs/reference/decode.md.

Examples:
  hilrig decode --elf firmware.elf boot.log
  hilrig monitor --port /dev/ttyUSB0 | hilrig decode --elf firmware.elf -
  hilrig decode --json issue.txt | jq 'select(.kind != \"start\")'")]
    Decode(Decode),
    /// Write a report of a recorded run.
    #[command(after_help = "\
Examples:
  hilrig report hilrig-records/latest                       report.html in the record
  hilrig report hilrig-records/latest --format markdown >> $GITHUB_STEP_SUMMARY
  hilrig report hilrig-records/latest --format annotations")]
    Report(Report),
    /// Compare the free heap of runs, commits and baselines.
    #[command(after_help = "\
Examples:
  hilrig heap accept                        five boots, written to heap-baseline.toml
  hilrig heap check                         five boots, compared with it
  hilrig heap check --kind virtual --format junit > heap.xml
  hilrig heap check --from hilrig-records/20261122-* --baseline heap-baseline.toml
  hilrig heap diff hilrig-records/A latest  two runs, by record or by id
  hilrig heap diff v1.2 HEAD --measure      two commits, built and booted if they have no figures
  hilrig heap bisect --good v1.2            the commit since v1.2 that costs heap
  hilrig heap history --last 30
  hilrig heap history --format csv > heap.csv")]
    Heap {
        /// What to do.
        #[command(subcommand)]
        command: HeapCommand,
    },
    /// Certify brokers for small devices: which TLS settings work, and what they cost.
    #[command(after_help = "\
The exit code is 100 if a required case failed, and 0 if all required cases that could run passed.

Examples:
  hilrig certify                           mosquitto, with the boards of runner-config.toml
  hilrig certify --broker all --virtual 8  each installed broker, on eight virtual boards
  hilrig certify --broker broker.example:8883 --ca ca.pem --user u --password-file secret
  hilrig certify --case mfln-512 --case wrong-pin
  hilrig certify --list
  hilrig certify check hilrig-records/latest
  hilrig certify show hilrig-records/latest --markdown >> $GITHUB_STEP_SUMMARY
  hilrig certify show certificate.json --html -o certificate.html
  hilrig certify diff hilrig-records/A hilrig-records/B")]
    Certify(Box<Certify>),
    /// Check what this machine has and what is missing, with the command that fixes it.
    #[command(after_help = "\
Examples:
  hilrig doctor
  hilrig doctor --config bench/runner-config.toml || echo \"not ready\"")]
    Doctor(Doctor),
    /// Write a commented runner-config.toml for the boards that are attached.
    #[command(after_help = "\
Examples:
  hilrig init                            runner-config.toml in this folder
  hilrig init --ask                      the same, with the boards' chips and MACs
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

/// `hilrig doctor`.
#[derive(Debug, clap::Args)]
pub struct Doctor {
    #[command(flatten)]
    pub config: ConfigArg,
}

/// The kinds of board that `fits` is true for.
fn kind_of(fits: fn(&BoardKind) -> bool) -> impl TypedValueParser<Value = BoardKind> {
    let values = BoardKind::all().filter(fits);
    PossibleValuesParser::new(values.map(|kind| PossibleValue::new(kind.name()).help(kind.words())))
        .map(|name| BoardKind::named(&name).expect("it is one of the list"))
}
