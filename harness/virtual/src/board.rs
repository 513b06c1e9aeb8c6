//! The virtual board: waits for events and passes them to its parts.

use std::borrow::Cow;
use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};

use hilrig_core::mac::Mac;

use crate::chip::FLASH_SIZE;
use crate::control::{BoardState, BoardStatus, ControlCommand, ControlReply};
use crate::control_server::{ControlRequest, ControlServer};
use crate::error::VirtualError;
use crate::flash_file::FlashFile;
use crate::http_port::HttpPort;
use crate::port_line::{LineTrouble, PortLine};
use crate::power::{PowerState, Supply};
use crate::process::is_there;
use crate::pty::BoardPty;
use crate::qemu::QemuEvent;
use crate::rates::LineRates;
use crate::ready::VirtualReady;
use crate::serving::Serving;
use crate::state_dir::StateDir;

/// Bytes moved at once between port and CPU.
const PIECE: usize = 16 * 1024;
/// The prefix of generated MAC addresses: Espressif's, which the loader can report in the short form.
const OUI: [u8; 3] = [0x18, 0xFE, 0x34];

/// The settings of a virtual board.
#[derive(Clone, Debug)]
pub struct VirtualBoardConfig {
    /// Its folder, which keeps flash and identity from one start to the next.
    pub state_dir: PathBuf,
    /// A new board's MAC address; by default one is derived from the seed. An old board keeps its own, and
    /// another one is an error.
    pub mac: Option<Mac>,
    /// Seed of everything random about the board: MAC address, the firmware's random numbers (another seed
    /// for each power-on), garbage on the line.
    pub seed: u64,
    /// `qemu-system-xtensa`, as a name or a path.
    pub qemu: PathBuf,
    /// The ELF that replaces the chip's boot ROM.
    pub boot_rom: PathBuf,
    /// At each power-on the CPU waits for a debugger, at [`VirtualReady::gdb`].
    pub gdb: bool,
}

/// A board on a serial port. Needs a tokio runtime with I/O and time. The thread that polls
/// [`VirtualBoard::start`] and [`VirtualBoard::run_until`] has to live as long as the board, because QEMU
/// ends with the thread that started it: a current-thread runtime does that.
#[derive(Debug)]
pub struct VirtualBoard {
    ready: VirtualReady,
    supply: Supply,
    pty: BoardPty,
    line: PortLine,
    control: ControlServer,
    rates: Option<LineRates>,
    lost_to_board: u64,
    buffer: Vec<u8>,
    _port_link: PortLink,
    _gdb: Option<GdbSocket>,
}

enum Event {
    /// A client wrote to the port.
    Port,
    /// The port accepts bytes.
    PortTakes,
    /// A client closed the port.
    PortClosed,
    /// Bytes that wait for the port's rate have to be checked.
    Look,
    /// The CPU.
    Cpu(QemuEvent),
    /// A command.
    Control(ControlRequest),
}

impl VirtualBoard {
    /// Creates the board and powers it on: a blank one waits in the loader, others boot from flash.
    pub async fn start(config: VirtualBoardConfig) -> Result<VirtualBoard, VirtualError> {
        let VirtualBoardConfig { state_dir, mac, seed, qemu, boot_rom, gdb } = config;
        if !is_there(&qemu) {
            return Err(VirtualError::NoQemu(qemu));
        }
        if !boot_rom.is_file() {
            return Err(VirtualError::NoBootRom(boot_rom));
        }
        let dir = StateDir::open(&state_dir, mac, OUI, seed)?;
        let flash = FlashFile::open(&dir.path().join("flash.bin"), FLASH_SIZE)?;
        let pty = BoardPty::open()?;
        let port_link = PortLink::make(dir.path().join("port"), pty.path())?;
        let control = ControlServer::listen(dir.path().join("control"))?;
        let http = HttpPort::take(seed)?;
        let mac = dir.mac();
        let mut line = PortLine::default();
        let gdb = gdb.then(|| GdbSocket(dir.path().join("gdb")));
        let at = gdb.as_ref().map(|socket| socket.0.clone());
        let mut supply = Supply::new(qemu, boot_rom, seed, dir, flash, http, at.clone());
        let mut buffer = Vec::new();
        supply.first_power_on(&mut buffer).await?;
        line.send(&buffer, |bytes| pty.write(bytes));
        let ready = VirtualReady {
            port: pty.path().into(),
            control: control.path().into(),
            http: supply.http(),
            mac,
            pid: std::process::id(),
            gdb: at,
        };
        buffer.resize(PIECE, 0);
        let (rates, lost_to_board, _port_link, _gdb) = (None, 0, port_link, gdb);
        Ok(VirtualBoard {
            ready,
            supply,
            pty,
            line,
            control,
            rates,
            lost_to_board,
            buffer,
            _port_link,
            _gdb,
        })
    }

    /// Its addresses.
    pub fn ready(&self) -> &VirtualReady {
        &self.ready
    }

    /// Serves the port and the control socket until `stopped` resolves, or fails with what ended the board
    /// before that. An action in progress is completed: a QEMU that is just starting would outlive the
    /// board otherwise.
    pub async fn run_until(&mut self, stopped: impl Future) -> Result<(), VirtualError> {
        tokio::pin!(stopped);
        loop {
            let event = tokio::select! {
                event = self.event() => event,
                _ = &mut stopped => return Ok(()),
            };
            let event = event.map_err(VirtualError::io("waiting for the pseudo terminal"))?;
            self.turn(event).await?;
            // A port that is always ready would not let other tasks run.
            tokio::task::coop::consume_budget().await;
        }
    }

    /// Stops it: QEMU is ended and waited for, socket and link are removed, the flash stays.
    pub async fn stop(mut self) {
        self.supply.off(&mut Vec::new()).await;
    }

    /// Runs it in a task of its own.
    pub fn serve(mut self) -> Serving {
        Serving::start(self.ready.clone(), |stopped| async move {
            let done = self.run_until(stopped).await;
            self.stop().await;
            done
        })
    }

    async fn turn(&mut self, event: Event) -> Result<(), VirtualError> {
        match event {
            Event::Port => self.take_from_port().await?,
            Event::PortTakes => self.line.flush(|bytes| self.pty.write(bytes)),
            Event::PortClosed => {}
            Event::Look => self.send_firmware(&[]),
            Event::Cpu(QemuEvent::Uart) => self.take_from_uart(),
            Event::Cpu(QemuEvent::Ended(status)) => {
                let mut rest = Vec::new();
                self.supply.cpu_ended(status, &mut rest).await;
                self.send_firmware(&rest);
            }
            Event::Control((command, answer)) => {
                let reply = self.carry_out(command).await;
                // The client may be gone.
                let _ = answer.send(reply);
            }
        }
        Ok(())
    }

    async fn event(&mut self) -> io::Result<Event> {
        let VirtualBoard { supply, pty, line, control, rates, .. } = self;
        Ok(tokio::select! {
            request = control.next() => Event::Control(request),
            ready = pty.readable() => ready.map(|()| Event::Port)?,
            ready = pty.writable(), if line.has_more() => ready.map(|()| Event::PortTakes)?,
            closed = pty.forget_closed_client() => closed.map(|()| Event::PortClosed)?,
            () = async { rates.as_ref().expect("asked before").look().await }, if rates.is_some() => Event::Look,
            event = supply.event() => Event::Cpu(event),
        })
    }

    async fn take_from_port(&mut self) -> Result<(), VirtualError> {
        let got = match self.pty.read(&mut self.buffer) {
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(VirtualError::io("reading the pseudo terminal")(error)),
        };
        let bytes = &self.buffer[..got];
        let mut out = Vec::new();
        match &mut self.supply.power {
            PowerState::Loader(loader) => {
                let baud = self.pty.baud();
                let came = match &mut self.rates {
                    Some(rates) => Cow::Owned(rates.client_to_loader(bytes, baud)),
                    None => Cow::Borrowed(bytes),
                };
                let synced = Cell::new(false);
                let measure = || {
                    synced.set(true);
                    baud
                };
                let left = loader.feed(&came, &mut self.supply.flash, measure, &mut out);
                if let Some(rates) = &mut self.rates {
                    if synced.get() {
                        rates.measured(baud);
                    }
                    out = rates.loader_to_client(&out, baud);
                }
                self.line.send(&out, |bytes| self.pty.write(bytes));
                if let Some(left) = left {
                    tracing::debug!(?left, "a client left the loader");
                    // Errors are in the log and in `status`.
                    let _ = self.power(Change::Reset).await;
                }
            }
            PowerState::Running(cpu) => {
                let came = match &self.rates {
                    Some(rates) => Cow::Owned(rates.client_to_firmware(bytes, self.pty.baud())),
                    None => Cow::Borrowed(bytes),
                };
                let taken = cpu.write_uart(&came).unwrap_or(0);
                self.lost_to_board += (came.len() - taken) as u64;
            }
            PowerState::Off | PowerState::Hung | PowerState::Fault(_) => {}
        }
        Ok(())
    }

    fn take_from_uart(&mut self) {
        let PowerState::Running(cpu) = &mut self.supply.power else { return };
        let Ok(got) = cpu.read_uart(&mut self.buffer) else { return };
        let bytes = std::mem::take(&mut self.buffer);
        self.send_firmware(&bytes[..got]);
        self.buffer = bytes;
    }

    fn send_firmware(&mut self, bytes: &[u8]) {
        let bytes = match &mut self.rates {
            Some(rates) => Cow::Owned(rates.cpu_to_client(bytes, self.pty.baud())),
            None => Cow::Borrowed(bytes),
        };
        if !self.line.silent {
            self.line.send(&bytes, |bytes| self.pty.write(bytes));
        }
    }

    fn send_rom(&mut self, bytes: &[u8]) {
        let bytes = match &self.rates {
            Some(rates) => Cow::Owned(rates.rom_to_client(bytes, self.pty.baud())),
            None => Cow::Borrowed(bytes),
        };
        self.line.send(&bytes, |bytes| self.pty.write(bytes));
    }

    async fn carry_out(&mut self, command: ControlCommand) -> ControlReply {
        let done = match command {
            ControlCommand::Reset => self.power(Change::Reset).await,
            ControlCommand::Loader => self.power(Change::Loader).await,
            ControlCommand::PowerOff => self.power(Change::Off).await,
            ControlCommand::PowerOn => self.power(Change::On).await,
            ControlCommand::LinkDown => self.supply.set_link(false).await,
            ControlCommand::LinkUp => self.supply.set_link(true).await,
            ControlCommand::ProbeOut | ControlCommand::ProbeIn => {
                Err(VirtualError::Refused("the board has no debug probe"))
            }
            ControlCommand::Silent => {
                self.line.silent = true;
                Ok(())
            }
            ControlCommand::Hang => self.power(Change::Hang).await,
            ControlCommand::Garbage { bytes, seed } => {
                let seed = seed.unwrap_or(self.supply.seed());
                self.trouble(LineTrouble::Garbage { bytes, seed })
            }
            ControlCommand::Flood { bytes, newline } => {
                self.trouble(LineTrouble::Flood { bytes, newline })
            }
            ControlCommand::Rates { firmware, most } => {
                self.rates = Some(LineRates::new(firmware, most));
                Ok(())
            }
            ControlCommand::Say { text } => {
                self.line.send(text.as_bytes(), |bytes| self.pty.write(bytes));
                Ok(())
            }
            ControlCommand::Normal => {
                self.rates = None;
                self.line.normal();
                Ok(())
            }
            ControlCommand::Status => {
                return ControlReply { status: Some(self.status()), ..ControlReply::done() };
            }
        };
        match done {
            Ok(()) => ControlReply::done(),
            Err(error) => ControlReply::refused(error),
        }
    }

    fn trouble(&mut self, trouble: LineTrouble) -> Result<(), VirtualError> {
        self.line.start(trouble);
        self.line.flush(|bytes| self.pty.write(bytes));
        Ok(())
    }

    /// Switches or resets; the ROM's output goes to the port.
    async fn power(&mut self, change: Change) -> Result<(), VirtualError> {
        let (mut firmware, mut rom) = (Vec::new(), Vec::new());
        let done = match change {
            Change::Reset => self.supply.reset(&mut firmware, &mut rom).await,
            Change::Loader => self.supply.loader(&mut firmware, &mut rom).await,
            Change::Hang => self.supply.hang(&mut firmware).await,
            Change::On => self.supply.on(&mut rom).await,
            Change::Off => {
                self.supply.off(&mut firmware).await;
                Ok(())
            }
        };
        if let Some(rates) = &mut self.rates {
            rates.reset();
        }
        self.send_firmware(&firmware);
        self.send_rom(&rom);
        done
    }

    fn status(&self) -> BoardStatus {
        let (state, fault) = match &self.supply.power {
            PowerState::Off => (BoardState::Off, None),
            PowerState::Loader(_) => (BoardState::Loader, None),
            PowerState::Running(_) => (BoardState::Running, None),
            PowerState::Hung => (BoardState::Hung, None),
            PowerState::Fault(fault) => (BoardState::Fault, Some(fault.clone())),
        };
        BoardStatus {
            state,
            fault,
            mac: self.ready.mac,
            port: Some(self.ready.port.clone()),
            probe: None,
            http: self.ready.http,
            link: self.supply.link(),
            silent: self.line.silent,
            rates: self.rates.is_some(),
            qemu: self.supply.cpu_pid(),
            stopped: self.supply.cpu_is_stopped(),
            power_ons: self.supply.power_ons(),
            lost_to_port: self.line.lost(),
            lost_to_board: self.lost_to_board,
            trouble_left: self.line.trouble_left(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Reset,
    Loader,
    Hang,
    On,
    Off,
}

/// The link `DIR/port`, for users who know the folder and not the port.
#[derive(Debug)]
struct PortLink(PathBuf);

impl PortLink {
    fn make(path: PathBuf, port: &Path) -> Result<PortLink, VirtualError> {
        let _ = std::fs::remove_file(&path);
        std::os::unix::fs::symlink(port, &path)
            .map_err(VirtualError::io(format!("linking {}", path.display())))?;
        Ok(PortLink(path))
    }
}

impl Drop for PortLink {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The socket that QEMU creates in the board's folder, and leaves there when it is killed.
#[derive(Debug)]
struct GdbSocket(PathBuf);

impl Drop for GdbSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
