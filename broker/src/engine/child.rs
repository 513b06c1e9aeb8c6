//! A broker's process: how it is started, read and ended.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::log_tail::LogTail;
use super::strays::Descendants;

/// A running process, as the child of the thread that started it. That thread must live until the
/// process has ended: the parent-death signal depends on the thread.
pub(crate) struct Running {
    name: String,
    child: Child,
    output: Output,
}

/// Ties a program to the thread that starts it. It gets a process group of its own: Ctrl-C on the
/// terminal goes to the run, which ends it in order. If the run is killed, so is the program.
pub(crate) fn tie(command: &mut Command) {
    let parent = Pid::from_raw(std::process::id().cast_signed());
    command.process_group(0).kill_on_drop(true);
    // SAFETY: between fork and exec only two system calls are made, nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            match getppid() == parent {
                true => Ok(()),
                false => Err(io::ErrorKind::BrokenPipe.into()),
            }
        });
    }
}

impl Running {
    /// Starts `command`, whose output and errors go to `log`.
    pub fn start(name: &str, mut command: Command, log: LogTail) -> io::Result<Running> {
        // One pipe for both, so that the log keeps the order of the writes.
        let (pipe, into) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(into.try_clone()?).stderr(into);
        tie(&mut command);
        let child = command.spawn()?;
        // This also closes this side's copy of the pipe's other end; otherwise the log would never end.
        drop(command);
        let pipe = Receiver::from_owned_fd(OwnedFd::from(pipe))?;
        let output = Output { pipe, log, buffer: Box::new([0; 4096]) };
        Ok(Running { name: name.to_owned(), child, output })
    }

    /// Its pid; `None` when it has ended.
    pub fn pid(&self) -> Option<Pid> {
        // A reaped child has no id any more, so this is never the pid of another process.
        self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()))
    }

    /// Reads its log until a line shows that it is up. The error is the reason why none came.
    pub async fn up(&mut self) -> Result<(), String> {
        let mut ended = false;
        loop {
            if self.output.log.is_up() {
                return Ok(());
            }
            if ended {
                let status = self.child.wait().await;
                return Err(self.ending(status));
            }
            tokio::select! {
                biased;
                more = self.output.read() => ended = !more,
                // A process that it started may keep the pipe open for longer.
                _ = self.child.wait() => {
                    self.output.rest().await;
                    ended = true;
                }
            }
        }
    }

    /// Continues to read its log until it ends, and returns how it ended.
    pub async fn ended(&mut self) -> String {
        let status = self.wait().await;
        self.ending(status)
    }

    /// The same, with the status.
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            tokio::select! {
                biased;
                more = self.output.read() => if !more {
                    return self.child.wait().await;
                },
                status = self.child.wait() => {
                    self.output.rest().await;
                    return status;
                }
            }
        }
    }

    /// Sends `signal`, calls `wake`, and kills it if it has not ended within `grace`. Returns the status if it ended
    /// after the signal.
    pub async fn stop(
        &mut self,
        signal: Signal,
        grace: Duration,
        wake: impl Future<Output = ()>,
    ) -> Option<ExitStatus> {
        let pid = self.pid()?;
        let started = Descendants::of(pid);
        let _ = kill_process(pid, signal);
        wake.await;
        let ended = self.end_within(signal, grace).await;
        // A script that ends leaves the broker that it started; a broker that ended on the signal is gone by now.
        started.end();
        ended
    }

    async fn end_within(&mut self, signal: Signal, grace: Duration) -> Option<ExitStatus> {
        match timeout(grace, self.wait()).await {
            Ok(status) => status.ok(),
            Err(_) => {
                tracing::warn!(
                    "{} did not end within {grace:?} of {signal:?}; it is killed",
                    self.name
                );
                let _ = self.child.kill().await;
                self.output.rest().await;
                None
            }
        }
    }

    fn ending(&self, status: io::Result<ExitStatus>) -> String {
        match status {
            // Prints "exit status: 1" or "signal: 9 (SIGKILL)".
            Ok(status) => format!("{} ended by itself, {status}", self.name),
            Err(error) => format!("{} is gone: {error}", self.name),
        }
    }
}

/// Its log: a pipe that must be read, or the broker would block.
struct Output {
    pipe: Receiver,
    log: LogTail,
    buffer: Box<[u8; 4096]>,
}

impl Output {
    /// Reads more; false at the end.
    async fn read(&mut self) -> bool {
        match self.pipe.read(&mut self.buffer[..]).await {
            Ok(0) | Err(_) => false,
            Ok(n) => {
                self.log.push(&self.buffer[..n]);
                true
            }
        }
    }

    /// The rest of the pipe. Another process may keep its other end open, so the wait is short.
    async fn rest(&mut self) {
        let _ = timeout(Duration::from_millis(100), async { while self.read().await {} }).await;
    }
}
