//! A broker's program in a container: the network and the folder are this machine's, the rest is the image's.
//!
//! testcontainers creates and starts it. It cannot send signals, so bollard, which it uses, sends the signal of the
//! description, reads the log, and waits for the end.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use rustix::process::{Pid, Signal, getegid, geteuid};
use testcontainers::bollard::Docker;
use testcontainers::bollard::container::LogOutput;
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::models::HostConfigLogConfig;
use testcontainers::bollard::query_parameters::{KillContainerOptionsBuilder, LogsOptionsBuilder};
use testcontainers::core::{Mount, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerRequest, GenericImage, ImageExt};
use tokio::time::timeout;

use super::launch::Launch;
use super::log_tail::LogTail;
use crate::docker::{self, image, why};

/// Time limit to read the rest of the pipe after its end.
const REST: Duration = Duration::from_millis(100);
/// Deadline for the engine to send a signal.
const TO_SIGNAL: Duration = Duration::from_secs(5);

/// A program that runs in a container. It exists until [`Contained::stop`].
pub(super) struct Contained {
    name: String,
    engine: Docker,
    id: String,
    pid: Option<Pid>,
    output: Output,
    end: End,
}

/// Its log.
struct Output {
    pipe: Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>,
    log: LogTail,
    ended: bool,
}

/// Its end, requested once and stored.
struct End {
    coming: Pin<Box<dyn Future<Output = Result<i64, String>>>>,
    came: Option<Result<i64, String>>,
}

impl Contained {
    /// Starts it. The error is the reason; then a container with its name may remain.
    pub async fn start(
        engine: &Docker,
        launch: &Launch<'_>,
        image: &str,
        run: &str,
        log: LogTail,
    ) -> Result<Contained, String> {
        let request = request(launch, image, run);
        let container = request.start().await.map_err(|error| why(&error))?;
        let id = container.id().to_owned();
        // Dropping would remove it, but waits minutes for an engine that hangs, and an environment variable disables
        // it. `Contained::remove` does it.
        std::mem::forget(container);
        // From its first line: the engine keeps the log.
        let options = LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).build();
        let pipe = engine.logs(&id, Some(options));
        let says = |error: Error| why(&error);
        let state = engine.inspect_container(&id, None).await.map_err(says)?.state;
        let pid = state.and_then(|state| state.pid).and_then(|pid| i32::try_from(pid).ok());
        let coming = {
            let (engine, id) = (engine.clone(), id.clone());
            Box::pin(async move { docker::until_it_ends(&engine, &id).await })
        };
        Ok(Contained {
            name: launch.name.to_owned(),
            engine: engine.clone(),
            id,
            // 0 for a container that has ended already.
            pid: pid.and_then(Pid::from_raw),
            output: Output { pipe: Box::pin(pipe), log, ended: false },
            end: End { coming, came: None },
        })
    }

    /// Its pid on this machine; `None` when it has ended.
    pub fn pid(&self) -> Option<Pid> {
        self.pid.filter(|_| self.end.came.is_none())
    }

    /// Reads its log until a line shows that it is up. The error is the reason why none came.
    pub async fn up(&mut self) -> Result<(), String> {
        loop {
            if self.output.log.is_up() {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = self.output.read(), if !self.output.ended => {}
                ended = self.end.comes() => {
                    self.output.rest().await;
                    return match self.output.log.is_up() {
                        true => Ok(()),
                        false => Err(self.ending(&ended)),
                    };
                }
            }
        }
    }

    /// Continues to read its log until it ends, and returns how it ended.
    pub async fn ended(&mut self) -> String {
        let ended = self.wait().await;
        self.ending(&ended)
    }

    async fn wait(&mut self) -> Result<i64, String> {
        loop {
            tokio::select! {
                biased;
                () = self.output.read(), if !self.output.ended => {}
                ended = self.end.comes() => {
                    self.output.rest().await;
                    return ended;
                }
            }
        }
    }

    /// Sends `signal`, calls `wake`, and removes it when it has ended or after `grace`. Returns its exit code if it
    /// ended after the signal.
    pub async fn stop(
        &mut self,
        signal: Signal,
        grace: Duration,
        wake: impl Future<Output = ()>,
    ) -> Option<i32> {
        let mut code = None;
        if self.end.came.is_none() {
            let number = signal.as_raw().to_string();
            let asked = KillContainerOptionsBuilder::new().signal(&number).build();
            let sent = timeout(TO_SIGNAL, self.engine.kill_container(&self.id, Some(asked))).await;
            // An error for a container that ended a moment ago is ignored: the wait has the result.
            if !matches!(sent, Ok(Ok(()))) {
                tracing::debug!("{signal:?} to the container of {}: {sent:?}", self.name);
            }
            wake.await;
            match timeout(grace, self.wait()).await {
                Ok(ended) => code = ended.ok().and_then(|code| i32::try_from(code).ok()),
                Err(_) => tracing::warn!(
                    "{} did not end within {grace:?} of {signal:?}; its container is removed",
                    self.name
                ),
            }
        }
        Contained::remove(&self.engine, &self.id).await;
        self.output.rest().await;
        code
    }

    /// Removes a container, by its id or its name, if it exists.
    pub async fn remove(engine: &Docker, container: &str) {
        if let Err(found) = docker::remove_in_time(engine, container).await {
            tracing::warn!("cannot remove the broker's container {container}: {found}");
        }
    }

    fn ending(&self, ended: &Result<i64, String>) -> String {
        match ended {
            Ok(code) => {
                format!("{}'s container ended by itself, {}", self.name, docker::exit_code(*code))
            }
            Err(found) => found.clone(),
        }
    }
}

impl Output {
    /// Reads more.
    async fn read(&mut self) {
        match self.pipe.next().await {
            Some(Ok(piece)) => self.log.push(&piece.into_bytes()),
            Some(Err(_)) | None => self.ended = true,
        }
    }

    /// The rest of the pipe.
    async fn rest(&mut self) {
        let rest = async {
            while !self.ended {
                self.read().await;
            }
        };
        let _ = timeout(REST, rest).await;
    }
}

impl End {
    async fn comes(&mut self) -> Result<i64, String> {
        if self.came.is_none() {
            self.came = Some((&mut self.coming).await);
        }
        self.came.clone().unwrap_or_else(|| Err("its end is not known".into()))
    }
}

fn request(launch: &Launch<'_>, image: &str, run: &str) -> ContainerRequest<GenericImage> {
    let dir = launch.dir.to_string_lossy().into_owned();
    let (name, tag) = image::split(image);
    let image = GenericImage::new(name, tag)
        .with_entrypoint(&launch.program.to_string_lossy())
        // The rig does its own waiting.
        .with_wait_for(WaitFor::Nothing);
    let environment = launch.environment();
    let request = environment
        .into_iter()
        .fold(image.into(), |request: ContainerRequest<_>, (name, value)| {
            request.with_env_var(name, value)
        });
    request
        .with_cmd(launch.arguments.clone())
        .with_container_name(launch.container_name(run))
        .with_labels(docker::labels(run))
        .with_working_dir(dir.clone())
        .with_mount(Mount::bind_mount(dir.clone(), dir))
        // The user who made the files and has the only permission to read them.
        .with_user(format!("{}:{}", geteuid().as_raw(), getegid().as_raw()))
        .with_cap_drop("ALL")
        .with_security_opt("no-new-privileges:true")
        .with_host_config_modifier(|host| {
            host.network_mode = Some("host".into());
            host.publish_all_ports = Some(false);
            // A log driver that can be read whatever the engine's own setting is; the log is removed with the
            // container.
            host.log_config = Some(HostConfigLogConfig { typ: Some("local".into()), config: None });
        })
}
