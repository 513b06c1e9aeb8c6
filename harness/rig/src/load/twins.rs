//! Refuses two boards with the same MAC address before a board is touched.
//!
//! A board's topics and its client id are made of its MAC: with two boards of one MAC each gets the other's
//! replies, and the broker drops one when the other connects.

use std::collections::BTreeMap;

use hilrig_core::config::{Attached, BoardConfig, Config};
use hilrig_core::mac::Mac;
use hilrig_core::place::FileError;
use hilrig_virtual::ControlSocket;

use crate::Error;

/// Refuses `chosen` if two of them have one MAC, by the configuration or by what a virtual board
/// answers on its control socket. A real board's MAC that is not configured is known when it is locked.
///
/// # Errors
/// Two boards have the same MAC address.
pub async fn refuse_twins(config: &Config, chosen: &[BoardConfig]) -> Result<(), Error> {
    let mut seen: BTreeMap<Mac, &str> = BTreeMap::new();
    for board in chosen {
        let Some(mac) = mac_of(board).await else { continue };
        let Some(other) = seen.insert(mac, &board.name) else { continue };
        let message = format!(
            "the boards `{other}` and `{}` have the same MAC address, {mac}. Boards of one run need different ones: \
             their topics and client ids are made of it. Are both the same board? A virtual board gets another MAC with --mac or --seed and an empty --state folder",
            board.name
        );
        return Err(Error::usage(match board.line {
            0 => FileError::whole(&config.path, message),
            line => FileError::at_line(&config.path, line, message),
        }));
    }
    Ok(())
}

async fn mac_of(board: &BoardConfig) -> Option<Mac> {
    match (&board.mac, &board.attached) {
        (Some(mac), _) => Some(*mac),
        // A board that does not answer is found when it is locked, with its reason.
        (None, Attached::Control { control, .. }) => {
            ControlSocket::new(control).status().await.ok().map(|status| status.mac)
        }
        (None, _) => None,
    }
}
