//! Takes the boards of a run: starts virtual ones, attaches real ones.

mod absent;
mod listing;
mod named;
mod real;
mod started;

use std::path::Path;

use hilrig_core::board::Board;
use hilrig_core::config::{Attached, BoardConfig, BoardKind, Config};
use hilrig_virtual::lm3s6965::ArmReady;
use hilrig_virtual::{ControlSocket, Serving};

use self::absent::Absent;
pub use self::listing::{ListedPort, list_ports};
pub use self::named::{BoardName, Rates, named};
pub use self::real::{modem, neighbours, power};
use self::real::{probe, search, serial};
use self::started::{start_arm, start_virtual};
use crate::folders::state_folder;

/// The boards of a run, with the processes of the virtual ones.
pub struct AttachedBoards {
    boards: Vec<(Box<dyn Board>, BoardKind)>,
    virtual_boards: Vec<Serving>,
    arm_boards: Vec<Serving<ArmReady>>,
}

impl AttachedBoards {
    /// Starts the virtual boards. One that cannot be started is a board that cannot be locked, so
    /// that the others run and the fault is in the record.
    pub async fn start(
        config: &Config,
        chosen: &[BoardConfig],
        run_dir: &Path,
        seed: u64,
    ) -> AttachedBoards {
        let mut bench = AttachedBoards {
            boards: Vec::new(),
            virtual_boards: Vec::new(),
            arm_boards: Vec::new(),
        };
        let neighbours = neighbours(config);
        for (number, board) in chosen.iter().enumerate() {
            let seed = seed.wrapping_add(number as u64);
            let made: Box<dyn Board> = match &board.attached {
                Attached::Started if board.kind.has_probe() => {
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
                    let at = search(&neighbours, board, port);
                    let lines = Box::new(ControlSocket::new(control));
                    let made = serial(board, at, lines, board.http, &state_folder());
                    Box::new(made.with_power(power(board)))
                }
                Attached::Serial { port, lines } => {
                    let at = search(&neighbours, board, port);
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
