//! A QEMU, from power-on to power-off, with any machine: the CPU of a virtual board.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::io::FdFlags;
use rustix::pipe::PipeFlags;
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::process::{Child, Command};

use crate::error::VirtualError;
use crate::http_port::HttpPort;
use crate::qmp::Qmp;

/// The firmware's web server, as the board sees it.
const GUEST_HTTP: u16 = 9705;
/// Name of the network card, for link up and down.
const NET: &str = "n0";
/// The end of QEMU's output that is kept, bytes.
const STDERR_KEPT: usize = 2048;

/// The part of the rig's environment that QEMU gets: how it is found and where it may write. The rest may
/// have secrets.
const ENVIRONMENT: [&str; 6] = ["PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "LANG", "LC_ALL"];

/// What to start.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The QEMU to run.
    pub qemu: &'a Path,
    /// The board's folder, for messages.
    pub dir: &'a Path,
    /// Arguments of the machine; the rest is added.
    pub arguments: Vec<OsString>,
    /// Sockets whose numbers are in the arguments.
    pub inherited: Vec<OwnedFd>,
    /// The socket that `-serial stdio` reads and writes.
    pub serial: Option<OwnedFd>,
}

/// A running QEMU. It ends with this value, and with the thread that started it.
#[derive(Debug)]
pub struct QemuProcess {
    child: Child,
    qmp: Qmp,
    /// Read without waiting, at the end.
    stderr: File,
}

/// Why QEMU did not start.
#[derive(Debug)]
pub enum NotStarted {
    /// Another process has the web server's port.
    PortTaken,
    /// Anything else.
    Error(VirtualError),
}

impl NotStarted {
    /// Takes another port if this one was the reason and tries are `left`; fails otherwise.
    pub fn take_another(self, http: &mut HttpPort, left: usize) -> Result<(), VirtualError> {
        match self {
            NotStarted::Error(error) => Err(error),
            NotStarted::PortTaken if left > 0 => http.next(),
            NotStarted::PortTaken => {
                let error = io::Error::from(io::ErrorKind::AddrInUse);
                Err(VirtualError::io(format!("binding the port {} by QEMU", http.address()))(error))
            }
        }
    }
}

impl From<VirtualError> for NotStarted {
    fn from(error: VirtualError) -> NotStarted {
        NotStarted::Error(error)
    }
}

impl QemuProcess {
    /// Powers the board on. Returns when QEMU has made the machine.
    pub async fn start(launch: Launch<'_>) -> Result<QemuProcess, NotStarted> {
        let dir = launch.dir;
        let mut process = spawn(launch)?;
        let Err(error) = process.qmp.begin().await else { return Ok(process) };
        // QEMU ends by itself after its error message; one that hangs is ended here.
        let found = if error.kind() == io::ErrorKind::TimedOut {
            error.to_string()
        } else {
            match process.child.wait().await {
                Ok(status) => format!("ended at start ({status})"),
                Err(error) => format!("cannot be waited for: {error}"),
            }
        };
        let stderr = process.end().await;
        if stderr.contains("Could not set up host forwarding rule") {
            return Err(NotStarted::PortTaken);
        }
        Err(NotStarted::Error(VirtualError::Qemu { dir: dir.into(), found, stderr }))
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it is stopped, by a signal or a debugger. Then nothing on the board runs.
    pub fn is_stopped(&self) -> bool {
        let stat = self.pid().map(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")));
        let Some(Ok(stat)) = stat else { return false };
        // The name, in brackets, may have any character.
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        matches!(state, Some('T' | 't'))
    }

    /// The reset button.
    pub async fn reset(&mut self) -> io::Result<()> {
        self.qmp.execute("system_reset", serde_json::json!({})).await
    }

    /// Puts the network cable in or takes it out.
    pub async fn set_link(&mut self, up: bool) -> Result<(), VirtualError> {
        let arguments = serde_json::json!({ "name": NET, "up": up });
        let done = self.qmp.execute("set_link", arguments).await;
        done.map_err(VirtualError::io("setting QEMU's network link"))
    }

    /// Waits until QEMU has ended by itself. Dropping the future loses nothing.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        let QemuProcess { child, qmp, .. } = self;
        tokio::select! {
            status = child.wait() => status,
            // Only reads, so that QEMU's events do not pile up; the other branch reports its end.
            _ = qmp.drain() => child.wait().await,
        }
    }

    /// Cuts the power: QEMU is killed and waited for. Returns the end of its output.
    pub async fn end(&mut self) -> String {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "QEMU could not be ended");
        }
        let mut printed = Vec::new();
        // The writing end is closed, or the read does not block, so this ends.
        let _ = self.stderr.read_to_end(&mut printed);
        let end = &printed[printed.len().saturating_sub(STDERR_KEPT)..];
        String::from_utf8_lossy(end).into_owned()
    }

    /// The error of a QEMU that has ended by itself.
    pub async fn end_error(&mut self, dir: &Path, status: io::Result<ExitStatus>) -> VirtualError {
        let found = match status {
            Ok(status) => format!("ended by itself ({status})"),
            Err(error) => format!("cannot be waited for: {error}"),
        };
        let stderr = self.end().await;
        VirtualError::Qemu { dir: dir.into(), found, stderr }
    }
}

/// The network card, its web server reached at `http`.
pub fn nic(http: SocketAddr) -> String {
    format!("user,id={NET},hostfwd=tcp:{http}-:{GUEST_HTTP}")
}

fn spawn(launch: Launch<'_>) -> Result<QemuProcess, VirtualError> {
    let Launch { qemu, arguments, mut inherited, serial, .. } = launch;
    let tried = || VirtualError::io(format!("making sockets for {}", qemu.display()));
    let (qmp, qmp_theirs) = UnixStream::pair().map_err(tried())?;
    qmp.set_nonblocking(true).map_err(tried())?;
    let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
    let (stderr, stderr_theirs) =
        rustix::pipe::pipe_with(flags).map_err(|error| tried()(error.into()))?;
    let (stdin, stdout) = match serial {
        Some(serial) => (Stdio::from(serial.try_clone().map_err(tried())?), Stdio::from(serial)),
        None => (Stdio::null(), Stdio::null()),
    };
    let mut command = Command::new(qemu);
    command
        .args(arguments)
        .args(["-display", "none", "-monitor", "none"])
        .args(["-mon", "chardev=qmp,mode=control", "-chardev"])
        .arg(chardev("qmp", qmp_theirs.as_fd()))
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Stdio::from(stderr_theirs))
        // Ctrl-C on the terminal is for the rig, which then stops its boards in order.
        .process_group(0)
        .kill_on_drop(true)
        .env_clear()
        .envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    inherited.push(qmp_theirs.into());
    let raw: Vec<_> = inherited.iter().map(AsRawFd::as_raw_fd).collect();
    let parent = rustix::process::getpid();
    // SAFETY: between fork and exec there are only async-signal-safe system calls, on descriptors that are
    // open there: `inherited` lives until the child is started.
    unsafe {
        command.pre_exec(move || {
            // The thread that starts QEMU has to live as long as the board: on a current-thread runtime
            // that is the runtime's own thread.
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have ended just before that.
            if rustix::process::getppid() != Some(parent) {
                return Err(io::Error::other("the rig has ended"));
            }
            for socket in &raw {
                let socket = BorrowedFd::borrow_raw(*socket);
                rustix::io::fcntl_setfd(socket, FdFlags::empty())?;
            }
            Ok(())
        });
    }
    let child = command.spawn().map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            VirtualError::NoQemu(qemu.into())
        } else {
            VirtualError::io(format!("starting {}", qemu.display()))(error)
        }
    })?;
    drop(inherited);
    let qmp = tokio::net::UnixStream::from_std(qmp).map_err(tried())?;
    Ok(QemuProcess { child, qmp: Qmp::new(qmp), stderr: stderr.into() })
}

/// A `-chardev` for a socket that QEMU inherits, which needs no file.
pub fn chardev(name: &str, socket: BorrowedFd<'_>) -> String {
    format!("socket,id={name},fd={}", socket.as_raw_fd())
}

/// An option's value with a path in it. A comma ends a value in QEMU; a doubled comma is a comma.
pub fn with_path(before: &str, path: &Path, after: &str) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut text = before.as_bytes().to_vec();
    for byte in path.as_os_str().as_bytes() {
        text.extend(std::iter::repeat_n(*byte, if *byte == b',' { 2 } else { 1 }));
    }
    text.extend_from_slice(after.as_bytes());
    OsString::from_vec(text)
}

/// Searches a program as the system does, so that a missing one is reported early.
pub fn is_there(program: &Path) -> bool {
    if program.components().count() > 1 {
        return program.is_file();
    }
    let path = std::env::var_os("PATH");
    std::env::split_paths(path.as_deref().unwrap_or(OsStr::new("")))
        .any(|dir| dir.join(program).is_file())
}
