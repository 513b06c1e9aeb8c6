//! What is between a virtual probe and its board, as far as it can fail: the probe's USB cable, its
//! one user at a time, the board's power. Probes are found here by their serial numbers.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use probe_rs::architecture::arm::{ArmError, DapError};
use probe_rs::probe::{DebugProbeError, ProbeCreationError};

use super::chip::Chip;

static PLUGGED: Mutex<BTreeMap<String, Arc<Cable>>> = Mutex::new(BTreeMap::new());

/// The serial numbers of the probes that are plugged in.
pub fn serials() -> Vec<String> {
    lock(&PLUGGED).keys().cloned().collect()
}

/// A probe and its board. The board's task holds one end, whoever debugs it the other.
#[derive(Debug)]
pub struct Cable {
    serial: String,
    ends: Mutex<Ends>,
}

#[derive(Debug)]
struct Ends {
    /// Rises when the probe is pulled out: what was opened before is gone then.
    plug: u64,
    open: bool,
    /// Rises when the power goes: a debug port has to be set up anew then.
    power: u64,
    board: Board,
}

#[derive(Debug)]
enum Board {
    Off,
    On(Box<Chip>),
    /// QEMU is gone, and this is why.
    Gone(String),
}

impl Cable {
    /// A probe on a board without power, not plugged in yet. No two may have one serial number.
    pub fn new(serial: String) -> Arc<Cable> {
        let ends = Ends { plug: 0, open: false, power: 0, board: Board::Off };
        Arc::new(Cable { serial, ends: Mutex::new(ends) })
    }

    /// Its serial number.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Plugs the probe in.
    pub fn plug_in(self: &Arc<Cable>) {
        lock(&PLUGGED).insert(self.serial.clone(), self.clone());
    }

    /// Pulls it out.
    pub fn pull_out(&self) {
        lock(&PLUGGED).remove(&self.serial);
        let mut ends = lock(&self.ends);
        ends.plug += 1;
        ends.open = false;
    }

    /// Whether it is plugged in.
    pub fn is_plugged_in(&self) -> bool {
        lock(&PLUGGED).contains_key(&self.serial)
    }

    /// The board has power.
    pub fn power_on(&self, chip: Chip) {
        lock(&self.ends).board = Board::On(Box::new(chip));
    }

    /// It has none any more, or (`why`) QEMU has ended by itself.
    pub fn power_off(&self, why: Option<String>) {
        let mut ends = lock(&self.ends);
        ends.power += 1;
        ends.board = why.map_or(Board::Off, Board::Gone);
    }

    /// For the board's own reset button; nothing happens to one without power.
    pub fn with_chip(&self, act: impl FnOnce(&mut Chip) -> io::Result<()>) -> io::Result<()> {
        match &mut lock(&self.ends).board {
            Board::On(chip) => act(chip),
            Board::Off | Board::Gone(_) => Ok(()),
        }
    }
}

/// A probe that somebody has opened. Nobody else can until it is dropped.
#[derive(Debug)]
pub struct Handle {
    cable: Arc<Cable>,
    plug: u64,
    /// The power's count when the debug port was set up.
    power: Option<u64>,
}

impl Handle {
    /// Opens the probe with this serial number.
    pub fn open(serial: &str) -> Result<Handle, ProbeCreationError> {
        let cable = lock(&PLUGGED).get(serial).cloned().ok_or(ProbeCreationError::NotFound)?;
        let mut ends = lock(&cable.ends);
        if std::mem::replace(&mut ends.open, true) {
            // What claiming a USB interface says that somebody else has.
            return Err(ProbeCreationError::Usb(rustix::io::Errno::BUSY.into()));
        }
        let plug = ends.plug;
        drop(ends);
        Ok(Handle { cable, plug, power: None })
    }

    /// Sets up the debug port.
    pub fn attach(&mut self) -> Result<(), DebugProbeError> {
        let ends = self.ends()?;
        match &ends.board {
            Board::On(_) => {}
            Board::Off => return Err(DebugProbeError::TargetNotFound),
            Board::Gone(why) => return Err(DebugProbeError::Other(why.clone())),
        }
        let power = ends.power;
        drop(ends);
        self.power = Some(power);
        Ok(())
    }

    /// Does something to the chip.
    pub fn with_chip<T>(
        &self,
        act: impl FnOnce(&mut Chip) -> io::Result<T>,
    ) -> Result<T, ArmError> {
        let mut ends = self.ends()?;
        let set_up = self.power == Some(ends.power);
        let done = match &mut ends.board {
            Board::On(chip) if set_up => act(chip),
            Board::Gone(why) => return Err(DebugProbeError::Other(why.clone()).into()),
            // Nobody drives the wires.
            Board::On(_) | Board::Off => return Err(DapError::NoAcknowledge.into()),
        };
        done.map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => ArmError::Other(error.to_string()),
            _ => {
                DebugProbeError::Other(format!("the virtual board does not answer: {error}")).into()
            }
        })
    }

    fn ends(&self) -> Result<MutexGuard<'_, Ends>, DebugProbeError> {
        let ends = lock(&self.cable.ends);
        if ends.plug == self.plug {
            return Ok(ends);
        }
        // What a USB device's file says when the device is gone.
        Err(DebugProbeError::Usb(rustix::io::Errno::NODEV.into()))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut ends = lock(&self.cable.ends);
        if ends.plug == self.plug {
            ends.open = false;
        }
    }
}

/// What a panic of another holder left is looked at all the same: the sockets behind it then answer
/// out of step, which is an error of its own.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
