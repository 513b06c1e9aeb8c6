//! The boards of a run: chosen from the configuration, virtual ones started, each made into what
//! the runner knows.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use hilrig_boards::identity::wanted::Wanted;
use hilrig_boards::power::PowerSwitch;
use hilrig_boards::{
    Deadlines, ModemLines, NoLines, ProbeBoard, ProbeSettings, Seek, SerialBoard, Settings,
};
use hilrig_core::board::{Board, BoardFault, Console, Flashed, Lines, Reach};
use hilrig_core::config::{
    Attached, BoardConfig, BoardKind, Config, FLASH_BAUD, LinesKind, PortId,
    RIG_SEEN_BY_VIRTUAL_BOARD,
};
use hilrig_core::event::BoardFacts;
use hilrig_core::image::Image;
use hilrig_virtual::lm3s6965::{ArmBoard, ArmBoardConfig, ArmReady};
use hilrig_virtual::{ControlSocket, Serving, VirtualBoard, VirtualBoardConfig};
use rustix::fs::Access;

use crate::args::{ConfigArg, Which};
use crate::error::Failure;
use crate::load;

/// A board that was chosen for a run.
pub type Chosen = BoardConfig;

/// The boards of a run: `--virtual N` of a kind, or `--board`, or all that are configured, or as
/// many virtual ones as the configuration says.
pub fn choose(
    config: &Config,
    virtual_boards: Option<usize>,
    kind: Option<BoardKind>,
    names: &[String],
) -> Result<Vec<Chosen>, Failure> {
    if let Some(unknown) = names.iter().find(|name| !config.boards.iter().any(|b| b.name == **name))
    {
        let known: Vec<&str> = config.boards.iter().map(|board| board.name.as_str()).collect();
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        return Err(Failure::usage(format!(
            "no [[board]] of {} is named `{unknown}`; there are: {known}",
            config.path.display()
        )));
    }
    let count = match virtual_boards {
        Some(count) => count,
        None if config.boards.is_empty() => config.virtual_.boards,
        None => {
            let named = |board: &&BoardConfig| names.is_empty() || names.contains(&board.name);
            return Ok(config.boards.iter().filter(named).cloned().collect());
        }
    };
    let kind = kind.unwrap_or(config.virtual_.kind);
    Ok((1..=count).map(|number| started(number, kind)).collect())
}

fn started(number: usize, kind: BoardKind) -> BoardConfig {
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
pub fn has_boot_rom(board: &Chosen) -> bool {
    board.attached == Attached::Started && board.kind == BoardKind::Virtual
}

/// Folder of what is known of boards from run to run, by the XDG base directory specification.
pub fn state_folder() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let state =
        std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    state.or_else(home).unwrap_or_else(std::env::temp_dir).join("hilrig")
}

/// Folder of the boards' locks, one for all users of a machine: `HILRIG_LOCKS`, or where the system
/// keeps the locks of serial ports, or among the temporary files where that is not for everybody.
pub fn lock_folder() -> PathBuf {
    let system = Path::new("/run/lock");
    let named = std::env::var_os("HILRIG_LOCKS").map(PathBuf::from);
    named.unwrap_or_else(|| match rustix::fs::access(system, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => system.join("hilrig"),
        Err(_) => std::env::temp_dir().join("hilrig-locks"),
    })
}

/// The boards, and what runs beside them.
pub struct Bench {
    boards: Vec<(Box<dyn Board>, BoardKind)>,
    virtual_boards: Vec<Serving>,
    arm_boards: Vec<Serving<ArmReady>>,
}

impl Bench {
    /// Starts the virtual boards. One that cannot be started is a board that cannot be locked, so
    /// that the others run and the fault is in the record.
    pub async fn start(config: &Config, chosen: &[Chosen], run_dir: &Path, seed: u64) -> Bench {
        let mut bench =
            Bench { boards: Vec::new(), virtual_boards: Vec::new(), arm_boards: Vec::new() };
        let neighbours = neighbours(config);
        for (number, board) in chosen.iter().enumerate() {
            let seed = seed.wrapping_add(number as u64);
            let made: Box<dyn Board> = match &board.attached {
                Attached::Started if board.kind == BoardKind::Lm3s6965 => {
                    match start_arm(config, board, run_dir, seed).await {
                        Ok((serving, made)) => {
                            bench.arm_boards.push(serving);
                            Box::new(made)
                        }
                        Err(fault) => Box::new(Absent { board: board.clone(), fault }),
                    }
                }
                Attached::Started => match start_virtual(config, board, run_dir, seed).await {
                    Ok((serving, made)) => {
                        bench.virtual_boards.push(serving);
                        Box::new(made)
                    }
                    Err(fault) => Box::new(Absent { board: board.clone(), fault }),
                },
                Attached::Control { port, control } => {
                    let at = seek(&neighbours, board, port);
                    let lines = Box::new(ControlSocket::new(control));
                    let made = serial(board, at, lines, board.http, &state_folder());
                    Box::new(made.with_power(power(board)))
                }
                Attached::Serial { port, lines } => {
                    let at = seek(&neighbours, board, port);
                    let made = serial(board, at, modem(*lines), board.http, &state_folder());
                    Box::new(made.with_power(power(board)))
                }
                Attached::Probe { chip, probe: selector } => {
                    let made = probe(board, chip, selector.as_deref(), None, &state_folder());
                    Box::new(made.with_power(power(board)))
                }
            };
            bench.boards.push((made, board.kind));
        }
        bench
    }

    /// Hands out the boards.
    pub fn take_boards(&mut self) -> Vec<(Box<dyn Board>, BoardKind)> {
        std::mem::take(&mut self.boards)
    }

    /// Stops what was started.
    pub async fn stop(self) {
        for board in self.virtual_boards {
            if let Err(error) = board.stop().await {
                tracing::error!("a virtual board had ended before: {error}");
            }
        }
        for board in self.arm_boards {
            if let Err(error) = board.stop().await {
                tracing::error!("a virtual board had ended before: {error}");
            }
        }
    }
}

/// All boards of the configuration, for those that look for their own port beside the others.
pub fn neighbours(config: &Config) -> Rc<hilrig_boards::Bench> {
    let boards = config.boards.iter().filter_map(|board| Some(wanted(board, port_id(board)?)));
    Rc::new(hilrig_boards::Bench::new(boards.collect()))
}

/// What names a board's serial port; none for a board that has none of this machine's.
pub fn port_id(board: &BoardConfig) -> Option<&PortId> {
    match &board.attached {
        Attached::Control { port, .. } | Attached::Serial { port, .. } => Some(port),
        Attached::Started | Attached::Probe { .. } => None,
    }
}

fn wanted(board: &BoardConfig, id: &PortId) -> Wanted {
    Wanted { board: board.name.clone(), id: id.clone(), mac: board.mac }
}

fn seek(neighbours: &Rc<hilrig_boards::Bench>, board: &BoardConfig, id: &PortId) -> At {
    At::Sought(Seek { wanted: wanted(board, id), bench: Rc::clone(neighbours) })
}

/// Where a board's port is.
pub enum At {
    /// It is this one.
    Port(PathBuf),
    /// It is looked for each time that the board is locked.
    Sought(Seek),
}

/// One board on a port, as `--port` names it or the configuration.
pub fn serial(
    board: &BoardConfig,
    at: At,
    lines: Box<dyn Lines>,
    http: Option<SocketAddr>,
    state: &Path,
) -> SerialBoard {
    let (port, seek) = match at {
        At::Port(port) => (port, None),
        At::Sought(seek) => (PathBuf::new(), Some(seek)),
    };
    let settings = Settings {
        name: board.name.clone(),
        kind: board.kind,
        port,
        seek,
        mac: board.mac,
        reach: Reach { http, rig: board.rig },
        baud: board.baud,
        rom_baud: board.rom_baud,
        flash_baud: board.flash_baud,
        state: state.into(),
        locks: lock_folder(),
        deadlines: Deadlines::default(),
    };
    SerialBoard::new(settings, lines)
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

/// One board behind a debug probe. `firmware` is the image whose console it may have already.
fn probe(
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

/// The board that a command names, by its name in the configuration or by its port.
pub fn named(
    config: &ConfigArg,
    which: &Which,
    rates: Rates,
) -> Result<(Box<dyn Board>, BoardKind), Failure> {
    let (board, at, lines): (BoardConfig, At, Box<dyn Lines>) = match (&which.board, &which.port) {
        (Some(name), _) => {
            let config = load::config(&config.config)?;
            let board = choose(&config, None, None, std::slice::from_ref(name))?.remove(0);
            match board.attached.clone() {
                Attached::Control { port, control } => {
                    let at = seek(&neighbours(&config), &board, &port);
                    (board, at, Box::new(ControlSocket::new(control)))
                }
                Attached::Serial { port, lines } => {
                    let at = seek(&neighbours(&config), &board, &port);
                    (board, at, modem(lines))
                }
                Attached::Probe { chip, probe: selector } => {
                    // `flash` may be given another image, and `monitor` needs none.
                    let contract = load::contract(&config)?;
                    let firmware = load::image(&config, &contract, board.kind).ok();
                    let kind = board.kind;
                    let made = probe(&board, &chip, selector.as_deref(), firmware, &state_folder());
                    return Ok((Box::new(made), kind));
                }
                Attached::Started if board.kind == BoardKind::Lm3s6965 => {
                    return Err(Failure::usage(format!(
                        "board `{name}` is a virtual one, and no other process sees its probe: it only lives in a run"
                    )));
                }
                Attached::Started => {
                    return Err(Failure::usage(format!(
                        "board `{name}` is a virtual one that only lives in a run. Start one with `hilrig virtual-board --state DIR`, and name its port with --port"
                    )));
                }
            }
        }
        (None, Some(port)) => {
            let lines: Box<dyn Lines> = match &which.control {
                Some(control) => Box::new(ControlSocket::new(control)),
                None => Box::new(ModemLines::default()),
            };
            let name = port.display().to_string();
            (
                BoardConfig {
                    name,
                    baud: rates.console,
                    rom_baud: match which.control {
                        Some(_) => rates.console,
                        None => which.kind.rom_baud(rates.console),
                    },
                    flash_baud: rates.loader,
                    ..started(1, which.kind)
                },
                At::Port(port.clone()),
                lines,
            )
        }
        (None, None) => {
            return Err(Failure::usage("name a board with --board or a port with --port"));
        }
    };
    let kind = board.kind;
    Ok((Box::new(serial(&board, at, lines, None, &state_folder())), kind))
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
fn by_control(control: &Path) -> PowerSwitch {
    PowerSwitch::new(Box::new(ControlSocket::new(control)), Duration::ZERO)
}

/// The reset lines of a real board.
pub fn modem(lines: LinesKind) -> Box<dyn Lines> {
    match lines {
        LinesKind::DtrRts => Box::new(ModemLines::default()),
        LinesKind::Inverted => Box::new(ModemLines { inverted: true }),
        LinesKind::None => Box::new(NoLines),
    }
}

/// The folder of a board below the run's: short, because a socket's path may have 107 bytes, and no name
/// of the run's other files.
fn folder(board: &str) -> String {
    let hash = || {
        let bytes = board.bytes();
        bytes.fold(0x811c_9dc5_u32, |hash, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193))
    };
    match board.len() <= 16 {
        true => format!("b-{board}"),
        false => format!("b-{:08x}-{}", hash(), board.len()),
    }
}

async fn start_virtual(
    config: &Config,
    board: &BoardConfig,
    run_dir: &Path,
    seed: u64,
) -> Result<(Serving, SerialBoard), BoardFault> {
    let state = run_dir.join(folder(&board.name));
    let virtual_board = VirtualBoard::start(VirtualBoardConfig {
        state_dir: state.clone(),
        mac: board.mac,
        seed,
        qemu: config.virtual_.qemu.clone(),
        boot_rom: config.virtual_.boot_rom.path.clone(),
        gdb: false,
    })
    .await
    .map_err(|error| BoardFault::new("starting a virtual board", error))?;
    let serving = virtual_board.serve();
    let ready = serving.ready();
    let board = BoardConfig { mac: Some(ready.mac), ..board.clone() };
    let lines = Box::new(ControlSocket::new(&ready.control));
    let made = serial(&board, At::Port(ready.port.clone()), lines, Some(ready.http), &state);
    let made = made.with_power(Some(by_control(&ready.control)));
    Ok((serving, made))
}

async fn start_arm(
    config: &Config,
    board: &BoardConfig,
    run_dir: &Path,
    seed: u64,
) -> Result<(Serving<ArmReady>, ProbeBoard), BoardFault> {
    let state = run_dir.join(folder(&board.name));
    let arm_board = ArmBoard::start(ArmBoardConfig {
        state_dir: state.clone(),
        mac: board.mac,
        seed,
        qemu: config.virtual_.qemu_arm.clone(),
    })
    .await
    .map_err(|error| BoardFault::new("starting a virtual board", error))?;
    let serving = arm_board.serve();
    let ready = serving.ready();
    let board = BoardConfig { mac: Some(ready.mac), http: Some(ready.http), ..board.clone() };
    let made = probe(&board, &ready.chip, Some(&ready.probe), None, &state);
    let made = made.with_witness(Box::new(ControlSocket::new(&ready.control)));
    Ok((serving, made))
}

/// A board that is not there.
struct Absent {
    board: BoardConfig,
    fault: BoardFault,
}

#[async_trait(?Send)]
impl Board for Absent {
    fn name(&self) -> &str {
        &self.board.name
    }

    fn facts(&self) -> BoardFacts {
        BoardFacts { kind: self.board.kind.name().into(), port: "none".into(), mac: self.board.mac }
    }

    fn reach(&self) -> Reach {
        Reach { http: None, rig: IpAddr::from([127, 0, 0, 1]) }
    }

    async fn lock(&mut self, _: &str, _: Duration) -> Result<(), BoardFault> {
        Err(self.fault.clone())
    }

    async fn flash(
        &mut self,
        _: &Image,
        _: bool,
        _: Box<dyn Fn(u64, u64) + Send>,
    ) -> Result<Flashed, BoardFault> {
        Err(self.fault.clone())
    }

    fn confirm_build(&mut self, _: &Image, _: Option<&str>) {}

    async fn console(&mut self) -> Result<Box<dyn Console>, BoardFault> {
        Err(self.fault.clone())
    }

    async fn reset(&mut self) -> Result<(), BoardFault> {
        Err(self.fault.clone())
    }

    async fn sound(&mut self) -> Result<(), BoardFault> {
        Err(self.fault.clone())
    }

    async fn release(&mut self) {}
}
