//! What the runner asks of a board, whatever hangs on the bench.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::contract::HeapSymbol;
use crate::event::BoardFacts;
use crate::heap::HeapRead;
use crate::image::Image;

/// The bench could not do something with a board. Ends in a rig fault, never in a failed board.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{tried}: {found}{}", help.as_deref().map(|h| format!(". {h}")).unwrap_or_default())]
pub struct BoardFault {
    /// What was tried, with the board's port where one is in play.
    pub tried: String,
    /// What was found.
    pub found: String,
    /// What to do next.
    pub help: Option<String>,
    /// The board itself gave no sign of life, or its port is gone: a power cycle may help.
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

    /// The same, as the silence of the board itself.
    #[must_use]
    pub fn silent(mut self) -> BoardFault {
        self.silent = true;
        self
    }
}

/// How boards and rig reach each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Where the board's web server is reached from here, when that is not the address in its own
    /// boot log (a virtual board sits behind a port forward).
    pub http: Option<SocketAddr>,
    /// The rig's address as the board sees it: broker and time server are there.
    pub rig: IpAddr,
}

/// What flashing did.
#[derive(Clone, Debug, PartialEq)]
pub struct Flashed {
    /// Bytes written; 0 when nothing had to be.
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

/// Takes a line for whoever watches the board: what it waits for, what it had to do differently.
pub type Notes = Box<dyn Fn(&str)>;

/// Takes what a board's console says.
pub trait ConsoleSink {
    /// Bytes that were there at `at`.
    fn chunk(&mut self, at: Instant, bytes: &[u8]);

    /// Why what was handed over is not kept whole, if it is not.
    fn fault(&self) -> Option<String> {
        None
    }
}

/// A board, held by one run. All of its methods fail with the bench's troubles only: what the
/// firmware does wrong is seen in its log and its replies.
#[async_trait(?Send)]
pub trait Board {
    /// Its name in the configuration.
    fn name(&self) -> &str;

    /// Kind, port, MAC.
    fn facts(&self) -> BoardFacts;

    /// How it and the rig reach each other.
    fn reach(&self) -> Reach;

    /// From now on it tells its notes to `notes`; until then they go nowhere.
    fn set_notes(&mut self, _notes: Notes) {}

    /// Takes the board, so that no other run can; does nothing where it is taken already. `reason`
    /// is told to whoever wants it meanwhile. Where another has it, a note says who, and it is
    /// waited for until `patience` has passed. Nothing else is waited for.
    async fn lock(&mut self, reason: &str, patience: Duration) -> Result<(), BoardFault>;

    /// Gets the image onto the board, unless it is known to be there and `force` is not set. The
    /// board runs nothing afterwards until [`Board::reset`]. `progress` is called from another
    /// thread with bytes written and bytes in all.
    async fn flash(
        &mut self,
        image: &Image,
        force: bool,
        progress: Box<dyn Fn(u64, u64) + Send>,
    ) -> Result<Flashed, BoardFault>;

    /// Notes in the board's own record whether `build` was what its boot log told, so that the
    /// next [`Board::flash`] knows what is there. `None` forgets it.
    fn confirm_build(&mut self, image: &Image, build: Option<&str>);

    /// Opens the console. Bytes that the board sent before are kept where the port keeps them.
    async fn console(&mut self) -> Result<Box<dyn Console>, BoardFault>;

    /// Starts the firmware anew, as the reset button does. Needs no open console.
    async fn reset(&mut self) -> Result<(), BoardFault>;

    /// Whether the bench's side of the board is sound: power, port, cables, and whatever else can be
    /// asked. Asked before the firmware is blamed.
    async fn sound(&mut self) -> Result<(), BoardFault>;

    /// Whether the chip itself answers, whatever its firmware does. Asked of a board that said nothing,
    /// before its firmware is blamed. It may reset the board, and no console may be open. `Ok` where
    /// nothing can tell.
    async fn answers(&mut self) -> Result<(), BoardFault> {
        Ok(())
    }

    /// What cuts its power, in words; none where nothing does.
    fn power(&self) -> Option<String> {
        None
    }

    /// Switches the board off and on again, and waits until its port is back. It stays taken, or is
    /// taken now where [`Board::lock`] did not find its port. No console may be open.
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

    /// What holds the CPU, in words, if it runs no more and something can tell: a debug probe sees
    /// a core that is locked up or halted, and the registers that say why.
    async fn stuck(&mut self) -> Option<String> {
        None
    }

    /// Gives the board back, with its power on. Called once, however the run ended; must not fail.
    async fn release(&mut self);
}

/// The reading side of a board's serial port.
#[async_trait(?Send)]
pub trait Console {
    /// Reads into `sink` until the port is gone. Never returns otherwise; dropping the future
    /// stops it without losing a byte that was read.
    async fn read_into(&mut self, sink: &mut dyn ConsoleSink) -> BoardFault;
}

/// What a person does who stands in for reset lines.
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

    /// What a person has to do where nothing is wired. The methods below then do nothing.
    fn by_hand(&self) -> Option<ByHand> {
        None
    }

    /// Resets into the ROM's serial loader. `port` is the open serial port.
    async fn enter_loader(&mut self, port: BorrowedFd<'_>) -> Result<(), BoardFault>;

    /// Resets into the flashed firmware.
    async fn reset(&mut self, port: BorrowedFd<'_>) -> Result<(), BoardFault>;

    /// Whether the board has power, a CPU that runs and its cables, where the lines can tell: a virtual
    /// one knows, a cable does not.
    async fn sound(&mut self) -> Result<(), BoardFault> {
        Ok(())
    }
}

/// What cuts a board's power and gives it back. Each call returns when that is done, or says why it
/// could not be; both may be called in any state.
#[async_trait(?Send)]
pub trait Power {
    /// What it is, for messages: `port 2 of the USB hub 1-1.4`. Two power lines of a bench differ in
    /// it.
    fn words(&self) -> String;

    /// Cuts the power.
    async fn off(&mut self) -> Result<(), BoardFault>;

    /// Gives power.
    async fn on(&mut self) -> Result<(), BoardFault>;
}
