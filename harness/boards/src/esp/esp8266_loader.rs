//! A session with the ESP8266's ROM loader.
//!
//! espflash dropped the ESP8266. This uses its commands, and sends them by [`LoaderPort`].
//!
//! The ROM can neither read the flash back nor compute a digest of it. It checks each block's checksum;
//! the build id in the boot log confirms that the right firmware runs.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use espflash::command::{Command, CommandType};
use hilrig_core::board::BoardFault;
use hilrig_core::image::Data;
use hilrig_core::mac::Mac;
use serialport::TTYPort;

use crate::esp::deadlines::LoaderDeadlines;
use crate::esp::esp8266_rom as rom;
use crate::esp::loader_port::{LoaderPort, SYNC_REPLIES};
use crate::esp::replies::Reply;

/// Why a session ended.
#[derive(Debug)]
pub struct LoaderTrouble {
    /// The fault for the user.
    pub fault: BoardFault,
    /// The line may be the cause: a lower rate may work.
    pub of_line: bool,
}

impl LoaderTrouble {
    fn of_line(fault: BoardFault) -> LoaderTrouble {
        LoaderTrouble { fault, of_line: true }
    }
}

impl From<BoardFault> for LoaderTrouble {
    fn from(fault: BoardFault) -> LoaderTrouble {
        LoaderTrouble { fault, of_line: false }
    }
}

/// How long one SYNC waits for its answer before the next is sent, as in esptool.
const SYNC_PAUSE: Duration = Duration::from_millis(100);
/// Interval between reports of progress.
const PROGRESS: Duration = Duration::from_millis(50);

const BUTTONS: &str = "Is the board powered and its serial lines connected? Without reset wiring, hold FLASH \
    (GPIO0), press RST, release both, and start again.";

/// The loader on an open port.
pub struct Esp8266Loader<'a> {
    line: LoaderPort<'a>,
    path: &'a Path,
    deadlines: LoaderDeadlines,
}

impl<'a> Esp8266Loader<'a> {
    /// A session with a board that is in its loader, and stays there. `stop` ends it at the next wait.
    pub fn new(
        port: &'a mut TTYPort,
        path: &'a Path,
        deadlines: LoaderDeadlines,
        stop: &'a AtomicBool,
    ) -> Esp8266Loader<'a> {
        Esp8266Loader { line: LoaderPort::new(port, path, stop), path, deadlines }
    }

    /// Synchronises with the loader at the port's rate (the loader measures the rate by this).
    pub fn sync(&mut self, deadline: Duration) -> Result<(), LoaderTrouble> {
        let end = Instant::now() + deadline;
        loop {
            self.send(Command::Sync)?;
            let pause = end.min(Instant::now() + SYNC_PAUSE);
            if let Some(reply) = self.reply_to(CommandType::Sync, pause)? {
                self.accepted(&reply)?;
                break;
            }
            if Instant::now() >= end {
                return Err(LoaderTrouble::of_line(self.line.late(deadline, BUTTONS)));
            }
        }
        // The other answers are no answers to the next commands.
        for _ in 1..SYNC_REPLIES {
            let pause = Instant::now() + SYNC_PAUSE / 2;
            if self.reply_to(CommandType::Sync, pause)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Checks that this is an ESP8266, and the expected one. Returns its MAC.
    pub fn identify(&mut self, expected: Option<Mac>) -> Result<Mac, LoaderTrouble> {
        let tried = format!("identifying the chip on {}", self.path.display());
        let magic = self.fenced_register(rom::MAGIC_REGISTER)?;
        if magic != rom::MAGIC {
            return Err(BoardFault::new(
                tried,
                format!(
                    "it is {} (register {:#010x} is {magic:#010x}, an ESP8266's is {:#010x})",
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
            let found = format!("its MAC words {words:08x?} are no MAC that the ROM knows");
            let fault = BoardFault::new(tried, found)
                .help("Nothing was written. Check the line: the loader answers garbage.");
            return Err(LoaderTrouble::of_line(fault));
        };
        match expected {
            Some(expected) if expected != mac => Err(BoardFault::new(
                tried,
                format!("its MAC is {mac}, the configuration says {expected}"),
            )
            .help("Nothing was written. Another board is on this port: correct `port` or `mac`.")
            .into()),
            _ => Ok(mac),
        }
    }

    /// Erases the sectors of each part and writes it at its flash offset, in the ROM's blocks. Returns
    /// the time of the blocks, without the erasing.
    ///
    /// There is no FLASH_END: the ROM would leave the loader and run the image (esptool leaves it out for
    /// the same reason), but the board must run nothing until it is reset.
    pub fn write(
        &mut self,
        parts: &[Data],
        progress: &dyn Fn(u64, u64),
    ) -> Result<Duration, LoaderTrouble> {
        let total = parts.iter().map(|part| part.bytes.len() as u64).sum();
        let (mut before, mut time) = (0, Duration::ZERO);
        progress(0, total);
        for part in parts {
            let report = |written| progress(before + written, total);
            time += self.write_part(part, &report).map_err(|mut trouble| {
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

    fn write_part(
        &mut self,
        part: &Data,
        progress: &dyn Fn(u64),
    ) -> Result<Duration, LoaderTrouble> {
        // Parts are checked to be within a flash of 16 MiB at most.
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
        let mut reported = start;
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
            if reported.elapsed() >= PROGRESS {
                reported = Instant::now();
                progress((number * rom::BLOCK + data.len()) as u64);
            }
        }
        // The loader works in order: its answer means that all blocks are done, even where one block's
        // answer came twice and counted for the next block.
        self.register(rom::MAGIC_REGISTER)?;
        Ok(start.elapsed())
    }

    /// A register, by an answer that is certainly the one to this read: a SYNC goes before it, and once that
    /// is answered, no answer to an earlier read can come. A late or doubled answer must not identify a
    /// board as another one.
    pub fn fenced_register(&mut self, address: u32) -> Result<u32, LoaderTrouble> {
        self.command(Command::Sync, self.deadlines.register)?;
        self.register(address)
    }

    fn register(&mut self, address: u32) -> Result<u32, LoaderTrouble> {
        self.command(Command::ReadReg { address }, self.deadlines.register)
    }

    /// One command and its answer; returns the answer's value.
    fn command(&mut self, command: Command<'_>, deadline: Duration) -> Result<u32, LoaderTrouble> {
        let ty = command.command_type();
        self.send(command)?;
        match self.reply_to(ty, Instant::now() + deadline)? {
            Some(reply) => self.accepted(&reply),
            None => Err(LoaderTrouble::of_line(self.line.late(deadline, BUTTONS))),
        }
    }

    fn send(&mut self, command: Command<'_>) -> Result<(), BoardFault> {
        let mut frame = Vec::new();
        command.write(&mut frame).map_err(|error| BoardFault::new(self.line.tried(), error))?;
        self.line.send(&frame)
    }

    /// The next answer to `ty`, or none until `end`.
    fn reply_to(&mut self, ty: CommandType, end: Instant) -> Result<Option<Reply>, BoardFault> {
        loop {
            match self.line.reply() {
                Some(reply) if reply.command == ty as u8 => {
                    self.line.answered();
                    return Ok(Some(reply));
                }
                Some(_) => self.line.stray(),
                None if !self.line.wait(end)? => return Ok(None),
                None => self.line.read()?,
            }
        }
    }

    /// The answer's value, if its status says that the command was carried out.
    fn accepted(&self, reply: &Reply) -> Result<u32, LoaderTrouble> {
        let Some(value) = reply.value else {
            let found = format!("an answer of the wrong length: {:02x?}", reply.bytes);
            let fault = BoardFault::new(self.line.tried(), found).help("Is it an ESP8266?");
            return Err(LoaderTrouble::of_line(fault));
        };
        if reply.status != 0 {
            let found = format!(
                "the loader refused: {} (status {:#04x}, error {:#04x})",
                rom::error_words(reply.error),
                reply.status,
                reply.error
            );
            let fault = BoardFault::new(self.line.tried(), found).help(
                "Try again; if it fails again, check the line (cable, rate) and the flash chip.",
            );
            return Err(LoaderTrouble { fault, of_line: rom::error_of_line(reply.error) });
        }
        Ok(value)
    }

    /// The chip's answers identify no chip.
    pub fn unknown(&self, found: String) -> BoardFault {
        BoardFault::new(format!("identifying the chip on {}", self.path.display()), found)
            .help("Is it one of Espressif's chips, and is the rate right for the line?")
    }
}
