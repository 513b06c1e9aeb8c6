//! Mosquitto as a process of this machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{timeout, timeout_at};

use crate::broker::{Desk, End, Job, Ports, Ready};
use crate::connack::{answer_over_tls, client_tls};
use crate::error::BrokerError;
use crate::folder::Folder;
use crate::logtail::LogTail;
use crate::mosquitto::{self, Listeners};
use crate::{ports, program};

/// Between SIGTERM and SIGKILL. It needs about a millisecond.
const TO_END: Duration = Duration::from_secs(3);
/// So many pairs of free ports are tried when somebody else is quicker.
const TRIES: usize = 5;

/// Starts it, tells that it is ready, and stays until it ends.
pub(crate) async fn serve(job: &Job, desk: &Desk, ports: Ports) -> Result<End, BrokerError> {
    let executable = program::look_up(&job.plan.executable)
        .map_err(|found| BrokerError::NoExecutable { found })?;
    let deadline = Instant::now() + job.plan.deadline;
    let folder = Folder::create(&job.plan.dir)?;
    let mut free = ports::free(&job.plan.run);
    let mut tries = 0;
    let (mut running, port, impostor_port) = loop {
        tries += 1;
        let port = match ports.main {
            Some(port) => match ports::taken(port) {
                Some(found) => return Err(BrokerError::PortTaken { port, found }),
                None => port,
            },
            None => next(&mut free)?,
        };
        let impostor_port = match ports.impostor {
            Some(port) => port,
            None => next(&mut free.by_ref().filter(|other| *other != port))?,
        };
        folder.fill(&mosquitto::files(
            folder.path(),
            Listeners { address: job.plan.listen, port, impostor_port },
            &job.certificates,
            &job.plan.login,
        )?)?;
        let mut running = Running::start(&executable, folder.path(), port, desk.log.clone())?;
        let said = tokio::select! {
            said = running.until_it_says_running(deadline) => said,
            () = desk.stopped() => {
                running.stop().await;
                return Err(BrokerError::Stopped);
            }
        };
        match said {
            Ok(()) => break (running, port, impostor_port),
            Err(found) => {
                running.stop().await;
                let log = desk.log.last_lines();
                if mosquitto::address_in_use(&log) && tries < TRIES {
                    continue;
                }
                let from = executable.display().to_string();
                return Err(BrokerError::NotStarted { from, found, log });
            }
        }
    };
    let answered = tokio::select! {
        answered = prove(job, port, deadline) => answered,
        ended = running.ended() => Err(ended),
        () = desk.stopped() => {
            running.stop().await;
            return Err(BrokerError::Stopped);
        }
    };
    if let Err(found) = answered {
        running.stop().await;
        return Err(BrokerError::NotReady {
            from: executable.display().to_string(),
            waited: job.plan.deadline.saturating_sub(deadline - Instant::now()),
            waited_for: "a CONNACK over TLS",
            found,
            log: desk.log.last_lines(),
        });
    }
    let ready = Ready {
        kind: "process",
        from: executable.display().to_string(),
        version: desk.log.running_version().unwrap_or_default(),
        port,
        impostor_port,
    };
    desk.ready(ready.clone());
    tokio::select! {
        found = running.ended() => Ok(End::Gone(found)),
        () = desk.stopped() => {
            running.stop().await;
            Ok(End::Stopped)
        }
        () = desk.restart_asked() => {
            running.stop().await;
            Ok(End::Restart(ready))
        }
    }
}

fn next(ports: &mut impl Iterator<Item = u16>) -> Result<u16, BrokerError> {
    ports.next().ok_or_else(|| {
        BrokerError::file("find", "a free port for the broker")(io::ErrorKind::AddrInUse.into())
    })
}

/// The broker answers a CONNECT with the run's login over TLS that the run's CA verifies. The error
/// says what came instead.
pub(crate) async fn prove(job: &Job, port: u16, deadline: Instant) -> Result<(), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let tls = client_tls(job.certificates.ca_der()).map_err(|error| error.to_string())?;
    let answer = answer_over_tls(address, &job.plan.server_name, tls, Some(&job.plan.login));
    match timeout_at(deadline.into(), answer).await {
        Ok(Ok(answered)) if answered.code == 0 => Ok(()),
        Ok(Ok(answered)) => Err(format!("a CONNACK with code {} came", answered.code)),
        Ok(Err(error)) => Err(format!("{address} gave: {error}")),
        Err(_) => Err("nothing came".into()),
    }
}

struct Running {
    child: Child,
    port: u16,
    stderr: Stderr,
}

impl Running {
    fn start(
        executable: &Path,
        folder: &Path,
        port: u16,
        log: LogTail,
    ) -> Result<Running, BrokerError> {
        let parent = Pid::from_raw(std::process::id().cast_signed());
        let mut command = Command::new(executable);
        command
            .arg("-c")
            .arg(folder.join(mosquitto::CONFIG))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C on the terminal is for the run, which ends it in order.
            .process_group(0)
            .kill_on_drop(true);
        // SAFETY: between fork and exec only two system calls are made, nothing is allocated.
        unsafe {
            command.pre_exec(move || {
                // Should the run be killed, so is the broker. Its parent is the thread that this
                // runs on, and that thread stays until the broker has ended.
                set_parent_process_death_signal(Some(Signal::KILL))?;
                match getppid() == parent {
                    true => Ok(()),
                    false => Err(io::ErrorKind::BrokenPipe.into()),
                }
            });
        }
        let mut child = command.spawn().map_err(BrokerError::file("run", executable))?;
        let pipe = child.stderr.take().ok_or(BrokerError::Thread)?;
        let stderr = Stderr { pipe, log, buffer: Box::new([0; 4096]) };
        Ok(Running { child, port, stderr })
    }

    /// Reads its log until it says that it runs. The error says what came instead.
    async fn until_it_says_running(&mut self, deadline: Instant) -> Result<(), String> {
        let reading = async {
            while self.stderr.log.running_version().is_none() {
                if !self.stderr.read().await {
                    return Err(ending(self.child.wait().await));
                }
            }
            Ok(())
        };
        timeout_at(deadline.into(), reading)
            .await
            .unwrap_or_else(|_| Err("waited for it to say that it runs, until the deadline".into()))
    }

    /// Goes on reading its log until it ends.
    async fn ended(&mut self) -> String {
        loop {
            tokio::select! {
                biased;
                more = self.stderr.read() => if !more {
                    return ending(self.child.wait().await);
                },
                status = self.child.wait() => {
                    self.stderr.rest().await;
                    return ending(status);
                }
            }
        }
    }

    /// Asks it to end, and ends it if it does not.
    async fn stop(&mut self) {
        // A child that was waited for has no id any more, so this is never somebody else's pid.
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let Some(pid) = pid else { return };
        let _ = kill_process(pid, Signal::TERM);
        // Mosquitto looks for signals every 100 ms, and when something happens on a socket.
        let _wake = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await;
        if timeout(TO_END, self.ended()).await.is_err() {
            tracing::warn!("mosquitto did not end within {TO_END:?} of SIGTERM; it is killed");
            let _ = self.child.kill().await;
        }
    }
}

/// Its log: a pipe that has to be read, or Mosquitto would block.
struct Stderr {
    pipe: ChildStderr,
    log: LogTail,
    buffer: Box<[u8; 4096]>,
}

impl Stderr {
    /// Reads on; false at the end.
    async fn read(&mut self) -> bool {
        match self.pipe.read(&mut self.buffer[..]).await {
            Ok(0) | Err(_) => false,
            Ok(n) => {
                self.log.push(&self.buffer[..n]);
                true
            }
        }
    }

    /// What is in the pipe still. Somebody else may hold its other end, so not for long.
    async fn rest(&mut self) {
        let _ = timeout(Duration::from_millis(100), async { while self.read().await {} }).await;
    }
}

fn ending(status: io::Result<ExitStatus>) -> String {
    match status {
        // Says "exit status: 1" or "signal: 9 (SIGKILL)".
        Ok(status) => format!("mosquitto ended by itself, {status}"),
        Err(error) => format!("mosquitto is gone: {error}"),
    }
}
