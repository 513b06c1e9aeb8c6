//! What can fail between a virtual probe and its board: the probe's USB cable, a second user of the probe,
//! the board's power. Probes are found here by their serial numbers.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use probe_rs::architecture::arm::{ArmError, DapError};
use probe_rs::probe::{DebugProbeError, ProbeCreationError};

use super::ANSWER;
use super::chip::ArmChip;

static PLUGGED: Mutex<BTreeMap<String, Arc<Cable>>> = Mutex::new(BTreeMap::new());

/// The serial numbers of the probes that are plugged in.
pub fn serials() -> Vec<String> {
    lock(&PLUGGED).keys().cloned().collect()
}

/// A probe and its board. The board's task has one end, the debugger the other.
#[derive(Debug)]
pub struct Cable {
    serial: String,
    ends: Mutex<Ends>,
    changed: Condvar,
}

#[derive(Debug)]
struct Ends {
    /// Increases when the probe is pulled out: earlier sessions are invalid then.
    plug: u64,
    open: bool,
    /// Increases when the power is cut: the debug port has to be set up again then.
    power: u64,
    board: Board,
    /// Increases with each change of the board.
    changes: u64,
}

#[derive(Debug)]
enum Board {
    Off,
    On(Box<ArmChip>),
    /// QEMU ended, for this reason.
    Gone(String),
}

impl Cable {
    /// A probe on a board without power, not plugged in yet. Serial numbers have to be unique.
    pub fn new(serial: String) -> Arc<Cable> {
        let ends = Ends { plug: 0, open: false, power: 0, board: Board::Off, changes: 0 };
        Arc::new(Cable { serial, ends: Mutex::new(ends), changed: Condvar::new() })
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

    /// The board has power; or it has a new chip, with the debug port as before.
    pub fn power_on(&self, chip: ArmChip) {
        self.change(lock(&self.ends), Board::On(Box::new(chip)));
    }

    /// The board has no power, or (`why`) QEMU has ended by itself.
    pub fn power_off(&self, why: Option<String>) {
        let mut ends = lock(&self.ends);
        ends.power += 1;
        self.change(ends, why.map_or(Board::Off, Board::Gone));
    }

    fn change(&self, mut ends: MutexGuard<'_, Ends>, board: Board) {
        ends.board = board;
        ends.changes += 1;
        self.changed.notify_all();
    }

    /// Acts on the chip for the board itself; none where it has no power.
    pub fn with_chip<T>(&self, act: impl FnOnce(&mut ArmChip) -> T) -> Option<T> {
        match &mut lock(&self.ends).board {
            Board::On(chip) => Some(act(chip)),
            Board::Off | Board::Gone(_) => None,
        }
    }
}

/// A probe that is open, exclusively, until this is dropped.
#[derive(Debug)]
pub struct Handle {
    cable: Arc<Cable>,
    plug: u64,
    /// Count of power cuts when the debug port was set up.
    power: Option<u64>,
}

impl Handle {
    /// Opens the probe with this serial number.
    pub fn open(serial: &str) -> Result<Handle, ProbeCreationError> {
        let cable = lock(&PLUGGED).get(serial).cloned().ok_or(ProbeCreationError::NotFound)?;
        let mut ends = lock(&cable.ends);
        if std::mem::replace(&mut ends.open, true) {
            // The error for a USB interface that another process has claimed.
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

    /// Acts on the chip; again if QEMU ended meanwhile.
    pub fn with_chip<T>(
        &self,
        mut act: impl FnMut(&mut ArmChip) -> io::Result<T>,
    ) -> Result<T, ArmError> {
        let mut ends = self.ends()?;
        let mut done = self.once(&mut ends, &mut act)?;
        if done.as_ref().is_err_and(has_ended) {
            // The board's task notices it as well, and handles it.
            let before = ends.changes;
            let wait =
                self.cable.changed.wait_timeout_while(ends, ANSWER, |ends| ends.changes == before);
            drop(wait);
            done = self.once(&mut *self.ends()?, &mut act)?;
        }
        done.map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => ArmError::Other(error.to_string()),
            _ => {
                let found = format!("the virtual board does not answer: {error}");
                DebugProbeError::Other(found).into()
            }
        })
    }

    fn once<T>(
        &self,
        ends: &mut Ends,
        act: impl FnOnce(&mut ArmChip) -> io::Result<T>,
    ) -> Result<io::Result<T>, ArmError> {
        let set_up = self.power == Some(ends.power);
        match &mut ends.board {
            Board::On(chip) if set_up => Ok(act(chip)),
            Board::Gone(why) => Err(DebugProbeError::Other(why.clone()).into()),
            // Nothing drives the wires.
            Board::On(_) | Board::Off => Err(DapError::NoAcknowledge.into()),
        }
    }

    fn ends(&self) -> Result<MutexGuard<'_, Ends>, DebugProbeError> {
        let ends = lock(&self.cable.ends);
        if ends.plug == self.plug {
            return Ok(ends);
        }
        // The error of a USB device's file when the device is gone.
        Err(DebugProbeError::Usb(rustix::io::Errno::NODEV.into()))
    }
}

/// The errors of a socket whose other end is gone.
fn has_ended(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut ends = lock(&self.cable.ends);
        if ends.plug == self.plug {
            ends.open = false;
        }
    }
}

/// Ignores the panic of another user: the sockets then answer out of step, which is an error of its own.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
