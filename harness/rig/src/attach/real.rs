//! The drivers of the boards that the configuration names.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use hilrig_boards::identity::query::PortQuery;
use hilrig_boards::power::PowerSwitch;
use hilrig_boards::{
    LoaderDeadlines, ModemLines, NoLines, PortSearch, ProbeBoard, ProbeSettings, SerialBoard,
    SerialSettings,
};
use hilrig_core::board::{Reach, ResetLines};
use hilrig_core::config::{Attached, BoardConfig, Config, LinesKind, PortId};
use hilrig_core::image::Image;
use hilrig_virtual::ControlSocket;

use crate::folders::lock_folder;
use crate::load::port_id;

/// All boards of the configuration: a board finds its own port by ruling out the others'.
pub fn neighbours(config: &Config) -> Rc<hilrig_boards::Neighbours> {
    let boards = config.boards.iter().filter_map(|board| Some(query(board, port_id(board)?)));
    Rc::new(hilrig_boards::Neighbours::new(boards.collect()))
}

fn query(board: &BoardConfig, id: &PortId) -> PortQuery {
    PortQuery { board: board.name.clone(), id: id.clone(), mac: board.mac }
}

/// A board that looks for its own port when it is locked.
pub fn search(neighbours: &Rc<hilrig_boards::Neighbours>, board: &BoardConfig, id: &PortId) -> At {
    At::Sought(PortSearch { query: query(board, id), neighbours: Rc::clone(neighbours) })
}

/// Where a board's port is.
pub enum At {
    /// It is this one.
    Port(PathBuf),
    /// It is looked for each time that the board is locked.
    Sought(PortSearch),
}

/// One board on a port, as `--port` names it or the configuration.
pub fn serial(
    board: &BoardConfig,
    at: At,
    lines: Box<dyn ResetLines>,
    http: Option<SocketAddr>,
    state: &Path,
) -> SerialBoard {
    let (port, search) = match at {
        At::Port(port) => (port, None),
        At::Sought(search) => (PathBuf::new(), Some(search)),
    };
    let settings = SerialSettings {
        name: board.name.clone(),
        kind: board.kind,
        port,
        search,
        mac: board.mac,
        reach: Reach { http, rig: board.rig },
        baud: board.baud,
        rom_baud: board.rom_baud,
        flash_baud: board.flash_baud,
        state: state.into(),
        locks: lock_folder(),
        deadlines: LoaderDeadlines::default(),
    };
    SerialBoard::new(settings, lines)
}

/// One board on a debug probe. `firmware` is the image whose console may be read without flashing.
pub fn probe(
    board: &BoardConfig,
    chip: &str,
    selector: Option<&str>,
    firmware: Option<Image>,
    state: &Path,
) -> ProbeBoard {
    ProbeBoard::new(ProbeSettings {
        name: board.name.clone(),
        kind: board.kind.name().into(),
        chip: chip.into(),
        probe: selector.map(str::to_owned),
        mac: board.mac,
        reach: Reach { http: board.http, rig: board.rig },
        firmware,
        state: state.into(),
        locks: lock_folder(),
    })
}

/// What cuts a board's power, as configured, or by the control socket that it has anyway.
pub fn power(board: &BoardConfig) -> Option<PowerSwitch> {
    match (&board.power, &board.attached) {
        (Some(power), _) => {
            let password = power.password_env.as_ref().and_then(|name| std::env::var(name).ok());
            Some(PowerSwitch::of(power, password))
        }
        (None, Attached::Control { control, .. }) => Some(by_control(control)),
        (None, Attached::Started | Attached::Serial { .. } | Attached::Probe { .. }) => None,
    }
}

/// A virtual board has no capacitors that have to run empty.
pub fn by_control(control: &Path) -> PowerSwitch {
    PowerSwitch::new(Box::new(ControlSocket::new(control)), Duration::ZERO)
}

/// The reset lines of a real board.
pub fn modem(lines: LinesKind) -> Box<dyn ResetLines> {
    match lines {
        LinesKind::DtrRts => Box::new(ModemLines::default()),
        LinesKind::Inverted => Box::new(ModemLines::inverted()),
        LinesKind::None => Box::new(NoLines),
    }
}
