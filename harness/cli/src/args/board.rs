//! The command lines of the commands that work on one board, and of those that list boards.

use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::TypedValueParser;
use hilrig::attach::BoardName;
use hilrig_core::config::BoardKind;
use hilrig_core::mac::Mac;

use super::{ConfigArg, kind_of};

/// `hilrig boards`.
#[derive(Debug, clap::Args)]
pub struct Boards {
    #[command(flatten)]
    pub config: ConfigArg,
    /// Reset every board into its loader, read chip and MAC, and reset it again.
    #[arg(long)]
    pub ask: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// A board: by its name in the configuration, or by its port.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("board or port").args(["board", "port"]).required(true))]
pub struct Which {
    /// A board of the configuration.
    #[arg(long, value_name = "NAME")]
    pub board: Option<String>,
    /// A serial port.
    #[arg(long, value_name = "PORT")]
    pub port: Option<PathBuf>,
    /// Control socket of the virtual board on that port. A real board is reset through DTR and RTS.
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

/// The kinds of board that a serial port can have.
fn serial_kind() -> impl TypedValueParser<Value = BoardKind> {
    kind_of(|kind| !kind.is_virtual() && !kind.has_probe())
}

/// `hilrig flash`.
#[derive(Debug, clap::Args)]
pub struct Flash {
    #[command(flatten)]
    pub config: ConfigArg,
    #[command(flatten)]
    pub which: Which,
    /// The image. By default the configuration's image for this kind of board.
    pub image: Option<PathBuf>,
    /// Highest baud to try with the loader, for a board that is named by its port.
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
    /// Baud of the firmware's console, for a board that is named by its port.
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
    /// Switch it on.
    On,
    /// Switch it off.
    Off,
    /// Switch it off, and on again after the configured time.
    Cycle,
}

/// `hilrig virtual-board`.
#[derive(Debug, clap::Args)]
pub struct VirtualBoard {
    /// Folder with the board's flash and identity; created if it does not exist.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// MAC of a new board; an existing board keeps its own. By default derived from the seed.
    #[arg(long)]
    pub mac: Option<Mac>,
    /// Seed of the board's random numbers. By default derived from the folder.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// QEMU executable.
    #[arg(long, value_name = "FILE", default_value = "qemu-system-xtensa")]
    pub qemu: PathBuf,
    /// Boot ROM that QEMU starts.
    #[arg(long, value_name = "FILE", default_value = "firmware/build/virtual/bootrom.elf")]
    pub boot_rom: PathBuf,
    /// Halt the CPU at each power-on until a debugger connects to DIR/gdb.
    #[arg(long)]
    pub gdb: bool,
}

/// `hilrig init`.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// Reset every board on a USB adapter into its loader to read its chip and MAC.
    #[arg(long)]
    pub ask: bool,
    /// The file to write. An existing file is never overwritten.
    #[arg(default_value = "runner-config.toml")]
    pub file: PathBuf,
}
