//! One board for a command that works on one: `flash`, `monitor`.

use std::path::{Path, PathBuf};

use hilrig_boards::ModemLines;
use hilrig_core::board::{Board, ResetLines};
use hilrig_core::config::{Attached, BoardConfig, BoardKind, FLASH_BAUD};
use hilrig_virtual::ControlSocket;

use super::real::{At, modem, neighbours, probe, search, serial};
use crate::Error;
use crate::folders::state_folder;
use crate::load::{self, BoardSelection, choose, started};

/// How a command names a board.
#[derive(Clone, Debug)]
pub enum BoardName {
    /// By its name in the configuration.
    Configured(String),
    /// By its serial port.
    Port {
        /// The port.
        port: PathBuf,
        /// The control socket of a virtual board on it; a real one is reset through DTR and RTS.
        control: Option<PathBuf>,
        /// The chip on it.
        kind: BoardKind,
    },
}

/// The rates of a board that is named by its port, baud.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Of the firmware's console.
    pub console: u32,
    /// The highest that the loader is tried at.
    pub loader: u32,
}

impl Default for Rates {
    fn default() -> Rates {
        Rates { console: 115_200, loader: FLASH_BAUD }
    }
}

/// The board of this name. `config` is the configuration file, which is read for a board that is named in it.
///
/// # Errors
/// The configuration cannot be used, has no such board, or the board only lives in a run.
pub fn named(
    config: &Path,
    name: &BoardName,
    rates: Rates,
) -> Result<(Box<dyn Board>, BoardKind), Error> {
    match name {
        BoardName::Configured(name) => configured(config, name),
        BoardName::Port { port, control, kind } => {
            let lines: Box<dyn ResetLines> = match control {
                Some(control) => Box::new(ControlSocket::new(control)),
                None => Box::new(ModemLines::default()),
            };
            let board = BoardConfig {
                name: port.display().to_string(),
                baud: rates.console,
                rom_baud: match control {
                    Some(_) => rates.console,
                    None => kind.rom_baud(rates.console),
                },
                flash_baud: rates.loader,
                ..started(1, *kind)
            };
            Ok(on_port(&board, At::Port(port.clone()), lines))
        }
    }
}

fn configured(config: &Path, name: &str) -> Result<(Box<dyn Board>, BoardKind), Error> {
    let config = load::config(config)?;
    let board = choose(&config, &BoardSelection::named(name))?.remove(0);
    match &board.attached {
        Attached::Control { port, control } => {
            let at = search(&neighbours(&config), &board, port);
            Ok(on_port(&board, at, Box::new(ControlSocket::new(control))))
        }
        Attached::Serial { port, lines } => {
            let at = search(&neighbours(&config), &board, port);
            Ok(on_port(&board, at, modem(*lines)))
        }
        Attached::Probe { chip, probe: selector } => {
            // `flash` may be given another image, and `monitor` needs none.
            let contract = load::contract(&config)?;
            let firmware = load::image(&config, &contract, board.kind).ok();
            let made = probe(&board, chip, selector.as_deref(), firmware, &state_folder());
            Ok((Box::new(made), board.kind))
        }
        Attached::Started if board.kind.has_probe() => Err(Error::usage(format!(
            "board `{name}` is a virtual one, and no other process sees its probe: it only lives in a run"
        ))),
        Attached::Started => Err(Error::usage(format!(
            "board `{name}` is a virtual one that only lives in a run. Start one with `hilrig virtual-board --state DIR`, and name its port with --port"
        ))),
    }
}

fn on_port(board: &BoardConfig, at: At, lines: Box<dyn ResetLines>) -> (Box<dyn Board>, BoardKind) {
    (Box::new(serial(board, at, lines, None, &state_folder())), board.kind)
}
