//! The configuration: read and checked once, trusted after that.

mod board;
mod power;
mod require;
mod scenario;
mod written;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use crate::certify::Requirement;
use crate::heap::HeapPhase;
use crate::place::FileError;
use crate::reading::{self, Reading};
use crate::units::Span;

pub use crate::board_kind::BoardKind;
pub use board::{Attached, BoardConfig, FLASH_BAUD, LinesKind, PortId, RIG_SEEN_BY_VIRTUAL_BOARD};
pub use power::{PowerConfig, PowerLine};
pub use scenario::ScenarioConfig;
pub use written::{BrokerKind, SettingsBy};

/// The schema version that this hilrig reads.
pub const SCHEMA: u32 = 1;

/// A run's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that it was read from.
    pub path: PathBuf,
    /// What the firmware logs and answers.
    pub contract: File,
    /// The firmware of each kind of board.
    pub firmware: BTreeMap<BoardKind, FirmwareFiles>,
    /// Further form fields that are set on every board.
    pub settings: BTreeMap<String, String>,
    /// Form fields, each with the environment variable that has its value. The value is never shown.
    pub secrets: BTreeMap<String, String>,
    /// The broker.
    pub broker: BrokerConfig,
    /// Lowest free heap that a phase must keep, bytes, on the kinds that set none of their own.
    pub floors: Floors,
    /// What a certification requires in addition to its matrix.
    pub require: Vec<Requirement>,
    /// The length of each scenario.
    pub scenarios: ScenarioConfig,
    /// How long anything may take.
    pub deadlines: Deadlines,
    /// The virtual boards.
    pub virtual_: VirtualConfig,
    /// Folder that the records of runs go into.
    pub records: PathBuf,
    /// The boards on the bench.
    pub boards: Vec<BoardConfig>,
}

/// Lowest free heap that each phase must keep, bytes.
pub type Floors = BTreeMap<HeapPhase, u64>;

impl Config {
    /// The floors of this kind of board: its own, and those of all kinds for the other phases.
    pub fn floors_of(&self, kind: BoardKind) -> Floors {
        let own = self.firmware.get(&kind).map(|files| files.floors.clone()).unwrap_or_default();
        let mut floors = self.floors.clone();
        floors.extend(own);
        floors
    }
}

fn floors(written: &BTreeMap<HeapPhase, Spanned<crate::units::Bytes>>) -> Floors {
    written.iter().map(|(phase, floor)| (*phase, floor.get_ref().0)).collect()
}

/// The firmware of a kind of board.
#[derive(Clone, Debug)]
pub struct FirmwareFiles {
    /// The image: what the chip's ROM boots, or an ELF where the chip's loader accepts that.
    pub image: File,
    /// Its ELF file, for the addresses in crashes.
    pub elf: Option<File>,
    /// The heap-tracing image of the same firmware.
    pub callers: Option<File>,
    /// Further data, each written at its own place.
    pub segments: Vec<SegmentFile>,
    /// How the board gets its settings.
    pub settings: SettingsBy,
    /// Lowest free heap that a phase must keep on this kind, bytes, in place of the one for all kinds.
    pub floors: Floors,
}

/// Data that is written beside the image.
#[derive(Clone, Debug)]
pub struct SegmentFile {
    /// Flash offset, bytes.
    pub offset: u32,
    /// The data.
    pub file: File,
}

/// A file that the configuration names; it is checked when it is needed.
#[derive(Clone, Debug)]
pub struct File {
    /// The file, relative paths taken from the configuration's folder.
    pub path: PathBuf,
    key: String,
    line: Option<usize>,
}

/// The broker.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Where it runs.
    pub kind: BrokerKind,
    /// Which one, by the name of its description (docs/reference/brokers.md).
    pub software: String,
    /// Image to run in place of the description's.
    pub image: Option<String>,
    /// Executable of the local process in place of the description's.
    pub executable: Option<PathBuf>,
    /// Fixed port, or any free one.
    pub port: Option<u16>,
}

/// How long anything may take. They nest: one wait < a board < the run.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// For another run to unlock the board.
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
    /// For all of a board's jobs.
    pub board: Duration,
    /// For the whole run.
    pub run: Duration,
}

/// The virtual boards.
#[derive(Clone, Debug)]
pub struct VirtualConfig {
    /// How many are started where the configuration has no `[[board]]`.
    pub boards: usize,
    /// The kind of these.
    pub kind: BoardKind,
    /// QEMU's executable for the ESP8266-class board.
    pub qemu: PathBuf,
    /// QEMU's executable for the LM3S6965.
    pub qemu_arm: PathBuf,
    /// The boot ROM that QEMU starts.
    pub boot_rom: File,
}

impl File {
    /// The error for a file that is missing; `help` says how to get it.
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

impl File {
    /// The error for wrong contents of the file.
    pub fn wrong(&self, config: &Path, found: &str) -> FileError {
        let message = format!("`{}`: {}: {found}", self.key, self.path.display());
        match self.line {
            Some(line) => FileError::at_line(config, line, message),
            None => FileError::whole(config, message),
        }
    }
}

impl Config {
    /// Reads and checks a configuration. Relative paths in it are taken from its folder.
    pub fn parse(path: &Path, text: &str) -> Result<Config, FileError> {
        let Reading { value, errors, changed } = reading::read::<written::Config>(path, text);
        let errors_of_reading = errors.len();
        let dir = path.parent().unwrap_or(Path::new(""));
        let resolver = Resolver { path, text, dir, errors: RefCell::new(errors) };
        let config = value.and_then(|raw| resolver.noted(resolver.config(raw)));
        let mut errors = resolver.errors.into_inner();
        // Errors in a table that was changed for further reading are not in the file itself.
        let found = errors.split_off(errors_of_reading).into_iter().filter(|error| {
            changed.is_empty()
                || error
                    .line()
                    .is_some_and(|line| !changed.contains(&reading::header_of(text, line)))
        });
        errors.extend(found.collect::<Vec<_>>());
        errors.sort_by_key(FileError::line);
        match (FileError::all(errors), config) {
            (Some(errors), _) => Err(errors),
            (None, Some(config)) => Ok(config),
            (None, None) => Err(FileError::whole(path, "it cannot be read")),
        }
    }
}

struct Resolver<'a> {
    path: &'a Path,
    text: &'a str,
    dir: &'a Path,
    /// All errors, which are reported at once.
    errors: RefCell<Vec<FileError>>,
}

impl Resolver<'_> {
    fn wrong(&self, span: Range<usize>, message: impl Into<String>) -> FileError {
        FileError::at_span(self.path, self.text, span, message)
    }

    fn note(&self, error: FileError) {
        self.errors.borrow_mut().push(error);
    }

    /// The value, or none with its error noted.
    fn noted<T>(&self, result: Result<T, FileError>) -> Option<T> {
        result.map_err(|error| self.note(error)).ok()
    }

    fn file(&self, key: impl Into<String>, name: &Spanned<String>) -> File {
        // A default has an empty span, and so no line.
        let line =
            (!name.span().is_empty()).then(|| crate::place::line_of(self.text, name.span().start));
        File { path: self.dir.join(name.get_ref()), key: key.into(), line }
    }

    /// A program: found on PATH unless it is written as a path.
    fn program(&self, name: &str) -> PathBuf {
        if name.contains('/') { self.dir.join(name) } else { name.into() }
    }

    fn config(&self, raw: written::Config) -> Result<Config, FileError> {
        if *raw.schema.get_ref() != SCHEMA {
            // Another schema has other keys, so the other errors mean nothing.
            self.errors.borrow_mut().clear();
            return Err(self.wrong(
                raw.schema.span(),
                format!(
                    "schema {} is not one that this hilrig reads; it reads {SCHEMA}",
                    raw.schema.get_ref()
                ),
            ));
        }
        let firmware = raw
            .firmware
            .kinds
            .iter()
            .map(|(kind, files)| (*kind, self.firmware(*kind, files)))
            .collect::<BTreeMap<_, _>>();
        if let Some((field, value)) = raw
            .firmware
            .secrets
            .iter()
            .find(|(field, _)| raw.firmware.settings.contains_key(*field))
        {
            self.note(self.wrong(
                value.span(),
                format!("`{field}` is set in firmware.settings and in firmware.secrets; keep one"),
            ));
        }
        let any_board = !raw.boards.is_empty();
        let boards = self.boards(raw.boards);
        for board in boards.iter().filter(|board| !firmware.contains_key(&board.kind)) {
            self.note(FileError::at_line(
                self.path,
                board.line,
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
            self.note(self.wrong(port.span(), "port 0 is none; leave `port` out for any free one"));
        }
        if !raw.virtual_.kind.get_ref().is_virtual() {
            self.note(self.wrong(
                raw.virtual_.kind.span(),
                "`kind` of virtual boards is \"virtual\" or \"lm3s6965\"",
            ));
        }
        if *raw.virtual_.boards.get_ref() == 0 && boards.is_empty() && !any_board {
            self.note(self.wrong(
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
                software: raw.broker.software,
                image: raw.broker.image,
                executable: raw.broker.executable.map(|program| self.program(&program)),
                port: raw.broker.port.map(Spanned::into_inner),
            },
            floors: floors(&raw.heap.floor),
            require: self.require(&raw.certify.require)?,
            scenarios: self.scenarios(&raw.scenario)?,
            deadlines: self.deadlines(&raw.deadlines),
            virtual_: VirtualConfig {
                boards: *raw.virtual_.boards.get_ref(),
                kind: *raw.virtual_.kind.get_ref(),
                qemu: self.program(&raw.virtual_.qemu),
                qemu_arm: self.program(&raw.virtual_.qemu_arm),
                boot_rom: self.file("virtual.boot_rom", &raw.virtual_.boot_rom),
            },
            records: self.dir.join(raw.record.directory),
            boards,
        })
    }

    fn firmware(&self, kind: BoardKind, raw: &written::FirmwareFiles) -> FirmwareFiles {
        let file = |key: &str, name: &Spanned<String>| {
            self.file(format!("firmware.{}.{key}", kind.name()), name)
        };
        let segment = |segment: &written::Segment| SegmentFile {
            offset: segment.offset,
            file: file("segments.file", &segment.file),
        };
        FirmwareFiles {
            image: file("image", &raw.image),
            elf: raw.elf.as_ref().map(|elf| file("elf", elf)),
            callers: raw.callers.as_ref().map(|callers| file("callers", callers)),
            settings: raw.settings,
            floors: floors(&raw.floor),
            segments: raw.segments.iter().map(segment).collect(),
        }
    }

    fn deadlines(&self, raw: &written::Deadlines) -> Deadlines {
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
        // They nest, so that the inner one ends first and reports what it waited for.
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
                self.note(self.wrong(
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
            self.note(self.wrong(
                span,
                format!(
                    "deadlines nest: `board` ({}) must be shorter than `run` ({})",
                    Span(deadlines.board),
                    Span(deadlines.run),
                ),
            ));
        }
        deadlines
    }
}

#[cfg(test)]
mod tests;
