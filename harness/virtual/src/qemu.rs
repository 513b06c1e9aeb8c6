//! The ESP8266-class board's CPU: one QEMU, from power-on to power-off.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitStatus;

use tokio::net::UnixStream;

use crate::error::VirtualError;
use crate::process::{Launch, NotStarted, QemuProcess, nic, with_path};

/// Where the firmware reads its identity: in RTC memory, after the SDK's part.
const IDENTITY_ADDRESS: u32 = 0x6000_1300;

/// What QEMU needs at power-on.
#[derive(Clone, Copy, Debug)]
pub struct EspMachine<'a> {
    /// The QEMU to run.
    pub qemu: &'a Path,
    /// The ELF that replaces the chip's boot ROM.
    pub boot_rom: &'a Path,
    /// The board's folder, for messages.
    pub dir: &'a Path,
    /// 4 MiB.
    pub flash: &'a Path,
    /// 64 bytes.
    pub identity: &'a Path,
    /// Address of the board's web server.
    pub http: SocketAddr,
    /// Where QEMU's GDB server listens. The CPU waits for a debugger before its first instruction.
    pub gdb: Option<&'a Path>,
}

/// A running QEMU with its UART.
#[derive(Debug)]
pub struct Qemu {
    /// The process.
    pub process: QemuProcess,
    /// The UART, both ways.
    uart: UnixStream,
    uart_closed: bool,
}

/// An event of a running QEMU.
#[derive(Debug)]
pub enum QemuEvent {
    /// The UART may have bytes.
    Uart,
    /// QEMU has ended by itself.
    Ended(io::Result<ExitStatus>),
}

impl Qemu {
    /// Powers the board on. Returns when QEMU has created the machine.
    pub async fn start(machine: &EspMachine<'_>) -> Result<Qemu, NotStarted> {
        let tried =
            || VirtualError::io(format!("making a serial line for {}", machine.qemu.display()));
        let (uart, theirs) = std::os::unix::net::UnixStream::pair().map_err(tried())?;
        uart.set_nonblocking(true).map_err(tried())?;
        let uart = UnixStream::from_std(uart).map_err(tried())?;
        let process = QemuProcess::start(Launch {
            qemu: machine.qemu,
            dir: machine.dir,
            arguments: arguments(machine),
            inherited: Vec::new(),
            serial: Some(theirs.into()),
        });
        Ok(Qemu { process: process.await?, uart, uart_closed: false })
    }

    /// Waits for the next event. Dropping the future loses nothing.
    pub async fn event(&mut self) -> QemuEvent {
        let Qemu { process, uart, uart_closed } = self;
        tokio::select! {
            _ = uart.readable(), if !*uart_closed => QemuEvent::Uart,
            status = process.ended() => QemuEvent::Ended(status),
        }
    }

    /// Reads from the UART; `WouldBlock` when there is nothing.
    pub fn read_uart(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.uart.try_read(into);
        self.uart_closed |= matches!(got, Ok(0));
        got
    }

    /// Reads the rest of the UART's output after a power cut; 0 at its end.
    pub fn read_rest(&self, into: &mut [u8]) -> usize {
        // Not by tokio, which only notices readiness when it polls.
        rustix::io::read(self.uart.as_fd(), into).unwrap_or(0)
    }

    /// Writes to the UART; `WouldBlock` when it is full.
    pub fn write_uart(&self, bytes: &[u8]) -> io::Result<usize> {
        self.uart.try_write(bytes)
    }
}

fn arguments(machine: &EspMachine<'_>) -> Vec<OsString> {
    let identity = format!(",addr={IDENTITY_ADDRESS:#x},force-raw=on");
    let mut arguments: Vec<OsString> =
        ["-M", "lx60-nommu", "-cpu", "lx106", "-m", "1M"].map(OsString::from).into();
    let options: [(&str, OsString); 5] = [
        ("-serial", "stdio".into()),
        ("-nic", nic(machine.http).into()),
        ("-drive", with_path("if=pflash,format=raw,file=", machine.flash, "")),
        ("-device", with_path("loader,file=", machine.identity, &identity)),
        ("-kernel", machine.boot_rom.into()),
    ];
    for (option, value) in options {
        arguments.extend([option.into(), value]);
    }
    if let Some(socket) = machine.gdb {
        let server = with_path("unix:", socket, ",server=on,wait=off");
        arguments.extend(["-S".into(), "-gdb".into(), server]);
    }
    arguments
}
