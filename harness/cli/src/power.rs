//! `hilrig power`.

use std::time::Duration;

use hilrig::load::{self, BoardSelection};
use hilrig::{attach, folders};
use hilrig_boards::LockFile;
use hilrig_core::config::Attached;

use crate::args::{self, PowerAction};
use crate::error::{Failure, print};
use crate::signals;

/// Switches a board's power, if no run has locked the board.
pub async fn power(args: args::Power) -> Result<u8, Failure> {
    let config = load::config(&args.config.config)?;
    let board = load::choose(&config, &BoardSelection::named(&args.board))?.remove(0);
    load::power_passwords(&config, std::slice::from_ref(&board))?;
    let name = &board.name;
    let mut power = attach::power(&board).ok_or_else(|| {
        Failure::usage(format!(
            "board `{name}` has no power line: describe it in its [board.power]"
        ))
    })?;
    let stop = signals::stop_request()?;
    let locks = folders::lock_folder();
    let reason = "switching its power";
    let fault = |fault: hilrig_core::board::BoardFault| Failure::rig(fault);
    power.lock(&locks, reason, Duration::ZERO, |_| {}).await.map_err(fault)?;
    // A run that locked the port may not know the power line.
    let port = match &board.attached {
        Attached::Control { port, .. } | Attached::Serial { port, .. } => port.path.clone(),
        Attached::Started | Attached::Probe { .. } => None,
    };
    let held = port.filter(|port| port.exists()).map(|port| LockFile::take(&locks, &port, reason));
    let _held = held.transpose().map_err(|not| fault(not.into()))?;
    let switch = async {
        match args.action {
            PowerAction::On => power.on().await,
            PowerAction::Off => power.off().await,
            PowerAction::Cycle => power.cycle().await,
        }
    };
    let done = tokio::select! {
        done = switch => done.map_err(fault),
        why = stop.requested() => Err(Failure::rig(why)),
    };
    if matches!(args.action, PowerAction::Cycle) {
        // A cycle that was stopped halfway must not leave the board without power.
        power.release().await;
    }
    done?;
    let done = match args.action {
        PowerAction::On => "on",
        PowerAction::Off => "off",
        PowerAction::Cycle => "off and on",
    };
    print(&format!("{name}: {done}, by {}\n", power.words()))
}
