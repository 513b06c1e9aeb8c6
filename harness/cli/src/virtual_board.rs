//! `hilrig virtual-board`.

use hilrig_core::exit;
use hilrig_virtual::{VirtualBoard, VirtualBoardConfig, seed_of};

use crate::args;
use crate::error::{Failure, print};
use crate::signals;

/// Runs a virtual board until it is stopped.
pub async fn virtual_board(args: args::VirtualBoard) -> Result<u8, Failure> {
    let stop = signals::stop_request()?;
    let seed = args.seed.map_or_else(|| seed_of(&args.state), Ok).map_err(Failure::rig)?;
    let mut board = VirtualBoard::start(VirtualBoardConfig {
        state_dir: args.state,
        mac: args.mac,
        seed,
        qemu: args.qemu,
        boot_rom: args.boot_rom,
        gdb: args.gdb,
    })
    .await
    .map_err(Failure::rig)?;
    let ready = serde_json::to_string(board.ready()).map_err(Failure::internal)?;
    print(&format!("{ready}\n"))?;
    let ended = board.run_until(stop.requested()).await;
    board.stop().await;
    ended.map(|()| exit::PASSED).map_err(Failure::rig)
}
