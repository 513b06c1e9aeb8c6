//! What is attached to this machine, and which board of the configuration it is.

use hilrig_boards::identity::discover::{FoundPort, discover, unlisted};
use hilrig_boards::identity::query::PortMatch;
use hilrig_boards::{ChipIdentity, LoaderDeadlines, ModemLines, PortCache, identify_on};
use hilrig_core::board::ResetLines;
use hilrig_core::config::{Attached, BoardConfig, Config};
use hilrig_core::plural::counted;
use hilrig_virtual::ControlSocket;
use tokio::task::{JoinSet, LocalSet};

use super::{modem, neighbours};
use crate::Error;
use crate::folders::{lock_folder, state_folder};

/// A port, and what is known of the board on it.
pub struct ListedPort<'a> {
    /// The port.
    pub port: FoundPort,
    /// The board that is named on it.
    pub board: Option<&'a BoardConfig>,
    /// The chip, as it was just asked or as it answered in an earlier run.
    pub chip: Option<ChipIdentity>,
    /// Why it could not be asked.
    pub trouble: Option<String>,
}

/// The ports with their boards, and the words for each board that is not found. With `ask` the
/// chips are asked.
///
/// # Errors
/// The system lists no ports.
pub async fn list_ports(
    config: Option<&Config>,
    ask: bool,
) -> Result<(Vec<ListedPort<'_>>, Vec<String>), Error> {
    let found = discover().map_err(Error::rig)?;
    let row = |port: &FoundPort| ListedPort {
        port: port.clone(),
        board: None,
        chip: PortCache::of(&state_folder(), port, &found).and_then(|seen| seen.read()),
        trouble: None,
    };
    let mut rows: Vec<ListedPort<'_>> = found.iter().map(row).collect();
    let mut missing = name(config, &found, &mut rows);
    if ask {
        ask_all(&mut rows, &found).await;
        missing = name(config, &found, &mut rows);
    }
    Ok((rows, missing))
}

/// Gives each row its board and adds rows for boards on ports that the system does not list (a virtual
/// board's pty). Returns a line for each board that is not found.
fn name<'a>(
    config: Option<&'a Config>,
    found: &[FoundPort],
    rows: &mut Vec<ListedPort<'a>>,
) -> Vec<String> {
    let Some(config) = config else { return Vec::new() };
    let neighbours = neighbours(config);
    let mut missing = Vec::new();
    for wanted in &neighbours.boards {
        let board = config.boards.iter().find(|board| board.name == wanted.board);
        let place = match wanted.find(&neighbours.boards, found) {
            Ok(place) => place,
            Err(fault) => {
                let help = fault.help.unwrap_or_default();
                missing.push(format!("Board `{}`: {}. {help}", wanted.board, fault.found));
                continue;
            }
        };
        let row = match &place {
            PortMatch::Port(path) => rows.iter_mut().find(|row| row.port.port == *path),
            PortMatch::OneOf(ports) => rows.iter_mut().find(|row| {
                let mac = row.chip.as_ref().map(|chip| chip.mac);
                ports.contains(&row.port.port) && mac == wanted.mac
            }),
        };
        match (row, place) {
            (Some(row), _) => row.board = board,
            (None, PortMatch::Port(path)) => {
                rows.push(ListedPort { port: unlisted(&path), board, chip: None, trouble: None });
            }
            (None, PortMatch::OneOf(ports)) => missing.push(format!(
                "Board `{}` ({}): {} may be its own; `hilrig boards --ask` asks their chips.",
                wanted.board,
                wanted.words(),
                counted(ports.len(), "port")
            )),
        }
    }
    missing
}

/// Asks every chip, all at once: a port without a chip is only known after seconds.
async fn ask_all(rows: &mut [ListedPort<'_>], found: &[FoundPort]) {
    let local = LocalSet::new();
    let mut asking = JoinSet::new();
    for (number, row) in rows.iter().enumerate() {
        // Anything may be attached to the main board's own ports, unless a board is configured there.
        if row.port.usb.is_none() && row.board.is_none() {
            continue;
        }
        let mut lines: Box<dyn ResetLines> = match row.board.map(|board| &board.attached) {
            Some(Attached::Control { control, .. }) => Box::new(ControlSocket::new(control)),
            Some(Attached::Serial { lines, .. }) => modem(*lines),
            _ => Box::new(ModemLines::default()),
        };
        let port = row.port.port.clone();
        let asked = async move {
            let locks = lock_folder();
            let holder = "hilrig boards --ask";
            (
                number,
                identify_on(port, &mut *lines, &locks, LoaderDeadlines::default(), holder).await,
            )
        };
        asking.spawn_local_on(asked, &local);
    }
    let gather = async {
        while let Some(asked) = asking.join_next().await {
            let Ok((number, answer)) = asked else { continue };
            let row = &mut rows[number];
            match answer {
                Ok(chip) => {
                    PortCache::note(&state_folder(), &row.port.port, found, &chip);
                    row.chip = Some(chip);
                }
                Err(fault) => row.trouble = Some(fault.to_string()),
            }
        }
    };
    local.run_until(gather).await;
}
