//! The rig's end of the control socket.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use hilrig_core::board::{BoardFault, Power, ResetLines};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::control::{BoardState, BoardStatus, ControlCommand, ControlReply, LINE_MOST};

/// A board answers within milliseconds; QEMU starts in some 30 ms, on a machine under load in much more.
const ANSWER: Duration = Duration::from_secs(15);

/// Commands to a virtual board, from this or another process.
#[derive(Clone, Debug)]
pub struct ControlSocket {
    path: PathBuf,
}

impl ControlSocket {
    /// For the socket at `path`. Connects for each command.
    pub fn new(path: impl Into<PathBuf>) -> ControlSocket {
        ControlSocket { path: path.into() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Resets into the firmware.
    pub async fn reset(&self) -> Result<(), BoardFault> {
        self.command(ControlCommand::Reset).await
    }

    /// Resets into the ROM's loader.
    pub async fn loader(&self) -> Result<(), BoardFault> {
        self.command(ControlCommand::Loader).await
    }

    /// Cuts the power.
    pub async fn power_off(&self) -> Result<(), BoardFault> {
        self.command(ControlCommand::PowerOff).await
    }

    /// Restores the power.
    pub async fn power_on(&self) -> Result<(), BoardFault> {
        self.command(ControlCommand::PowerOn).await
    }

    /// Takes the network cable out.
    pub async fn link_down(&self) -> Result<(), BoardFault> {
        self.command(ControlCommand::LinkDown).await
    }

    /// Puts the network cable in.
    pub async fn link_up(&self) -> Result<(), BoardFault> {
        self.command(ControlCommand::LinkUp).await
    }

    /// Pulls the debug probe's cable out.
    pub async fn probe_out(&self) -> Result<(), BoardFault> {
        self.command(ControlCommand::ProbeOut).await
    }

    /// Plugs the debug probe in.
    pub async fn probe_in(&self) -> Result<(), BoardFault> {
        self.command(ControlCommand::ProbeIn).await
    }

    /// Drops the firmware's bytes.
    pub async fn silent(&self) -> Result<(), BoardFault> {
        self.command(ControlCommand::Silent).await
    }

    /// Hangs the chip until its power is cut.
    pub async fn hang(&self) -> Result<(), BoardFault> {
        self.command(ControlCommand::Hang).await
    }

    /// Puts random bytes of the seed on the line.
    pub async fn garbage(&self, bytes: u64, seed: u64) -> Result<(), BoardFault> {
        self.command(ControlCommand::Garbage { bytes, seed: Some(seed) }).await
    }

    /// Puts text on the line at full speed, in lines or (`newline` false) as one line without an end.
    pub async fn flood(&self, bytes: u64, newline: bool) -> Result<(), BoardFault> {
        self.command(ControlCommand::Flood { bytes, newline }).await
    }

    /// Ends silence, garbage and flood.
    pub async fn normal(&self) -> Result<(), BoardFault> {
        self.command(ControlCommand::Normal).await
    }

    /// The state of the board.
    pub async fn status(&self) -> Result<BoardStatus, BoardFault> {
        let reply = self.send(ControlCommand::Status).await?;
        reply.status.ok_or_else(|| self.fault(ControlCommand::Status, "an answer without a status"))
    }

    async fn command(&self, command: ControlCommand) -> Result<(), BoardFault> {
        self.send(command).await.map(|_| ())
    }

    /// Sends any command and waits for its answer; a refusal is an error.
    pub async fn send(&self, command: ControlCommand) -> Result<ControlReply, BoardFault> {
        let reply = match timeout(ANSWER, self.exchange(command.clone())).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => {
                return Err(self
                    .fault(command, error)
                    .help("Is the virtual board running? `hilrig virtual-board` starts one"));
            }
            Err(_) => return Err(self.fault(command, format!("no answer within {ANSWER:?}"))),
        };
        match reply.ok {
            true => Ok(reply),
            false => Err(self.fault(command, reply.error.unwrap_or_default())),
        }
    }

    async fn exchange(&self, command: ControlCommand) -> io::Result<ControlReply> {
        let mut line = serde_json::to_vec(&command)?;
        line.push(b'\n');
        let mut stream = UnixStream::connect(&self.path).await?;
        stream.write_all(&line).await?;
        let mut answer = Vec::new();
        let mut stream = stream.take(LINE_MOST);
        while !answer.ends_with(b"\n") {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(serde_json::from_slice(&answer)?)
    }

    fn fault(&self, command: ControlCommand, found: impl ToString) -> BoardFault {
        let path = self.path.display();
        BoardFault::new(format!("sending {command:?} to the virtual board at {path}"), found)
    }
}

#[async_trait(?Send)]
impl ResetLines for ControlSocket {
    fn words(&self) -> String {
        "control socket".into()
    }

    async fn enter_loader(&mut self, _port: BorrowedFd<'_>) -> Result<(), BoardFault> {
        self.loader().await
    }

    async fn reset(&mut self, _port: BorrowedFd<'_>) -> Result<(), BoardFault> {
        ControlSocket::reset(self).await
    }

    async fn sound(&mut self) -> Result<(), BoardFault> {
        let status = self.status().await?;
        let stopped = || match status.qemu {
            Some(pid) => {
                format!("its QEMU, process {pid}, is stopped by a signal or a debugger")
            }
            None => "its QEMU is stopped".into(),
        };
        let (found, help) = match status.state {
            BoardState::Fault => (status.fault.unwrap_or_default(), None),
            BoardState::Off => {
                ("it has no power".to_owned(), Some(r#"`{"do":"power_on"}` restores it"#))
            }
            BoardState::Hung => (
                "its chip hangs, even after a reset".to_owned(),
                Some("Only a power cut ends that"),
            ),
            BoardState::Running if status.stopped => (stopped(), Some("SIGCONT continues it")),
            BoardState::Running | BoardState::Loader if !status.link => {
                ("its network cable is out".to_owned(), Some(r#"`{"do":"link_up"}` puts it in"#))
            }
            BoardState::Running if status.silent => (
                "its serial line drops the firmware's bytes".to_owned(),
                Some(r#"`{"do":"normal"}` ends that"#),
            ),
            BoardState::Running | BoardState::Loader => return Ok(()),
        };
        let tried = format!("checking the virtual board at {}", self.path.display());
        let fault = BoardFault::new(tried, found);
        Err(match help {
            Some(help) => fault.help(help),
            None => fault,
        })
    }
}

#[async_trait(?Send)]
impl Power for ControlSocket {
    fn words(&self) -> String {
        format!("the control socket {}", self.path.display())
    }

    async fn off(&mut self) -> Result<(), BoardFault> {
        self.power_off().await
    }

    async fn on(&mut self) -> Result<(), BoardFault> {
        self.power_on().await
    }
}
