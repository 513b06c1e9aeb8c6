//! A session with the ESP8266's ROM loader, over espflash's `Connection`.
//!
//! espflash dropped the ESP8266 itself, and three of `Connection`'s own methods trust the board
//! more than this crate may: `command` and `begin` index with a length from the reply and panic on
//! a wrong one, and a reply may grow to 2 GiB. So this uses its commands, its encoder and its port
//! handling (`write_command`), with a reader and deadlines of its own.
//!
//! The ROM has no command to read the flash back and none for a digest of it. Each block's
//! checksum is verified by the ROM; that the right firmware runs is confirmed by the build id in
//! its boot log.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use espflash::command::{Command, CommandType};
use espflash::connection::{Connection, ResetAfterOperation, ResetBeforeOperation};
use hilrig_core::board::BoardFault;
use hilrig_core::image::Data;
use hilrig_core::mac::Mac;
use hilrig_core::text::printable;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serialport::{SerialPort, TTYPort, UsbPortInfo};

use crate::esp::esp8266_rom as rom;
use crate::esp::replies::{Malformed, Replies, Reply};

/// What ended a session.
#[derive(Debug)]
pub struct Trouble {
    /// Told to the user.
    pub fault: BoardFault,
    /// It may be the line's doing: at a lower rate it may go well.
    pub of_line: bool,
}

impl Trouble {
    fn of_line(fault: BoardFault) -> Trouble {
        Trouble { fault, of_line: true }
    }
}

impl From<BoardFault> for Trouble {
    fn from(fault: BoardFault) -> Trouble {
        Trouble { fault, of_line: false }
    }
}

/// How long the loader may take to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For the first answer after a reset, over all attempts to synchronise.
    pub sync: Duration,
    /// For a register read.
    pub register: Duration,
    /// For erasing, each MiB. Flash data sheets allow 0.4 s a sector of 4 KiB; typical is 0.05 s.
    pub erase: Duration,
    /// For writing a block of 1 KiB.
    pub block: Duration,
    /// For a person to press what there are no reset lines for.
    pub by_hand: Duration,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            sync: Duration::from_millis(1500),
            register: Duration::from_secs(1),
            erase: Duration::from_secs(105),
            block: Duration::from_secs(3),
            by_hand: Duration::from_secs(45),
        }
    }
}

impl Deadlines {
    /// For erasing `size` bytes; the loader's own overhead is counted as a block's.
    fn erasing(&self, size: u32) -> Duration {
        self.erase.mul_f64(f64::from(size) / (1024.0 * 1024.0)) + self.block
    }
}

/// For the port to take a block: 1 KiB at 9600 baud is 1.1 s.
const TAKING_BYTES: Duration = Duration::from_secs(3);
/// How long one SYNC waits for its answer before the next is sent, as in esptool.
const SYNC_PAUSE: Duration = Duration::from_millis(100);
/// The ROM answers a SYNC this many times.
const SYNC_REPLIES: usize = 8;
/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(50);

const BUTTONS: &str = "Is the board powered and its serial lines connected? Without reset wiring, hold FLASH \
    (GPIO0), press RST, release both, and start again.";

/// The loader on an open port.
pub struct Loader {
    connection: Connection,
    // A second descriptor of the port: `Connection` lends its own to nobody.
    watch: OwnedFd,
    replies: Replies,
    path: PathBuf,
    deadlines: Deadlines,
    stop: Arc<AtomicBool>,
}

/// What came that was no answer to the command.
#[derive(Default)]
struct Strays {
    malformed: usize,
    others: usize,
}

impl Strays {
    fn words(&self) -> String {
        match (self.malformed, self.others) {
            (0, 0) => String::new(),
            (malformed, 0) => format!("; instead {malformed} malformed replies came"),
            (0, others) => format!("; instead {others} replies to other commands came"),
            (malformed, others) => {
                format!(
                    "; instead {malformed} malformed replies and {others} to other commands came"
                )
            }
        }
    }
}

impl Loader {
    /// Takes the port; [`Loader::into_port`] gives it back. `stop` ends the session at the next
    /// wait.
    pub fn new(
        port: TTYPort,
        path: PathBuf,
        deadlines: Deadlines,
        stop: Arc<AtomicBool>,
    ) -> Result<Loader, (TTYPort, Box<BoardFault>)> {
        let watch = match rustix::io::fcntl_dupfd_cloexec(crate::serial::port::fd(&port), 0) {
            Ok(watch) => watch,
            Err(error) => {
                let fault = BoardFault::new(format!("flashing over {}", path.display()), error);
                return Err((port, Box::new(fault)));
            }
        };
        let baud = port.baud_rate().unwrap_or_default();
        let nothing = UsbPortInfo {
            vid: 0,
            pid: 0,
            serial_number: None,
            manufacturer: None,
            product: None,
            interface: None,
        };
        let connection = Connection::new(
            port,
            nothing,
            ResetAfterOperation::NoResetNoStub,
            ResetBeforeOperation::NoResetNoSync,
            baud,
        );
        Ok(Loader { connection, watch, replies: Replies::default(), path, deadlines, stop })
    }

    /// Ends the session. The board stays in its loader.
    pub fn into_port(self) -> TTYPort {
        self.connection.into_serial()
    }

    /// Finds the loader at the port's rate (it measures the rate from this).
    pub fn sync(&mut self, deadline: Duration) -> Result<(), Trouble> {
        let start = Instant::now();
        let end = start + deadline;
        let mut strays = Strays::default();
        loop {
            self.send(Command::Sync)?;
            let pause = end.min(Instant::now() + SYNC_PAUSE);
            if let Some(reply) = self.reply_to(CommandType::Sync, pause, &mut strays)? {
                self.accepted(CommandType::Sync, &reply)?;
                break;
            }
            if Instant::now() >= end {
                let overheard = self.overheard();
                let found = format!(
                    "no answer within {:.1} s{}{overheard}",
                    deadline.as_secs_f64(),
                    strays.words()
                );
                let fault = BoardFault::new(self.tried(CommandType::Sync), found).help(BUTTONS);
                let silent = strays.words().is_empty() && overheard.is_empty();
                return Err(Trouble::of_line(if silent { fault.silent() } else { fault }));
            }
        }
        // The other answers must not be taken for those to the next commands.
        for _ in 1..SYNC_REPLIES {
            let pause = Instant::now() + SYNC_PAUSE / 2;
            if self.reply_to(CommandType::Sync, pause, &mut strays)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Makes sure that this is an ESP8266, and the one that is expected. Returns its MAC.
    pub fn identify(&mut self, expected: Option<Mac>) -> Result<Mac, Trouble> {
        let tried = format!("identifying the chip on {}", self.path.display());
        let magic = self.fenced_register(rom::MAGIC_REGISTER)?;
        if magic != rom::MAGIC {
            return Err(BoardFault::new(
                tried,
                format!(
                    "it is {} (register {:#010x} holds {magic:#010x}, an ESP8266's holds {:#010x})",
                    rom::chip_words(magic),
                    rom::MAGIC_REGISTER,
                    rom::MAGIC
                ),
            )
            .help("Nothing was written. Name the port of an ESP8266 for this board.")
            .into());
        }
        let mut words = [0; 3];
        for (word, address) in words.iter_mut().zip(rom::MAC_REGISTERS) {
            *word = self.fenced_register(address)?;
        }
        let Some(mac) = rom::mac(words) else {
            let found = format!("its MAC words {words:08x?} hold no MAC that the ROM knows");
            let fault = BoardFault::new(tried, found)
                .help("Nothing was written. Look at the line: a loader that answers garbage.");
            return Err(Trouble::of_line(fault));
        };
        match expected {
            Some(expected) if expected != mac => Err(BoardFault::new(
                tried,
                format!("its MAC is {mac}, the configuration says {expected}"),
            )
            .help("Nothing was written. Another board hangs on this port: mend `port` or `mac`.")
            .into()),
            _ => Ok(mac),
        }
    }

    /// Erases what each part will cover and writes it at its flash offset, in the ROM's blocks.
    /// Returns the time that the blocks took, without the erasing.
    ///
    /// No FLASH_END at the end: it makes the ROM leave the loader and run what was written (esptool
    /// leaves it out for the same reason), while the board must run nothing until it is reset.
    pub fn write(
        &mut self,
        parts: &[Data],
        progress: &dyn Fn(u64, u64),
    ) -> Result<Duration, Trouble> {
        let total = parts.iter().map(|part| part.bytes.len() as u64).sum();
        let (mut before, mut time) = (0, Duration::ZERO);
        progress(0, total);
        for part in parts {
            let tell = |written| progress(before + written, total);
            time += self.write_part(part, &tell).map_err(|mut trouble| {
                if parts.len() > 1 {
                    trouble.fault.tried += &format!(", part at {:#x}", part.offset);
                }
                trouble
            })?;
            before += part.bytes.len() as u64;
        }
        progress(total, total);
        Ok(time)
    }

    fn write_part(&mut self, part: &Data, progress: &dyn Fn(u64)) -> Result<Duration, Trouble> {
        // Parts are checked to lie within a flash of 16 MiB at most.
        let size = part.bytes.len() as u32;
        self.command(
            Command::FlashBegin {
                size: rom::erase_size(part.offset, size),
                blocks: size.div_ceil(rom::BLOCK as u32),
                block_size: rom::BLOCK as u32,
                offset: part.offset,
                supports_encryption: false,
            },
            self.deadlines.erasing(size),
        )?;
        let start = Instant::now();
        let mut told = start;
        for (number, data) in part.bytes.chunks(rom::BLOCK).enumerate() {
            self.command(
                Command::FlashData {
                    data,
                    pad_to: rom::BLOCK,
                    pad_byte: rom::ERASED,
                    sequence: number as u32,
                },
                self.deadlines.block,
            )
            .map_err(|mut trouble| {
                let at = number * rom::BLOCK;
                trouble.fault.found = format!("at byte {at} of {size}: {}", trouble.fault.found);
                trouble
            })?;
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                progress((number * rom::BLOCK + data.len()) as u64);
            }
        }
        // The loader works in order: once it answers this, it is through with every block, even
        // where an earlier answer came twice and was taken for a later one's.
        self.register(rom::MAGIC_REGISTER)?;
        Ok(start.elapsed())
    }

    /// A register, by an answer that is surely the one to this question: a SYNC goes before it, and
    /// once that is answered no answer to an earlier read can be under way. One that came late or
    /// twice must not make one board of another.
    pub fn fenced_register(&mut self, address: u32) -> Result<u32, Trouble> {
        self.command(Command::Sync, self.deadlines.register)?;
        self.register(address)
    }

    fn register(&mut self, address: u32) -> Result<u32, Trouble> {
        self.command(Command::ReadReg { address }, self.deadlines.register)
    }

    /// One command and its answer; returns the answer's value.
    fn command(&mut self, command: Command<'_>, deadline: Duration) -> Result<u32, Trouble> {
        let ty = command.command_type();
        self.send(command)?;
        let mut strays = Strays::default();
        match self.reply_to(ty, Instant::now() + deadline, &mut strays)? {
            Some(reply) => self.accepted(ty, &reply),
            None => {
                let found =
                    format!("no answer within {:.1} s{}", deadline.as_secs_f64(), strays.words());
                let fault = BoardFault::new(self.tried(ty), found)
                    .help("Look at the cable and the supply.");
                Err(Trouble::of_line(fault))
            }
        }
    }

    fn send(&mut self, command: Command<'_>) -> Result<(), BoardFault> {
        let ty = command.command_type();
        // espflash drops what the port holds, too: it cannot be an answer to this.
        self.replies.clear();
        let sent = self
            .connection
            .set_timeout(TAKING_BYTES)
            .and_then(|()| self.connection.write_command(command));
        match sent {
            Ok(()) => Ok(()),
            Err(_) if self.hung_up() => Err(self.gone(ty)),
            Err(error) => {
                Err(BoardFault::new(self.tried(ty), format!("the port takes no bytes: {error}"))
                    .help("Unplug the adapter and plug it in again."))
            }
        }
    }

    /// The next answer to `ty`, or none until `end`.
    fn reply_to(
        &mut self,
        ty: CommandType,
        end: Instant,
        strays: &mut Strays,
    ) -> Result<Option<Reply>, BoardFault> {
        loop {
            match self.replies.next() {
                Some(Ok(reply)) if reply.command == ty as u8 => return Ok(Some(reply)),
                Some(Ok(_)) => strays.others += 1,
                Some(Err(Malformed)) => strays.malformed += 1,
                None if !self.wait(end, ty)? => return Ok(None),
                None => self.replies.read(&self.watch).map_err(|_| self.gone(ty))?,
            }
        }
    }

    /// The answer's value, if its status says that the command was carried out.
    fn accepted(&self, ty: CommandType, reply: &Reply) -> Result<u32, Trouble> {
        let Some(value) = reply.value else {
            let found = format!("an answer of the wrong length: {:02x?}", reply.bytes);
            let fault = BoardFault::new(self.tried(ty), found).help("Is it an ESP8266?");
            return Err(Trouble::of_line(fault));
        };
        if reply.status != 0 {
            let found = format!(
                "the loader refused: {} (status {:#04x}, error {:#04x})",
                rom::error_words(reply.error),
                reply.status,
                reply.error
            );
            let fault = BoardFault::new(self.tried(ty), found).help(
                "Start again; if it stays, look at the line (cable, rate) and the flash chip.",
            );
            return Err(Trouble { fault, of_line: rom::error_of_line(reply.error) });
        }
        Ok(value)
    }

    /// Waits for bytes; false when none came until `end`.
    fn wait(&self, end: Instant, ty: CommandType) -> Result<bool, BoardFault> {
        /// How late a stop may be seen.
        const SLICE: Duration = Duration::from_millis(50);
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(BoardFault::new(self.tried(ty), "the run was stopped"));
            }
            let left = end.saturating_duration_since(Instant::now());
            let flags = self.poll(left.min(SLICE));
            if flags.contains(PollFlags::IN) {
                // Bytes without end must not outlast the deadline either.
                return Ok(!left.is_zero());
            }
            if !flags.is_empty() {
                return Err(self.gone(ty));
            }
            if left.is_zero() {
                return Ok(false);
            }
        }
    }

    fn poll(&self, time: Duration) -> PollFlags {
        let mut fds = [PollFd::new(&self.watch, PollFlags::IN)];
        let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
        // Interrupted is as good as nothing yet: the callers look again.
        let _ = poll(&mut fds, Some(&time));
        fds[0].revents()
    }

    fn hung_up(&self) -> bool {
        self.poll(Duration::ZERO).intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
    }

    /// What the board says when it does not answer as a loader: a firmware's log tells that the
    /// reset did not reach the loader.
    fn overheard(&self) -> String {
        let mut bytes = [0; 256];
        let mut filled = 0;
        let end = Instant::now() + SYNC_PAUSE;
        while filled < bytes.len() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.poll(left).contains(PollFlags::IN) {
                break;
            }
            match rustix::io::read(self.watch.as_fd(), &mut bytes[filled..]) {
                Ok(read) if read > 0 => filled += read,
                _ => break,
            }
        }
        match filled {
            0 => String::new(),
            _ => format!("; the board sends `{}`", printable(&bytes[..filled])),
        }
    }

    /// The chip's answers name no chip.
    pub fn unknown(&self, found: String) -> BoardFault {
        BoardFault::new(format!("identifying the chip on {}", self.path.display()), found)
            .help("Is it one of Espressif's chips, and at a rate that the line takes?")
    }

    fn tried(&self, ty: CommandType) -> String {
        let what = match ty {
            CommandType::Sync => "SYNC with",
            CommandType::ReadReg => "READ_REG from",
            CommandType::FlashBegin => "FLASH_BEGIN (erasing) with",
            CommandType::FlashData => "FLASH_DATA (writing) with",
            _ => "talking to",
        };
        format!("{what} the loader on {}", self.path.display())
    }

    fn gone(&self, ty: CommandType) -> BoardFault {
        let what = if ty == CommandType::FlashData { "writing the flash" } else { "flashing" };
        crate::serial::port::gone(&self.path, what, "hang-up")
    }
}
