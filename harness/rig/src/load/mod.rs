//! Reads what a run goes by: the configuration and all that it names.
//!
//! [`config`] and [`contract`] read one file each, [`RunInputs::read`] reads everything. Nothing here
//! touches a board.

mod boards;
mod commit;
mod elf;
mod image;
mod inputs;
mod scenarios;
mod secrets;
mod twins;

use std::collections::BTreeMap;
use std::path::Path;

use hilrig_boards::identity::discover::discover;
use hilrig_boards::identity::query as identity;
use hilrig_core::config::{BoardConfig, BoardKind, Config, Floors};
use hilrig_core::contract::Contract;
use hilrig_core::place::FileError;
use hilrig_report::input;

pub use self::boards::{BoardSelection, choose};
pub(crate) use self::boards::{port_id, started};
pub(crate) use self::commit::of as commit_of;
pub use self::elf::{firmware, firmware_by, of_image, of_kind};
pub use self::image::{boot_rom, image, named_image};
pub use self::inputs::RunInputs;
pub use self::scenarios::{ScenarioSelection, scenarios};
pub use self::secrets::{power_passwords, secrets, settings};
pub use self::twins::refuse_twins;
use crate::Error;

/// The configuration.
///
/// # Errors
/// The file cannot be read, or the configuration is wrong; the text has the line.
pub fn config(path: &Path) -> Result<Config, Error> {
    let text = input::read_text(path, input::TEXT_MOST).map_err(|error| {
        Error::usage(format!(
            "reading the configuration {}: {error}. `hilrig init` writes one; --config names another",
            path.display()
        ))
    })?;
    let config = Config::parse(path, &text).map_err(Error::usage)?;
    for board in &config.boards {
        named_by_what_stays(&config, board)?;
    }
    Ok(config)
}

/// Refuses a port whose name depends on the order of plugging in: tomorrow it may be another board's.
fn named_by_what_stays(config: &Config, board: &BoardConfig) -> Result<(), Error> {
    let path = port_id(board).and_then(|id| id.path.as_ref());
    let Some(path) = path.filter(|path| identity::is_passing(path)) else { return Ok(()) };
    // Without a list of ports the error only names the keys; `hilrig boards` prints why there is none.
    let found = discover().unwrap_or_default();
    let port = found.iter().find(|port| port.port == *path);
    let instead = match port.and_then(|port| identity::stable_key(port, &found)) {
        Some(key) => format!("Its adapter is {key}: write that instead"),
        None => {
            "Write `usb_serial`, `position` or `mac` instead (`hilrig boards` lists them)".into()
        }
    };
    let message = format!(
        "board `{}`: {} depends on the order of plugging in, and may be another board's next time. {instead}",
        board.name,
        path.display()
    );
    Err(Error::usage(FileError::at_line(&config.path, board.line, message)))
}

/// The firmware's contract.
///
/// # Errors
/// The file cannot be read, or the contract is wrong; the text has the line.
pub fn contract(config: &Config) -> Result<Contract, Error> {
    let path = &config.contract.path;
    let text = read(path, input::TEXT_MOST, || {
        config.contract.needed(&config.path, "It describes what the firmware logs and answers.")
    })?;
    let text = String::from_utf8(text)
        .map_err(|_| Error::usage(format!("{}: it is no UTF-8 text", path.display())))?;
    Contract::parse(path, &text).map_err(Error::usage)
}

/// The heap floors of each kind of board that has an image.
pub fn floors(config: &Config) -> BTreeMap<BoardKind, Floors> {
    config.firmware.keys().map(|kind| (*kind, config.floors_of(*kind))).collect()
}

fn read(path: &Path, most: u64, missing: impl FnOnce() -> FileError) -> Result<Vec<u8>, Error> {
    input::read(path, most).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::usage(missing()),
        _ => Error::usage(format!("reading {}: {error}", path.display())),
    })
}
