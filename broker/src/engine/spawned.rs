//! A broker's program that runs, as a process or in a container: with the same arguments, environment, files, ports
//! and log, and the same way to stop it.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use testcontainers::bollard::Docker;
use tokio::time::timeout_at;

use super::child::Running;
use super::contained::Contained;
use super::launch::Launch;
use super::log_tail::LogTail;

/// Where it is to run.
pub(super) enum Place {
    Here,
    In { engine: Docker, image: String, run: String },
}

/// A program that runs.
pub(super) enum Spawned {
    Here(Running),
    In(Contained),
}

/// How a program ended after a stop request.
pub(super) struct Ending {
    /// None if a signal ended it.
    pub code: Option<i32>,
    pub words: String,
}

impl Spawned {
    /// Starts it; its output goes to `log`. The error is the reason.
    pub async fn start(
        launch: &Launch<'_>,
        place: &Place,
        log: LogTail,
        deadline: std::time::Instant,
    ) -> Result<Spawned, String> {
        match place {
            Place::Here => {
                let running = Running::start(launch.name, launch.command(), log);
                running.map(Spawned::Here).map_err(|error| error.to_string())
            }
            Place::In { engine, image, run } => {
                let starting = Contained::start(engine, launch, image, run, log);
                let started = timeout_at(deadline.into(), starting).await;
                match started.unwrap_or_else(|_| Err("the engine did not start it in time".into()))
                {
                    Ok(contained) => Ok(Spawned::In(contained)),
                    Err(found) => {
                        Contained::remove(engine, &launch.container_name(run)).await;
                        Err(found)
                    }
                }
            }
        }
    }

    /// Its pid; `None` when it has ended.
    pub fn pid(&self) -> Option<Pid> {
        match self {
            Spawned::Here(running) => running.pid(),
            Spawned::In(contained) => contained.pid(),
        }
    }

    /// The path of its files on this machine.
    pub fn root(&self) -> Option<PathBuf> {
        match self {
            Spawned::Here(_) => Some("/".into()),
            Spawned::In(contained) => {
                let pid = contained.pid()?;
                Some(format!("/proc/{}/root", pid.as_raw_nonzero()).into())
            }
        }
    }

    /// Reads its log until a line shows that it is up. The error is the reason why none came.
    pub async fn up(&mut self) -> Result<(), String> {
        match self {
            Spawned::Here(running) => running.up().await,
            Spawned::In(contained) => contained.up().await,
        }
    }

    /// Continues to read its log until it ends, and returns how it ended.
    pub async fn ended(&mut self) -> String {
        match self {
            Spawned::Here(running) => running.ended().await,
            Spawned::In(contained) => contained.ended().await,
        }
    }

    /// Sends `signal`, calls `wake`, and kills it if it has not ended within `grace`. Returns how it ended after the
    /// signal. Nothing of it remains.
    pub async fn stop(
        &mut self,
        signal: Signal,
        grace: Duration,
        wake: impl Future<Output = ()>,
    ) -> Option<Ending> {
        match self {
            Spawned::Here(running) => {
                let status = running.stop(signal, grace, wake).await?;
                Some(Ending { code: status.code(), words: status.to_string() })
            }
            Spawned::In(contained) => {
                let code = contained.stop(signal, grace, wake).await?;
                Some(Ending { code: Some(code), words: format!("exit code {code}") })
            }
        }
    }
}
