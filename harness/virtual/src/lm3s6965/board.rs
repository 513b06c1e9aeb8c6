//! The board: waits for events and passes them to its parts.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;

use hilrig_core::mac::Mac;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cable::Cable;
use super::chip::{ArmChip, Debug};
use super::machine::{self, ArmMachine, Started};
use super::{CHIP, FLASH_SIZE, gdb, probe};
use crate::control::{BoardState, BoardStatus, ControlCommand, ControlReply};
use crate::control_server::{ControlRequest, ControlServer};
use crate::error::{NO_POWER, VirtualError};
use crate::flash_file::FlashFile;
use crate::http_port::{HttpPort, PORT_TRIES};
use crate::process::{QemuProcess, is_there};
use crate::serving::Serving;
use crate::state_dir::StateDir;

/// The prefix of generated MAC addresses: that of the chip's maker, Luminary Micro.
const OUI: [u8; 3] = [0x00, 0x1A, 0xB6];

/// QEMU's last message when the core faults in its fault handler.
const LOCKUP: &str = "Lockup: can't escalate";

/// The settings of a board.
#[derive(Clone, Debug)]
pub struct ArmBoardConfig {
    /// Its folder, which keeps flash, settings and identity from one start to the next.
    pub state_dir: PathBuf,
    /// A new board's MAC address; by default one is derived from the seed. An old board keeps its own, and
    /// another one is an error.
    pub mac: Option<Mac>,
    /// Seed of everything random about a new board: MAC address, the firmware's random numbers.
    pub seed: u64,
    /// `qemu-system-arm`, as a name or a path.
    pub qemu: PathBuf,
}

/// The addresses of a board that has started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmReady {
    /// The selector of its probe, `VID:PID:SERIAL`, for probe-rs in this process only.
    pub probe: String,
    /// The chip, as probe-rs names it.
    pub chip: String,
    /// Its control socket; see [`crate::control`].
    pub control: PathBuf,
    /// Address of its web server, when its firmware runs one.
    pub http: SocketAddr,
    /// Its MAC address.
    pub mac: Mac,
    /// The process that runs it.
    pub pid: u32,
}

/// A board on a debug probe. Needs a tokio runtime with I/O and time; the thread that polls it has to live
/// as long as the board, as for [`crate::VirtualBoard`]. The probe's calls block, so they belong on another
/// thread.
#[derive(Debug)]
pub struct ArmBoard {
    ready: ArmReady,
    qemu: PathBuf,
    dir: StateDir,
    eeprom: PathBuf,
    http: HttpPort,
    link: bool,
    power: PowerState,
    cable: Plugged,
    control: ControlServer,
}

#[derive(Debug)]
enum PowerState {
    Off,
    On(Box<QemuProcess>),
    /// It has power, and its debug port does not answer.
    Hung,
    /// QEMU ended, for this reason. A reset tries again.
    Fault(String),
}

/// Pulls the probe out when the board is dropped.
#[derive(Debug)]
struct Plugged(Arc<Cable>);

impl Drop for Plugged {
    fn drop(&mut self) {
        self.0.pull_out();
        self.0.power_off(None);
    }
}

enum Event {
    Control(ControlRequest),
    Ended(io::Result<ExitStatus>),
}

impl ArmBoard {
    /// Creates the board, plugs its probe in and powers it on: it boots from flash.
    pub async fn start(config: ArmBoardConfig) -> Result<ArmBoard, VirtualError> {
        let ArmBoardConfig { state_dir, mac, seed, qemu } = config;
        if !is_there(&qemu) {
            return Err(VirtualError::NoQemu(qemu));
        }
        let dir = StateDir::open(&state_dir, mac, OUI, seed)?;
        let mac = dir.mac();
        let eeprom = machine::eeprom(dir.path(), mac, seed)?;
        let control = ControlServer::listen(dir.path().join("control"))?;
        let http = HttpPort::take(seed)?;
        probe::register();
        let cable = Plugged(Cable::new(serial(dir.path())));
        let ready = ArmReady {
            probe: probe::selector(&cable.0),
            chip: CHIP.into(),
            control: control.path().into(),
            http: http.address(),
            mac,
            pid: std::process::id(),
        };
        let (link, power) = (true, PowerState::Off);
        let mut board = ArmBoard { ready, qemu, dir, eeprom, http, link, power, cable, control };
        board.on(PORT_TRIES).await?;
        board.ready.http = board.http.address();
        board.cable.0.plug_in();
        Ok(board)
    }

    /// Its addresses.
    pub fn ready(&self) -> &ArmReady {
        &self.ready
    }

    /// Serves the control socket until `stopped` resolves. An action in progress is completed: a QEMU that is
    /// just starting would outlive the board otherwise.
    pub async fn run_until(&mut self, stopped: impl Future) {
        tokio::pin!(stopped);
        loop {
            let event = tokio::select! {
                event = self.event() => event,
                _ = &mut stopped => return,
            };
            match event {
                Event::Ended(status) => self.ended(status).await,
                Event::Control((command, answer)) => {
                    let reply = self.carry_out(command).await;
                    // The client may be gone.
                    let _ = answer.send(reply);
                }
            }
        }
    }

    /// Stops it: QEMU is ended and waited for, the probe is removed, flash and settings stay.
    pub async fn stop(mut self) {
        self.off().await;
    }

    /// Runs it in a task of its own.
    pub fn serve(mut self) -> Serving<ArmReady> {
        Serving::start(self.ready.clone(), |stopped| async move {
            self.run_until(stopped).await;
            self.stop().await;
            Ok(())
        })
    }

    async fn event(&mut self) -> Event {
        let ArmBoard { control, power, .. } = self;
        let ended = async {
            match power {
                PowerState::On(process) => process.ended().await,
                PowerState::Off | PowerState::Hung | PowerState::Fault(_) => {
                    std::future::pending().await
                }
            }
        };
        tokio::select! {
            request = control.next() => Event::Control(request),
            status = ended => Event::Ended(status),
        }
    }

    async fn carry_out(&mut self, command: ControlCommand) -> ControlReply {
        let done = match command {
            ControlCommand::Reset => self.reset().await,
            ControlCommand::PowerOff => {
                self.off().await;
                Ok(())
            }
            ControlCommand::PowerOn => self.on(1).await,
            ControlCommand::Hang if matches!(self.power, PowerState::Off) => Err(NO_POWER),
            ControlCommand::Hang => {
                self.off().await;
                self.power = PowerState::Hung;
                Ok(())
            }
            ControlCommand::LinkDown => self.set_link(false).await,
            ControlCommand::LinkUp => self.set_link(true).await,
            ControlCommand::ProbeOut => {
                self.cable.0.pull_out();
                Ok(())
            }
            ControlCommand::ProbeIn => {
                self.cable.0.plug_in();
                Ok(())
            }
            ControlCommand::Status => {
                return ControlReply { status: Some(self.status()), ..ControlReply::done() };
            }
            ControlCommand::Loader
            | ControlCommand::Silent
            | ControlCommand::Garbage { .. }
            | ControlCommand::Flood { .. }
            | ControlCommand::Rates { .. }
            | ControlCommand::Say { .. }
            | ControlCommand::Normal => Err(VirtualError::Refused("the board has no serial port")),
        };
        match done {
            Ok(()) => ControlReply::done(),
            Err(error) => ControlReply::refused(error),
        }
    }

    /// The reset button.
    async fn reset(&mut self) -> Result<(), VirtualError> {
        match self.power {
            PowerState::On(_) => {}
            PowerState::Hung => return Ok(()),
            PowerState::Off => return Err(NO_POWER),
            PowerState::Fault(_) => return self.on(1).await,
        }
        let press = |chip: &mut ArmChip| {
            chip.reset_line(true)?;
            chip.reset_line(false)
        };
        let done = self.cable.0.with_chip(press).unwrap_or(Ok(()));
        done.map_err(VirtualError::io("resetting QEMU's chip"))
    }

    /// Powers on; does nothing to a board that is on.
    async fn on(&mut self, tries: usize) -> Result<(), VirtualError> {
        if matches!(self.power, PowerState::On(_) | PowerState::Hung) {
            return Ok(());
        }
        self.dir.count_power_on()?;
        self.boot(tries, None).await
    }

    async fn boot(&mut self, tries: usize, locked_up: Option<Debug>) -> Result<(), VirtualError> {
        let done = self.try_boot(tries, locked_up).await;
        if let Err(error) = &done {
            self.fault(error);
        }
        done
    }

    async fn try_boot(
        &mut self,
        mut tries: usize,
        locked_up: Option<Debug>,
    ) -> Result<(), VirtualError> {
        let flash = FlashFile::open(&self.dir.path().join("flash.bin"), FLASH_SIZE)?;
        let Started { mut process, gdb, qtest } = loop {
            tries -= 1;
            self.http.share();
            let machine = ArmMachine {
                qemu: &self.qemu,
                dir: self.dir.path(),
                flash: flash.path(),
                eeprom: &self.eeprom,
                mac: self.ready.mac,
                http: self.http.address(),
            };
            match machine::start(&machine).await {
                Ok(started) => break started,
                Err(error) => error.take_another(&mut self.http, tries)?,
            }
        };
        if !self.link {
            process.set_link(false).await?;
        }
        let chip = ArmChip::power_on(gdb, qtest, flash, locked_up);
        let chip = chip.map_err(VirtualError::io("setting up QEMU's chip"))?;
        self.cable.0.power_on(chip);
        self.power = PowerState::On(Box::new(process));
        Ok(())
    }

    /// Cuts the power.
    async fn off(&mut self) {
        if let PowerState::On(mut process) = std::mem::replace(&mut self.power, PowerState::Off) {
            process.end().await;
        }
        self.cable.0.power_off(None);
        self.http.reserve();
    }

    /// QEMU has ended by itself.
    async fn ended(&mut self, status: io::Result<ExitStatus>) {
        let PowerState::On(process) = &mut self.power else { return };
        let error = process.end_error(self.dir.path(), status).await;
        let debug = self.cable.0.with_chip(|chip| chip.debug());
        if matches!(&error, VirtualError::Qemu { stderr, .. } if stderr.contains(LOCKUP)) {
            // The firmware's fault, not the bench's: a chip in lockup still answers its probe.
            tracing::warn!(%error, "the core of a virtual board has locked up");
            // An error ends in a fault.
            let _ = self.boot(1, debug).await;
            return;
        }
        self.fault(&error);
    }

    fn fault(&mut self, error: &VirtualError) {
        tracing::error!(%error, "the virtual board stopped");
        self.cable.0.power_off(Some(error.to_string()));
        self.power = PowerState::Fault(error.to_string());
        self.http.reserve();
    }

    /// Network cable in or out, now and in later starts.
    async fn set_link(&mut self, up: bool) -> Result<(), VirtualError> {
        self.link = up;
        match &mut self.power {
            PowerState::On(process) => process.set_link(up).await,
            PowerState::Off | PowerState::Hung | PowerState::Fault(_) => Ok(()),
        }
    }

    fn status(&self) -> BoardStatus {
        let (state, fault, qemu) = match &self.power {
            PowerState::Off => (BoardState::Off, None, None),
            PowerState::On(process) => (BoardState::Running, None, process.pid()),
            PowerState::Hung => (BoardState::Hung, None, None),
            PowerState::Fault(fault) => (BoardState::Fault, Some(fault.clone()), None),
        };
        BoardStatus {
            state,
            fault,
            mac: self.ready.mac,
            port: None,
            probe: Some(self.cable.0.is_plugged_in()),
            http: self.ready.http,
            link: self.link,
            silent: false,
            rates: false,
            qemu,
            stopped: matches!(&self.power, PowerState::On(process) if process.is_stopped()),
            power_ons: self.dir.power_ons(),
            lost_to_port: 0,
            lost_to_board: 0,
            trouble_left: 0,
        }
    }
}

/// A probe's serial number: the same at each start of the board, and unique, because each board has a
/// folder of its own.
fn serial(dir: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    gdb::hex(&Sha256::digest(dir.as_os_str().as_bytes())[..8])
}
