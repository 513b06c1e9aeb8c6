//! The configuration, as resolved: read once, checked once, trusted from then on.

mod written;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::heap::HeapPhase;
use crate::mac::Mac;
use crate::place::FileError;
use crate::units::Span;

pub use written::BrokerKind;

/// The schema version that this hilrig reads.
pub const SCHEMA: u32 = 1;

/// Address of the host in QEMU's user network, where a virtual board finds the rig.
pub const RIG_SEEN_BY_VIRTUAL_BOARD: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 2));

/// A run's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that it was read from.
    pub path: PathBuf,
    /// What the firmware says and answers.
    pub contract: File,
    /// The image for each kind of board.
    pub firmware: BTreeMap<BoardKind, File>,
    /// Further form fields to be set on every board.
    pub settings: BTreeMap<String, String>,
    /// Form fields whose value is read from the environment variable named here, and shown
    /// nowhere.
    pub secrets: BTreeMap<String, String>,
    /// The broker.
    pub broker: BrokerConfig,
    /// Lowest free heap that a phase must keep, bytes.
    pub floors: BTreeMap<HeapPhase, u64>,
    /// How long anything may take.
    pub deadlines: Deadlines,
    /// The virtual boards.
    pub virtual_: VirtualConfig,
    /// Folder that the records of runs go into.
    pub records: PathBuf,
    /// The boards on the bench.
    pub boards: Vec<BoardConfig>,
}

/// A file that the configuration names; whether it is there is asked when it is needed.
#[derive(Clone, Debug)]
pub struct File {
    /// The file, relative paths taken from the configuration's folder.
    pub path: PathBuf,
    key: &'static str,
    line: Option<usize>,
}

/// The kind of a board: what flashes it and which image it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoardKind {
    /// The ESP8266-class board on QEMU.
    Virtual,
    /// An ESP8266 on a serial port.
    Esp8266,
}

impl BoardKind {
    /// The name, as in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            BoardKind::Virtual => "virtual",
            BoardKind::Esp8266 => "esp8266",
        }
    }
}

/// How a board's reset lines are wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinesKind {
    /// DTR to GPIO0 and RTS to EN, as on development boards.
    DtrRts,
    /// Not wired.
    None,
}

/// The broker.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Where it runs.
    pub kind: BrokerKind,
    /// Image to pull.
    pub image: String,
    /// Executable of the local process.
    pub executable: PathBuf,
    /// Fixed port, or any free one.
    pub port: Option<u16>,
}

/// How long anything may take. They nest: one wait < a board < the run.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// For another run to give the board free.
    pub lock: Duration,
    /// For writing the firmware.
    pub flash: Duration,
    /// From reset to the last boot log line of a mode.
    pub boot: Duration,
    /// For one answer over HTTP or MQTT.
    pub reply: Duration,
    /// For the board to be connected to the broker, or to refuse it.
    pub connect: Duration,
    /// For the broker to be ready.
    pub broker: Duration,
    /// For the whole path of a board.
    pub board: Duration,
    /// For the whole run.
    pub run: Duration,
}

/// The virtual boards.
#[derive(Clone, Debug)]
pub struct VirtualConfig {
    /// How many are started where the configuration has no `[[board]]`.
    pub boards: usize,
    /// QEMU's executable.
    pub qemu: PathBuf,
    /// The boot ROM that QEMU starts.
    pub boot_rom: File,
}

/// One board on the bench.
#[derive(Clone, Debug)]
pub struct BoardConfig {
    /// Its name in tables and records.
    pub name: String,
    /// Its kind.
    pub kind: BoardKind,
    /// Where it is, or that the rig starts it.
    pub attached: Attached,
    /// MAC that the chip must have; another board is never flashed.
    pub mac: Option<Mac>,
    /// Baud of the firmware's console.
    pub baud: u32,
    /// Baud of the ROM loader.
    pub flash_baud: u32,
    /// Where its web server is reached, if not at the address in its boot log.
    pub http: Option<SocketAddr>,
    /// The rig's address as the board sees it.
    pub rig: IpAddr,
}

/// Where a board is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attached {
    /// A virtual board that the run starts and stops.
    Started,
    /// A virtual board that runs on its own (`hilrig virtual-board`).
    Control {
        /// Its serial port.
        port: PathBuf,
        /// Its control socket.
        control: PathBuf,
    },
    /// On a serial port.
    Serial {
        /// The port.
        port: PathBuf,
        /// Its reset lines.
        lines: LinesKind,
    },
}

impl File {
    /// Refuses the file if it is not there; `what` makes it, or says what it is for.
    pub fn needed(&self, config: &Path, help: &str) -> FileError {
        let message = format!("`{}`: there is no file {}. {help}", self.key, self.path.display());
        match self.line {
            Some(line) => FileError::at_line(config, line, message),
            None => FileError::whole(
                config,
                format!("{message} (the default of a key that is not set)"),
            ),
        }
    }
}

impl Config {
    /// Reads and checks a configuration. Relative paths in it are taken from its folder.
    pub fn parse(path: &Path, text: &str) -> Result<Config, FileError> {
        let raw: written::Config =
            toml::from_str(text).map_err(|error| FileError::toml(path, text, &error))?;
        let resolver = Resolver { path, text, dir: path.parent().unwrap_or(Path::new("")) };
        resolver.config(raw)
    }
}

struct Resolver<'a> {
    path: &'a Path,
    text: &'a str,
    dir: &'a Path,
}

impl Resolver<'_> {
    fn wrong(&self, span: Range<usize>, message: impl Into<String>) -> FileError {
        FileError::at_span(self.path, self.text, span, message)
    }

    fn file(&self, key: &'static str, name: &Spanned<String>) -> File {
        // A default has an empty span, and so no line.
        let line =
            (!name.span().is_empty()).then(|| crate::place::line_of(self.text, name.span().start));
        File { path: self.dir.join(name.get_ref()), key, line }
    }

    /// A program: looked up on PATH unless it is written as a path.
    fn program(&self, name: &str) -> PathBuf {
        if name.contains('/') { self.dir.join(name) } else { name.into() }
    }

    fn config(&self, raw: written::Config) -> Result<Config, FileError> {
        if *raw.schema.get_ref() != SCHEMA {
            return Err(self.wrong(
                raw.schema.span(),
                format!(
                    "schema {} is not one that this hilrig reads; it reads {SCHEMA}",
                    raw.schema.get_ref()
                ),
            ));
        }
        let mut firmware = BTreeMap::new();
        if let Some(files) = &raw.firmware.virtual_ {
            firmware.insert(BoardKind::Virtual, self.file("firmware.virtual.image", &files.image));
        }
        if let Some(files) = &raw.firmware.esp8266 {
            firmware.insert(BoardKind::Esp8266, self.file("firmware.esp8266.image", &files.image));
        }
        if let Some((field, value)) = raw
            .firmware
            .secrets
            .iter()
            .find(|(field, _)| raw.firmware.settings.contains_key(*field))
        {
            return Err(self.wrong(
                value.span(),
                format!("`{field}` is set in firmware.settings and in firmware.secrets; keep one"),
            ));
        }
        let boards = self.boards(raw.boards)?;
        if let Some(board) = boards.iter().find(|board| !firmware.contains_key(&board.kind)) {
            return Err(FileError::whole(
                self.path,
                format!(
                    "board `{}` is of the kind {kind}, and there is no [firmware.{kind}] with an image for it",
                    board.name,
                    kind = board.kind.name(),
                ),
            ));
        }
        let plain = |map: BTreeMap<String, Spanned<String>>| {
            map.into_iter().map(|(k, v)| (k, v.into_inner())).collect()
        };
        if let Some(port) = raw.broker.port.as_ref().filter(|port| *port.get_ref() == 0) {
            return Err(
                self.wrong(port.span(), "port 0 is none; leave `port` out for any free one")
            );
        }
        if *raw.virtual_.boards.get_ref() == 0 && boards.is_empty() {
            return Err(self.wrong(
                raw.virtual_.boards.span(),
                "no [[board]] and no virtual board: there is nothing to run",
            ));
        }
        Ok(Config {
            path: self.path.into(),
            contract: self.file("firmware.contract", &raw.firmware.contract),
            firmware,
            settings: plain(raw.firmware.settings),
            secrets: plain(raw.firmware.secrets),
            broker: BrokerConfig {
                kind: raw.broker.kind,
                image: raw.broker.image,
                executable: self.program(&raw.broker.executable),
                port: raw.broker.port.map(Spanned::into_inner),
            },
            floors: raw
                .heap
                .floor
                .into_iter()
                .map(|(phase, floor)| (phase, floor.into_inner().0))
                .collect(),
            deadlines: self.deadlines(&raw.deadlines)?,
            virtual_: VirtualConfig {
                boards: *raw.virtual_.boards.get_ref(),
                qemu: self.program(&raw.virtual_.qemu),
                boot_rom: self.file("virtual.boot_rom", &raw.virtual_.boot_rom),
            },
            records: self.dir.join(raw.record.directory),
            boards,
        })
    }

    fn deadlines(&self, raw: &written::Deadlines) -> Result<Deadlines, FileError> {
        let or = |key: &Option<Spanned<Span>>, default: u64| {
            key.as_ref().map_or(Duration::from_secs(default), |span| span.get_ref().0)
        };
        let deadlines = Deadlines {
            lock: or(&raw.lock, 2),
            flash: or(&raw.flash, 60),
            boot: or(&raw.boot, 10),
            reply: or(&raw.reply, 5),
            connect: or(&raw.connect, 20),
            broker: or(&raw.broker, 30),
            board: or(&raw.board, 180),
            run: or(&raw.run, 600),
        };
        // They nest, so that the inner one passes first and says what it waited for.
        let inner = [
            ("lock", &raw.lock, deadlines.lock),
            ("flash", &raw.flash, deadlines.flash),
            ("boot", &raw.boot, deadlines.boot),
            ("reply", &raw.reply, deadlines.reply),
            ("connect", &raw.connect, deadlines.connect),
        ];
        for (name, key, value) in inner {
            if value >= deadlines.board {
                let span = key.as_ref().or(raw.board.as_ref()).map_or(0..0, Spanned::span);
                return Err(self.wrong(
                    span,
                    format!(
                        "deadlines nest: `{name}` ({}) must be shorter than `board` ({})",
                        Span(value),
                        Span(deadlines.board),
                    ),
                ));
            }
        }
        if deadlines.board >= deadlines.run {
            let span = raw.board.as_ref().or(raw.run.as_ref()).map_or(0..0, Spanned::span);
            return Err(self.wrong(
                span,
                format!(
                    "deadlines nest: `board` ({}) must be shorter than `run` ({})",
                    Span(deadlines.board),
                    Span(deadlines.run),
                ),
            ));
        }
        Ok(deadlines)
    }

    fn boards(&self, raw: Vec<Spanned<written::Board>>) -> Result<Vec<BoardConfig>, FileError> {
        let mut boards: Vec<BoardConfig> = Vec::with_capacity(raw.len());
        for board in raw {
            let span = board.span();
            let board = self.board(board.into_inner(), span.clone())?;
            if boards.iter().any(|other| other.name == board.name) {
                return Err(self.wrong(span, format!("two boards are named `{}`", board.name)));
            }
            let port = |board: &BoardConfig| match &board.attached {
                Attached::Started => None,
                Attached::Control { port, .. } | Attached::Serial { port, .. } => {
                    Some(port.clone())
                }
            };
            if let Some(other) =
                boards.iter().find(|other| port(other).is_some() && port(other) == port(&board))
            {
                return Err(self.wrong(
                    span,
                    format!("`{}` and `{}` are on the same port", other.name, board.name),
                ));
            }
            boards.push(board);
        }
        Ok(boards)
    }

    fn board(&self, raw: written::Board, span: Range<usize>) -> Result<BoardConfig, FileError> {
        let name = raw.name.get_ref().clone();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 40 || name.starts_with('.') || !name.chars().all(fits) {
            return Err(self.wrong(raw.name.span(), "a board's name is 1 to 40 letters, digits, `-`, `_` or `.`, not starting with `.`: it names a folder"));
        }
        let path = |text: String| self.dir.join(text);
        let attached = match (raw.kind, raw.port, raw.control) {
            (BoardKind::Virtual, None, None) => Attached::Started,
            (_, Some(port), Some(control)) if raw.lines.is_none() => Attached::Control { port: path(port), control: path(control) },
            (_, Some(_), Some(_)) => return Err(self.wrong(span, format!("board `{name}`: `control` resets the board, so `lines` must not be set"))),
            (BoardKind::Esp8266, Some(port), None) => Attached::Serial {
                port: path(port),
                lines: raw.lines.as_ref().map_or(LinesKind::DtrRts, |lines| *lines.get_ref()),
            },
            (BoardKind::Esp8266, None, _) => return Err(self.wrong(span, format!("board `{name}`: `port` is missing; `hilrig boards` lists the ports"))),
            (BoardKind::Virtual, ..) => return Err(self.wrong(span, format!(
                "board `{name}`: a virtual board that runs already needs both `port` and `control`, as `hilrig virtual-board` prints them"
            ))),
        };
        let http = raw
            .http
            .map(|text| {
                text.get_ref().parse().map_err(|_| {
                    self.wrong(
                        text.span(),
                        "`http` is an address and port, such as \"192.168.0.133:9705\"",
                    )
                })
            })
            .transpose()?;
        let rig = raw
            .rig
            .map(|text| {
                text.get_ref().parse().map_err(|_| {
                    self.wrong(
                        text.span(),
                        "`rig` is the rig's address as the board sees it, such as \"192.168.0.10\"",
                    )
                })
            })
            .transpose()?;
        let rig = match (raw.kind, rig) {
            (_, Some(rig)) => rig,
            (BoardKind::Virtual, None) => RIG_SEEN_BY_VIRTUAL_BOARD,
            (BoardKind::Esp8266, None) => return Err(self.wrong(span, format!(
                "board `{name}`: `rig` is missing, the address of this machine that the board can reach (`hostname -I` lists them)"
            ))),
        };
        Ok(BoardConfig {
            name,
            kind: raw.kind,
            attached,
            mac: raw.mac,
            baud: raw.baud.unwrap_or(115_200),
            flash_baud: raw.flash_baud.unwrap_or(115_200),
            http,
            rig,
        })
    }
}

#[cfg(test)]
mod tests;
