//! Power and reset: from switched off to loader or firmware and back.
//!
//! - A **reset** of running firmware is QEMU's own, so that memory survives that survives a reset. From
//!   the loader it is a cold start: QEMU reads the flash only when it starts.
//! - The **loader** ends QEMU, because both write the flash file. A board enters it on
//!   request, and by a reset with a blank flash; it then prints what the chip's ROM prints.
//! - Firmware that resets itself stays in its QEMU and is not noticed here.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;

use crate::error::{NO_POWER, VirtualError};
use crate::flash_file::FlashFile;
use crate::http_port::{HttpPort, PORT_TRIES};
use crate::loader::RomLoader;
use crate::qemu::{EspMachine, Qemu, QemuEvent};
use crate::state_dir::StateDir;

/// The state of the board.
#[derive(Debug)]
pub enum PowerState {
    /// Without power.
    Off,
    /// The ROM's loader answers.
    Loader(Box<RomLoader>),
    /// Firmware runs.
    Running(Box<Qemu>),
    /// The chip hangs: it has power, and does nothing, even after a reset.
    Hung,
    /// QEMU ended, for this reason. A reset tries again.
    Fault(String),
}

/// Why the ROM runs: the number that it prints.
#[derive(Clone, Copy, Debug)]
enum Cause {
    PowerOn = 1,
    ResetPin = 2,
}

/// Power, reset and cables of a board, with its persistent state.
#[derive(Debug)]
pub struct Supply {
    /// The state of the board.
    pub power: PowerState,
    /// Its flash; the loader's while no QEMU runs.
    pub flash: FlashFile,
    qemu: PathBuf,
    boot_rom: PathBuf,
    seed: u64,
    dir: StateDir,
    http: HttpPort,
    link: bool,
    gdb: Option<PathBuf>,
}

impl Supply {
    /// A board without power.
    pub fn new(
        qemu: PathBuf,
        boot_rom: PathBuf,
        seed: u64,
        dir: StateDir,
        flash: FlashFile,
        http: HttpPort,
        gdb: Option<PathBuf>,
    ) -> Supply {
        Supply { power: PowerState::Off, flash, qemu, boot_rom, seed, dir, http, link: true, gdb }
    }

    /// Powers on for the first time: the web server's port may still change.
    pub async fn first_power_on(&mut self, rom: &mut Vec<u8>) -> Result<(), VirtualError> {
        self.boot(Cause::PowerOn, PORT_TRIES, rom).await
    }

    /// Powers on; does nothing to a board that is on. `rom` gets the ROM's output.
    pub async fn on(&mut self, rom: &mut Vec<u8>) -> Result<(), VirtualError> {
        match self.power {
            PowerState::Off | PowerState::Fault(_) => self.boot(Cause::PowerOn, 1, rom).await,
            PowerState::Loader(_) | PowerState::Running(_) | PowerState::Hung => Ok(()),
        }
    }

    /// Cuts the power. `firmware` gets the rest of the firmware's output.
    pub async fn off(&mut self, firmware: &mut Vec<u8>) {
        if let PowerState::Running(mut cpu) = std::mem::replace(&mut self.power, PowerState::Off) {
            cpu.process.end().await;
            take_rest(&cpu, firmware);
            self.http.reserve();
        }
    }

    /// Hangs the chip until its power is cut.
    pub async fn hang(&mut self, firmware: &mut Vec<u8>) -> Result<(), VirtualError> {
        if matches!(self.power, PowerState::Off) {
            return Err(NO_POWER);
        }
        self.off(firmware).await;
        self.power = PowerState::Hung;
        Ok(())
    }

    /// The reset button.
    pub async fn reset(
        &mut self,
        firmware: &mut Vec<u8>,
        rom: &mut Vec<u8>,
    ) -> Result<(), VirtualError> {
        match &mut self.power {
            PowerState::Off => Err(NO_POWER),
            PowerState::Hung => Ok(()),
            PowerState::Running(cpu) => match cpu.process.reset().await {
                Ok(()) => Ok(()),
                Err(error) => {
                    tracing::warn!(%error, "QEMU did not reset, so it is started again");
                    self.off(firmware).await;
                    self.boot(Cause::ResetPin, 1, rom).await
                }
            },
            PowerState::Loader(_) | PowerState::Fault(_) => {
                self.boot(Cause::ResetPin, 1, rom).await
            }
        }
    }

    /// The reset button with GPIO0 held low.
    pub async fn loader(
        &mut self,
        firmware: &mut Vec<u8>,
        rom: &mut Vec<u8>,
    ) -> Result<(), VirtualError> {
        match self.power {
            PowerState::Off => return Err(NO_POWER),
            PowerState::Hung => return Ok(()),
            PowerState::Loader(_) | PowerState::Running(_) | PowerState::Fault(_) => {}
        }
        self.off(firmware).await;
        self.wait_in_loader(Cause::ResetPin, rom);
        Ok(())
    }

    /// Network cable in or out, now and in later starts.
    pub async fn set_link(&mut self, up: bool) -> Result<(), VirtualError> {
        self.link = up;
        match &mut self.power {
            PowerState::Running(cpu) => cpu.process.set_link(up).await,
            _ => Ok(()),
        }
    }

    /// Waits for an event of the CPU; forever where none runs.
    pub async fn event(&mut self) -> QemuEvent {
        match &mut self.power {
            PowerState::Running(cpu) => cpu.event().await,
            _ => std::future::pending().await,
        }
    }

    /// QEMU has ended by itself.
    pub async fn cpu_ended(&mut self, status: io::Result<ExitStatus>, firmware: &mut Vec<u8>) {
        let PowerState::Running(cpu) = &mut self.power else { return };
        take_rest(cpu, firmware);
        let error = cpu.process.end_error(self.dir.path(), status).await;
        self.fault(&error);
        self.http.reserve();
    }

    /// Address of the board's web server.
    pub fn http(&self) -> SocketAddr {
        self.http.address()
    }

    /// Whether the network cable is in.
    pub fn link(&self) -> bool {
        self.link
    }

    /// QEMU's process.
    pub fn cpu_pid(&self) -> Option<u32> {
        match &self.power {
            PowerState::Running(cpu) => cpu.process.pid(),
            _ => None,
        }
    }

    /// Whether QEMU's process was stopped.
    pub fn cpu_is_stopped(&self) -> bool {
        matches!(&self.power, PowerState::Running(cpu) if cpu.process.is_stopped())
    }

    /// Power-ons since the board was created.
    pub fn power_ons(&self) -> u64 {
        self.dir.power_ons()
    }

    /// The board's seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    async fn boot(
        &mut self,
        cause: Cause,
        ports: usize,
        rom: &mut Vec<u8>,
    ) -> Result<(), VirtualError> {
        let done = self.try_boot(cause, ports, rom).await;
        if let Err(error) = &done {
            self.fault(error);
            self.http.reserve();
        }
        done
    }

    async fn try_boot(
        &mut self,
        cause: Cause,
        ports: usize,
        rom: &mut Vec<u8>,
    ) -> Result<(), VirtualError> {
        let blank = self.flash.is_blank();
        if blank.map_err(VirtualError::io("reading the flash file"))? {
            self.wait_in_loader(cause, rom);
            return Ok(());
        }
        let identity = self.dir.power_on(self.seed)?;
        let mut tries = ports;
        let mut cpu = loop {
            tries -= 1;
            self.http.share();
            let machine = EspMachine {
                qemu: &self.qemu,
                boot_rom: &self.boot_rom,
                dir: self.dir.path(),
                flash: self.flash.path(),
                identity: &identity,
                http: self.http.address(),
                gdb: self.gdb.as_deref(),
            };
            match Qemu::start(&machine).await {
                Ok(cpu) => break cpu,
                Err(error) => error.take_another(&mut self.http, tries)?,
            }
        };
        if !self.link {
            cpu.process.set_link(false).await?;
        }
        self.power = PowerState::Running(Box::new(cpu));
        Ok(())
    }

    fn wait_in_loader(&mut self, cause: Cause, rom: &mut Vec<u8>) {
        let text =
            format!("\r\n ets Jan  8 2013,rst cause:{}, boot mode:(1,6)\r\n\r\n", cause as u8);
        rom.extend_from_slice(text.as_bytes());
        self.power = PowerState::Loader(Box::new(RomLoader::new(self.dir.mac())));
    }

    fn fault(&mut self, error: &VirtualError) {
        tracing::error!(%error, "the virtual board stopped");
        self.power = PowerState::Fault(error.to_string());
    }
}

fn take_rest(cpu: &Qemu, firmware: &mut Vec<u8>) {
    let mut piece = [0; 4096];
    loop {
        match cpu.read_rest(&mut piece) {
            0 => return,
            got => firmware.extend_from_slice(&piece[..got]),
        }
    }
}
