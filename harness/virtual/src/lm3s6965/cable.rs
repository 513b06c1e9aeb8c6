//! What is between a virtual probe and its board, as far as it can fail: the probe's USB cable, its
//! one user at a time, the board's power. Probes are found here by their serial numbers.

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

/// A probe and its board. The board's task holds one end, whoever debugs it the other.
#[derive(Debug)]
pub struct Cable {
    serial: String,
    ends: Mutex<Ends>,
    changed: Condvar,
}

#[derive(Debug)]
struct Ends {
    /// Rises when the probe is pulled out: what was opened before is gone then.
    plug: u64,
    open: bool,
    /// Rises when the power goes: a debug port has to be set up anew then.
    power: u64,
    board: Board,
    /// Rises with each change of the board.
    changes: u64,
}

#[derive(Debug)]
enum Board {
    Off,
    On(Box<ArmChip>),
    /// QEMU is gone, and this is why.
    Gone(String),
}

impl Cable {
    /// A probe on a board without power, not plugged in yet. No two may have one serial number.
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

    /// The board has power; or its chip is another now, and its debug port the one that it was.
    pub fn power_on(&self, chip: ArmChip) {
        self.change(lock(&self.ends), Board::On(Box::new(chip)));
    }

    /// It has none any more, or (`why`) QEMU has ended by itself.
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

    /// For the board's own use; none where it has no power.
    pub fn with_chip<T>(&self, act: impl FnOnce(&mut ArmChip) -> T) -> Option<T> {
        match &mut lock(&self.ends).board {
            Board::On(chip) => Some(act(chip)),
            Board::Off | Board::Gone(_) => None,
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

    /// Does something to the chip; a second time where QEMU ended under the first.
    pub fn with_chip<T>(
        &self,
        mut act: impl FnMut(&mut ArmChip) -> io::Result<T>,
    ) -> Result<T, ArmError> {
        let mut ends = self.ends()?;
        let mut done = self.once(&mut ends, &mut act)?;
        if done.as_ref().is_err_and(has_ended) {
            // The board's task learns of it as well, and knows what it means.
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
            // Nobody drives the wires.
            Board::On(_) | Board::Off => Err(DapError::NoAcknowledge.into()),
        }
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

/// What a socket says whose other end is gone.
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

/// What a panic of another holder left is looked at all the same: the sockets behind it then answer
/// out of step, which is an error of its own.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
