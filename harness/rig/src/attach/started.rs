//! Virtual boards that a run starts itself.

use std::path::Path;

use hilrig_boards::{ProbeBoard, SerialBoard};
use hilrig_core::board::BoardFault;
use hilrig_core::config::{BoardConfig, Config};
use hilrig_virtual::lm3s6965::{ArmBoard, ArmBoardConfig, ArmReady};
use hilrig_virtual::{ControlSocket, Serving, VirtualBoard, VirtualBoardConfig};

use super::real::{At, by_control, probe, serial};

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

/// Starts an ESP8266-class board.
pub async fn start_virtual(
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

/// Starts an LM3S6965 board.
pub async fn start_arm(
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
