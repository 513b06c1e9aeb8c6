//! Power lines of boards: a USB hub's port, an HTTP relay, a command, a virtual board's control socket.

mod commands;
mod http;
mod http_relay;
mod hub;
mod login;
mod program;

use std::path::Path;
use std::time::{Duration, Instant};

use hilrig_core::board::{BoardFault, Power};
use hilrig_core::config::{PowerConfig, PowerLine};

use crate::lock::LockFile;

pub use commands::Commands;
pub use http_relay::{Tasmota, UrlRelay};
pub use hub::{HubPort, uhubctl};
pub use login::RelayLogin;

/// For one switching. A relay answers in a tenth of a second; uhubctl takes a second or two for hubs on
/// hubs.
const SWITCHING: Duration = Duration::from_secs(15);

/// How long a board may take to come back after its power: its adapter or probe starts, the kernel finds
/// it, udev sets its mode and its links, programs that probe each new port close it, and its chip
/// answers.
const BACK: Duration = Duration::from_secs(20);
/// Interval between attempts: no event reports that all of this is done.
const BACK_AGAIN: Duration = Duration::from_millis(100);

/// Switches a board off and on, if it has a power line.
pub(crate) async fn cycle(power: Option<&mut PowerSwitch>) -> Result<(), BoardFault> {
    match power {
        Some(power) => power.cycle().await,
        None => Err(BoardFault::new("switching the board off and on", "no power line")),
    }
}

/// Tries to open a board that was switched off and on, until it is back.
pub(crate) async fn until_back(
    mut open: impl AsyncFnMut() -> Result<(), BoardFault>,
) -> Result<(), BoardFault> {
    let end = Instant::now() + BACK;
    loop {
        match open().await {
            Ok(()) => return Ok(()),
            Err(_) if Instant::now() < end => tokio::time::sleep(BACK_AGAIN).await,
            Err(mut fault) => {
                let after = format!(" {} s after its power came back", BACK.as_secs());
                fault.found.push_str(&after);
                return Err(fault);
            }
        }
    }
}

/// A board's power line, and how it is used.
pub struct PowerSwitch {
    line: Box<dyn Power>,
    off_time: Duration,
    lock: Option<LockFile>,
    is_off: bool,
}

impl PowerSwitch {
    /// By `line`; a cycle keeps the board off for `off_time`.
    pub fn new(line: Box<dyn Power>, off_time: Duration) -> PowerSwitch {
        PowerSwitch { line, off_time, lock: None, is_off: false }
    }

    /// As the configuration says. `password` is the relay's, where it has one.
    pub fn of(config: &PowerConfig, password: Option<String>) -> PowerSwitch {
        let login =
            config.user.clone().zip(password).map(|(user, password)| RelayLogin { user, password });
        let line: Box<dyn Power> = match config.line.clone() {
            PowerLine::Hub { hub, port } => Box::new(HubPort::new(hub, port)),
            PowerLine::Tasmota { url, relay } => Box::new(Tasmota::new(url, relay, login)),
            PowerLine::Url { on, off } => Box::new(UrlRelay::new(on, off, login)),
            PowerLine::Command { on, off } => Box::new(Commands::new(on, off)),
        };
        PowerSwitch::new(line, config.off_time)
    }

    /// What it is, for messages.
    pub fn words(&self) -> String {
        format!("{} (off for {})", self.line.words(), hilrig_core::units::Span(self.off_time))
    }

    /// Locks the line against other runs. See [`LockFile::wait`].
    pub async fn lock(
        &mut self,
        locks: &Path,
        reason: &str,
        patience: Duration,
        note: impl FnMut(&str),
    ) -> Result<(), BoardFault> {
        if self.lock.is_none() {
            let name = self.line.words();
            self.lock = Some(LockFile::wait(locks, name.as_ref(), reason, patience, note).await?);
        }
        Ok(())
    }

    /// Cuts the power.
    pub async fn off(&mut self) -> Result<(), BoardFault> {
        // Also where it fails: the state is not known then.
        self.is_off = true;
        self.line.off().await
    }

    /// Restores the power.
    pub async fn on(&mut self) -> Result<(), BoardFault> {
        self.line.on().await?;
        self.is_off = false;
        Ok(())
    }

    /// Off, and on again after a while.
    pub async fn cycle(&mut self) -> Result<(), BoardFault> {
        self.off().await?;
        // The time without power, not a wait for an event.
        tokio::time::sleep(self.off_time).await;
        self.on().await
    }

    /// Unlocks the line. A run that was stopped in the middle of a cycle leaves no board without power.
    pub async fn release(&mut self) {
        if self.is_off
            && let Err(error) = self.on().await
        {
            tracing::error!(%error, "the board was left without power");
        }
        self.lock = None;
    }
}
