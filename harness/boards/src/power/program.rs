//! A program that switches something, run to its end or to a deadline.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

/// The most that is kept of either output, bytes: its end.
const KEPT: usize = 16 * 1024;
/// The longest wait for output after the program's end: processes that it left may keep the pipes open.
const REST: Duration = Duration::from_millis(100);

/// How a program ended, and the end of its output.
pub struct ProgramEnd {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Why a program has no regular end.
pub enum NoEnd {
    /// It could not be started.
    NotStarted(std::io::Error),
    /// It was killed at the deadline, with everything that it had started.
    Late { stderr: Vec<u8> },
}

/// Runs `command` in a process group of its own, which is killed at the deadline, and when this
/// future is dropped.
pub async fn run(mut command: Command, deadline: Duration) -> Result<ProgramEnd, NoEnd> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(NoEnd::NotStarted)?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let ended = async {
        let read = async { tokio::join!(tail(&mut out, &mut stdout), tail(&mut err, &mut stderr)) };
        tokio::pin!(read);
        tokio::select! {
            status = child.wait() => {
                let _ = timeout(REST, read).await;
                status
            }
            _ = &mut read => child.wait().await,
        }
    };
    match timeout(deadline, ended).await {
        Ok(status) => {
            // It ended by itself, and processes that it left are meant to run.
            group.0 = None;
            Ok(ProgramEnd { status: status.map_err(NoEnd::NotStarted)?, stdout, stderr })
        }
        Err(_) => {
            drop(group);
            let _ = child.wait().await;
            Err(NoEnd::Late { stderr })
        }
    }
}

struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It was not waited for yet, so the group still is its own. An empty group is fine.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Reads all of it and keeps its end.
async fn tail(from: &mut Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(from) = from else { return };
    while from.read_buf(kept).await.is_ok_and(|read| read > 0) {
        if kept.len() > 2 * KEPT {
            kept.drain(..kept.len() - KEPT);
        }
    }
}
