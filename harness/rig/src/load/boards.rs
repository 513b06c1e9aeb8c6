//! Selects the boards of a run from the configuration.

use hilrig_core::board_kind::VirtualChip;
use hilrig_core::config::{
    Attached, BoardConfig, BoardKind, Config, FLASH_BAUD, PortId, RIG_SEEN_BY_VIRTUAL_BOARD,
};

use crate::Error;

/// The boards that a run is asked for. The default is those of the configuration.
#[derive(Clone, Debug, Default)]
pub struct BoardSelection {
    /// This many virtual boards in place of the configured ones.
    pub virtual_boards: Option<usize>,
    /// The kind of these virtual boards.
    pub kind: Option<BoardKind>,
    /// Only the configured boards of these names; empty for all.
    pub names: Vec<String>,
}

impl BoardSelection {
    /// The configured board of this name.
    pub fn named(name: impl Into<String>) -> BoardSelection {
        BoardSelection { names: vec![name.into()], ..BoardSelection::default() }
    }

    /// This many virtual boards of the configuration's kind.
    pub fn virtual_boards(count: usize) -> BoardSelection {
        BoardSelection { virtual_boards: Some(count), ..BoardSelection::default() }
    }
}

/// The boards of a run: the selected ones, or all that are configured, or as many virtual ones as the
/// configuration says.
///
/// # Errors
/// A name is not in the configuration.
pub fn choose(config: &Config, boards: &BoardSelection) -> Result<Vec<BoardConfig>, Error> {
    if let Some(unknown) =
        boards.names.iter().find(|name| !config.boards.iter().any(|b| b.name == **name))
    {
        let known: Vec<&str> = config.boards.iter().map(|board| board.name.as_str()).collect();
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        return Err(Error::usage(format!(
            "no [[board]] of {} is named `{unknown}`; there are: {known}",
            config.path.display()
        )));
    }
    let count = match boards.virtual_boards {
        Some(count) => count,
        None if config.boards.is_empty() => config.virtual_.boards,
        None => {
            let names = &boards.names;
            let named = |board: &&BoardConfig| names.is_empty() || names.contains(&board.name);
            return Ok(config.boards.iter().filter(named).cloned().collect());
        }
    };
    let kind = boards.kind.unwrap_or(config.virtual_.kind);
    Ok((1..=count).map(|number| started(number, kind)).collect())
}

/// A virtual board that the run starts, by its number from 1.
pub(crate) fn started(number: usize, kind: BoardKind) -> BoardConfig {
    BoardConfig {
        name: format!("virtual-{number}"),
        line: 0,
        kind,
        attached: Attached::Started,
        mac: None,
        baud: 115_200,
        rom_baud: 115_200,
        flash_baud: FLASH_BAUD,
        http: None,
        rig: RIG_SEEN_BY_VIRTUAL_BOARD,
        power: None,
    }
}

/// Whether the run starts this board itself, from a boot ROM.
pub fn has_boot_rom(board: &BoardConfig) -> bool {
    board.attached == Attached::Started && board.kind.virtual_chip() == Some(VirtualChip::Esp8266)
}

/// What names a board's serial port; none for a board that has none of this machine's.
pub fn port_id(board: &BoardConfig) -> Option<&PortId> {
    match &board.attached {
        Attached::Control { port, .. } | Attached::Serial { port, .. } => Some(port),
        Attached::Started | Attached::Probe { .. } => None,
    }
}
