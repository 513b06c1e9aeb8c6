//! What a run needs of a board, of any kind.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::contract::HeapSymbol;
use crate::event::BoardFacts;
use crate::heap::HeapRead;
use crate::image::Image;

/// The bench could not do something with a board. It ends in a rig fault, never in a failed board.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{tried}: {found}{}", help.as_deref().map(|h| format!(". {h}")).unwrap_or_default())]
pub struct BoardFault {
    /// What was tried, with the board's port where one is in play.
    pub tried: String,
    /// What was found.
    pub found: String,
    /// What to do next.
    pub help: Option<String>,
    /// The board itself does not respond, or its port is gone: a power cycle may help.
    pub silent: bool,
}

impl BoardFault {
    /// A fault without advice.
    pub fn new(tried: impl Into<String>, found: impl ToString) -> BoardFault {
        BoardFault { tried: tried.into(), found: found.to_string(), help: None, silent: false }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> BoardFault {
        self.help = Some(help.into());
        self
    }

    /// The same, marked as [`BoardFault::silent`].
    #[must_use]
    pub fn silent(mut self) -> BoardFault {
        self.silent = true;
        self
    }
}

/// How boards and rig reach each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Address of the board's web server as this machine sees it, where that is not the address in the
    /// board's boot log (QEMU forwards a port to a virtual board).
    pub http: Option<SocketAddr>,
    /// The rig's address as the board sees it: broker and time server are there.
    pub rig: IpAddr,
}

/// What flashing did.
#[derive(Clone, Debug, PartialEq)]
pub struct Flashed {
    /// Bytes written; 0 where nothing had to be written.
    pub bytes: u64,
    /// Time of the write phase.
    pub time: Duration,
    /// The image was on the board already.
    pub kept: bool,
    /// Read back and compared; `None` where the loader cannot read back (the ESP8266's ROM).
    pub verified: Option<bool>,
    /// Rate of the line that it was written at, baud; `None` where nothing was written, or not over
    /// a serial line.
    pub baud: Option<u32>,
}

impl Flashed {
    /// Nothing had to be written.
    pub fn kept() -> Flashed {
        Flashed { bytes: 0, time: Duration::ZERO, kept: true, verified: None, baud: None }
    }
}

/// Gets a line for the user: what the board waits for, or does differently.
pub type Notes = Box<dyn Fn(&str)>;

/// Gets the output of a board's console.
pub trait ConsoleSink {
    /// Bytes that were read at `at`.
    fn chunk(&mut self, at: Instant, bytes: &[u8]);

    /// Why some of the bytes are not kept, if so.
    fn fault(&self) -> Option<String> {
        None
    }
}

/// A board, locked by one run. Its methods only fail for trouble of the bench: the firmware's faults
/// show in its log and its replies.
#[async_trait(?Send)]
pub trait Board {
    /// Its name in the configuration.
    fn name(&self) -> &str;

    /// Kind, port, MAC.
    fn facts(&self) -> BoardFacts;

    /// How it and the rig reach each other.
    fn reach(&self) -> Reach;

    /// Sets where notes go; before that they are dropped.
    fn set_notes(&mut self, _notes: Notes) {}

    /// Locks the board against other runs; does nothing where it is locked already. Others that want
    /// it see `reason`. Where another run has it, a note says which one, and this waits for it for
    /// `patience` at most. It waits for nothing else.
    async fn lock(&mut self, reason: &str, patience: Duration) -> Result<(), BoardFault>;

    /// Writes the image to the board, unless it is known to be there and `force` is not set. After
    /// that the board runs nothing until [`Board::reset`]. `progress` is called from another thread with
    /// the bytes written and the bytes in all.
    async fn flash(
        &mut self,
        image: &Image,
        force: bool,
        progress: Box<dyn Fn(u64, u64) + Send>,
    ) -> Result<Flashed, BoardFault>;

    /// Stores that the board's boot log has the build id `build`, so that the next [`Board::flash`]
    /// knows what is there. `None` forgets it.
    fn confirm_build(&mut self, image: &Image, build: Option<&str>);

    /// Opens the console. It also reads what the board sent before, as far as the port keeps it.
    async fn console(&mut self) -> Result<Box<dyn Console>, BoardFault>;

    /// Resets the board into its firmware, as the reset button does. Needs no open console.
    async fn reset(&mut self) -> Result<(), BoardFault>;

    /// Whether the bench's side of the board works: power, port, cables, and what else can be checked.
    /// Checked before the firmware is blamed.
    async fn sound(&mut self) -> Result<(), BoardFault>;

    /// Whether the chip itself answers, independent of its firmware. Checked for a silent board before
    /// its firmware is blamed. It may reset the board, and no console may be open. `Ok` where this cannot
    /// be checked.
    async fn answers(&mut self) -> Result<(), BoardFault> {
        Ok(())
    }

    /// Its power line, in words; none where it has none.
    fn power(&self) -> Option<String> {
        None
    }

    /// Switches the board off and on again, and waits until its port is back. It stays locked, or is
    /// locked now where [`Board::lock`] did not find its port. No console may be open.
    async fn power_cycle(&mut self) -> Result<(), BoardFault> {
        Err(BoardFault::new("switching the board off and on", "it has no power line"))
    }

    /// Reads the heap's figures from the board's memory while it runs. `None` where nothing can
    /// read it: a serial port cannot.
    async fn read_heap(
        &mut self,
        _image: &Image,
        _symbol: &HeapSymbol,
    ) -> Result<Option<HeapRead>, BoardFault> {
        Ok(None)
    }

    /// Why the CPU does not run, in words, where that can be checked: a debug probe sees a core that is
    /// locked up or halted, and the registers with the reason.
    async fn stuck(&mut self) -> Option<String> {
        None
    }

    /// Unlocks the board, with its power on. Called once at the end of every run; must not fail.
    async fn release(&mut self);
}

/// The reading side of a board's serial port.
#[async_trait(?Send)]
pub trait Console {
    /// Reads into `sink` until the port is gone. Dropping the future stops it without losing a byte that
    /// was read.
    async fn read_into(&mut self, sink: &mut dyn ConsoleSink) -> BoardFault;
}

/// What a person does where a board has no reset lines.
#[derive(Clone, Copy, Debug)]
pub struct ByHand {
    /// To get the board into its loader.
    pub loader: &'static str,
    /// To reset it.
    pub reset: &'static str,
}

/// The lines that reset a board and choose its boot mode: modem-control lines on real boards, the
/// control socket on virtual ones.
#[async_trait(?Send)]
pub trait ResetLines {
    /// What it is, for messages: `DTR/RTS`, `control socket`.
    fn words(&self) -> String;

    /// What a person has to do where no lines are wired. The methods below then do nothing.
    fn by_hand(&self) -> Option<ByHand> {
        None
    }

    /// Resets into the ROM's serial loader. `port` is the open serial port.
    async fn enter_loader(&mut self, port: BorrowedFd<'_>) -> Result<(), BoardFault>;

    /// Resets into the flashed firmware.
    async fn reset(&mut self, port: BorrowedFd<'_>) -> Result<(), BoardFault>;

    /// Whether the board has power, its cables and a CPU that runs. A virtual board knows; modem lines
    /// do not, and report `Ok`.
    async fn sound(&mut self) -> Result<(), BoardFault> {
        Ok(())
    }
}

/// A board's power line. Each call returns when it is done, or with the reason why not; both may be
/// called in any state.
#[async_trait(?Send)]
pub trait Power {
    /// What it is, for messages: `port 2 of the USB hub 1-1.4`. No two power lines of a bench
    /// have the same.
    fn words(&self) -> String;

    /// Cuts the power.
    async fn off(&mut self) -> Result<(), BoardFault>;

    /// Restores the power.
    async fn on(&mut self) -> Result<(), BoardFault>;
}
