//! The board's CPU: one QEMU, from power-on to power-off.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::io::FdFlags;
use rustix::pipe::PipeFlags;
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::error::VirtualError;
use crate::qmp::Qmp;

/// The firmware's web server, as the board sees it.
const GUEST_HTTP: u16 = 9705;
/// Where the firmware looks for its identity: in RTC memory, behind what the SDK uses of it.
const IDENTITY_ADDRESS: u32 = 0x6000_1300;
/// Name of the network card, for the link's ups and downs.
const NET: &str = "n0";
/// Of QEMU's messages the end is kept, bytes.
const STDERR_KEPT: usize = 2048;

/// What a board needs to be powered on.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// The QEMU to run.
    pub qemu: &'a Path,
    /// The ELF that does what the chip's boot ROM does.
    pub boot_rom: &'a Path,
    /// The board's folder, for messages.
    pub dir: &'a Path,
    /// 4 MiB.
    pub flash: &'a Path,
    /// 64 bytes.
    pub identity: &'a Path,
    /// Where the board's web server is to be reached.
    pub http: SocketAddr,
}

/// A running QEMU. Ends with this value, and with the thread that started it however that ends.
#[derive(Debug)]
pub struct Qemu {
    child: Child,
    /// The UART, both ways.
    uart: UnixStream,
    uart_closed: bool,
    qmp: Qmp,
    /// Never waited for: QEMU writes into a pipe that takes what it takes.
    stderr: File,
}

/// What a running board has to be looked at for.
#[derive(Debug)]
pub enum Event {
    /// The UART may have bytes.
    Uart,
    /// QEMU has ended by itself.
    Ended(io::Result<ExitStatus>),
}

/// Why QEMU did not start.
#[derive(Debug)]
pub enum NotStarted {
    /// Its end of the web server's port is somebody else's.
    PortTaken,
    /// Anything else.
    Error(VirtualError),
}

impl Qemu {
    /// Powers the board on. Returns when QEMU has made the machine.
    pub async fn start(machine: &Machine<'_>) -> Result<Qemu, NotStarted> {
        let mut qemu = spawn(machine).map_err(NotStarted::Error)?;
        let Err(error) = qemu.qmp.begin().await else { return Ok(qemu) };
        // QEMU ends by itself after saying why; one that hangs is ended here.
        let found = if error.kind() == io::ErrorKind::TimedOut {
            error.to_string()
        } else {
            match qemu.child.wait().await {
                Ok(status) => format!("ended at start ({status})"),
                Err(error) => format!("could not be waited for: {error}"),
            }
        };
        let stderr = qemu.end().await;
        if stderr.contains("Could not set up host forwarding rule") {
            return Err(NotStarted::PortTaken);
        }
        Err(NotStarted::Error(VirtualError::Qemu { dir: machine.dir.into(), found, stderr }))
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The reset button.
    pub async fn reset(&mut self) -> io::Result<()> {
        self.qmp.execute("system_reset", serde_json::json!({})).await
    }

    /// Puts the network cable in or takes it out.
    pub async fn set_link(&mut self, up: bool) -> io::Result<()> {
        self.qmp.execute("set_link", serde_json::json!({ "name": NET, "up": up })).await
    }

    /// Waits for the next thing to look at. Dropping the future loses nothing.
    pub async fn event(&mut self) -> Event {
        let Qemu { child, uart, qmp, uart_closed, .. } = self;
        tokio::select! {
            _ = uart.readable(), if !*uart_closed => Event::Uart,
            status = child.wait() => Event::Ended(status),
            // Only reads along, so that QEMU's events do not pile up; its end is told above.
            _ = qmp.drain() => Event::Ended(child.wait().await),
        }
    }

    /// What the UART sends; `WouldBlock` when there is nothing.
    pub fn read_uart(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.uart.try_read(into);
        self.uart_closed |= matches!(got, Ok(0));
        got
    }

    /// What the UART had sent when the power was cut; 0 when that is all.
    pub fn read_rest(&self, into: &mut [u8]) -> usize {
        // Not through tokio, which learns of readiness only when it polls.
        rustix::io::read(self.uart.as_fd(), into).unwrap_or(0)
    }

    /// Gives bytes to the UART; `WouldBlock` when it takes none.
    pub fn write_uart(&self, bytes: &[u8]) -> io::Result<usize> {
        self.uart.try_write(bytes)
    }

    /// Cuts the power: QEMU is killed and waited for. Returns the end of what it said.
    pub async fn end(&mut self) -> String {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "QEMU could not be ended");
        }
        let mut said = Vec::new();
        // The writing end is closed or does not block, so that this ends.
        let _ = self.stderr.read_to_end(&mut said);
        let end = &said[said.len().saturating_sub(STDERR_KEPT)..];
        String::from_utf8_lossy(end).into_owned()
    }
}

fn spawn(machine: &Machine<'_>) -> Result<Qemu, VirtualError> {
    let tried = || VirtualError::io(format!("making sockets for {}", machine.qemu.display()));
    let (uart, uart_theirs) = std::os::unix::net::UnixStream::pair().map_err(tried())?;
    let (qmp, qmp_theirs) = std::os::unix::net::UnixStream::pair().map_err(tried())?;
    for ours in [&uart, &qmp] {
        ours.set_nonblocking(true).map_err(tried())?;
    }
    let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
    let (stderr, stderr_theirs) =
        rustix::pipe::pipe_with(flags).map_err(|error| tried()(error.into()))?;
    let uart_out = uart_theirs.try_clone().map_err(tried())?;
    let mut command = Command::new(machine.qemu);
    command
        .args(arguments(machine, qmp_theirs.as_fd()))
        .stdin(Stdio::from(OwnedFd::from(uart_theirs)))
        .stdout(Stdio::from(OwnedFd::from(uart_out)))
        .stderr(Stdio::from(stderr_theirs))
        // Ctrl-C on the terminal is for the rig, which then ends its boards in order.
        .process_group(0)
        .kill_on_drop(true);
    let parent = rustix::process::getpid();
    // SAFETY: between fork and exec only async-signal-safe system calls are made, on descriptors
    // that are open there: `qmp_theirs` lives until the child is made.
    unsafe {
        let qmp_raw = qmp_theirs.as_raw_fd();
        command.pre_exec(move || {
            // Sound as long as the thread that starts QEMU lives as long as the board: on a
            // current-thread runtime that is the runtime's own thread.
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died just before that.
            if rustix::process::getppid() != Some(parent) {
                return Err(io::Error::other("the rig has ended"));
            }
            let qmp = BorrowedFd::borrow_raw(qmp_raw);
            Ok(rustix::io::fcntl_setfd(qmp, FdFlags::empty())?)
        });
    }
    let child = command.spawn().map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            VirtualError::NoQemu(machine.qemu.into())
        } else {
            VirtualError::io(format!("starting {}", machine.qemu.display()))(error)
        }
    })?;
    Ok(Qemu {
        child,
        uart: UnixStream::from_std(uart).map_err(tried())?,
        uart_closed: false,
        qmp: Qmp::new(UnixStream::from_std(qmp).map_err(tried())?),
        stderr: stderr.into(),
    })
}

fn arguments(machine: &Machine<'_>, qmp: BorrowedFd<'_>) -> Vec<OsString> {
    let with_path = |before: &str, path: &Path, after: &str| {
        let mut text = OsString::from(before);
        text.push(escaped(path));
        text.push(after);
        text
    };
    let mut arguments: Vec<OsString> =
        ["-M", "lx60-nommu", "-cpu", "lx106", "-m", "1M", "-display", "none", "-monitor", "none"]
            .map(OsString::from)
            .into();
    let http = machine.http;
    let options: [(&str, OsString); 7] = [
        ("-serial", "stdio".into()),
        ("-chardev", format!("socket,id=qmp,fd={}", qmp.as_raw_fd()).into()),
        ("-mon", "chardev=qmp,mode=control".into()),
        ("-nic", format!("user,id={NET},hostfwd=tcp:{http}-:{GUEST_HTTP}").into()),
        ("-drive", with_path("if=pflash,format=raw,file=", machine.flash, "")),
        (
            "-device",
            with_path(
                "loader,file=",
                machine.identity,
                &format!(",addr={IDENTITY_ADDRESS:#x},force-raw=on"),
            ),
        ),
        ("-kernel", machine.boot_rom.into()),
    ];
    for (option, value) in options {
        arguments.extend([option.into(), value]);
    }
    arguments
}

/// A comma ends an option's value in QEMU; doubled it stands for itself.
fn escaped(path: &Path) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut bytes = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        bytes.extend(std::iter::repeat_n(*byte, if *byte == b',' { 2 } else { 1 }));
    }
    OsString::from_vec(bytes)
}

/// Looks for a program as the system would, so that its absence is told before it is needed.
pub fn is_there(program: &Path) -> bool {
    if program.components().count() > 1 {
        return program.is_file();
    }
    let path = std::env::var_os("PATH");
    std::env::split_paths(path.as_deref().unwrap_or(OsStr::new("")))
        .any(|dir| dir.join(program).is_file())
}
