//! A broker's program in a container: the network and the folder are this machine's, the rest is the
//! image's.
//!
//! By bollard and not through testcontainers' runner, which reads a container's log from the engine's
//! store and knows no signal; here the log is a pipe that is there before the program is.

use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use rustix::process::{Pid, Signal, getegid, geteuid};
use testcontainers::bollard::Docker;
use testcontainers::bollard::container::LogOutput;
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType,
};
use testcontainers::bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, KillContainerOptionsBuilder,
};
use tokio::time::timeout;

use super::log_tail::LogTail;
use super::spawned::Launch;
use crate::docker::{self, why};

/// What is in the pipe when it has ended comes within this.
const REST: Duration = Duration::from_millis(100);
/// For the engine to send a signal.
const TO_SIGNAL: Duration = Duration::from_secs(5);

/// A program that runs in a container. It is there until [`Contained::stop`].
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

/// Its end, asked for once and remembered.
struct End {
    coming: Pin<Box<dyn Future<Output = Result<i64, String>>>>,
    came: Option<Result<i64, String>>,
}

impl Contained {
    /// Starts it. The error says what came instead; then a container of its name can be left.
    pub async fn start(
        engine: &Docker,
        launch: &Launch<'_>,
        image: &str,
        run: &str,
        log: LogTail,
    ) -> Result<Contained, String> {
        let says = |error: Error| why(&error);
        let name = launch.container_name(run);
        let named = CreateContainerOptionsBuilder::new().name(&name).build();
        let made = engine.create_container(Some(named), body(launch, image, run));
        let id = made.await.map_err(says)?.id;
        // Before it is started, so that not a word is lost.
        let attached =
            AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true).build();
        let pipe = engine.attach_container(&id, Some(attached)).await.map_err(says)?.output;
        engine.start_container(&id, None).await.map_err(says)?;
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
            // 0 of one that has ended already.
            pid: pid.and_then(Pid::from_raw),
            output: Output { pipe, log, ended: false },
            end: End { coming, came: None },
        })
    }

    /// Its pid on this machine; `None` when it has ended.
    pub fn pid(&self) -> Option<Pid> {
        self.pid.filter(|_| self.end.came.is_none())
    }

    /// Reads its log until a line says that it is up. The error says what came instead.
    pub async fn up(&mut self) -> Result<(), String> {
        loop {
            if self.output.log.up().is_some() {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = self.output.read(), if !self.output.ended => {}
                ended = self.end.comes() => {
                    self.output.rest().await;
                    return match self.output.log.up() {
                        Some(_) => Ok(()),
                        None => Err(self.ending(&ended)),
                    };
                }
            }
        }
    }

    /// Goes on reading its log until it ends, and says how it did.
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

    /// Asks it to end with `signal`, and removes it, when it has ended or `grace` is over. Tells its exit
    /// code if it ended when asked.
    pub async fn stop(&mut self, signal: Signal, grace: Duration) -> Option<i32> {
        let mut code = None;
        if self.end.came.is_none() {
            let number = signal.as_raw().to_string();
            let asked = KillContainerOptionsBuilder::new().signal(&number).build();
            let sent = timeout(TO_SIGNAL, self.engine.kill_container(&self.id, Some(asked))).await;
            // What it says of one that ended a moment ago is no matter: the wait tells.
            if !matches!(sent, Ok(Ok(()))) {
                tracing::debug!("{signal:?} to the container of {}: {sent:?}", self.name);
            }
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

    /// Removes a container, by its id or its name, if it is there.
    pub async fn remove(engine: &Docker, container: &str) {
        if let Err(found) = docker::remove_in_time(engine, container).await {
            tracing::warn!("cannot remove the broker's container {container}: {found}");
        }
    }

    fn ending(&self, ended: &Result<i64, String>) -> String {
        match ended {
            Ok(code) => format!("{} ended by itself, {}", self.name, docker::exit_code(*code)),
            Err(found) => found.clone(),
        }
    }
}

impl Output {
    /// Reads on.
    async fn read(&mut self) {
        match self.pipe.next().await {
            Some(Ok(piece)) => self.log.push(&piece.into_bytes()),
            Some(Err(_)) | None => self.ended = true,
        }
    }

    /// What is in the pipe still.
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

fn body(launch: &Launch<'_>, image: &str, run: &str) -> ContainerCreateBody {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let dir = text(launch.dir);
    let environment = launch.environment();
    ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec![text(launch.program)]),
        cmd: Some(launch.arguments.clone()),
        env: Some(environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        working_dir: Some(dir.clone()),
        // Who made the files, and alone may read them.
        user: Some(format!("{}:{}", geteuid().as_raw(), getegid().as_raw())),
        labels: Some(docker::labels(run)),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(HostConfig {
            network_mode: Some("host".into()),
            mounts: Some(vec![Mount {
                typ: Some(MountType::BIND),
                source: Some(dir.clone()),
                target: Some(dir),
                ..Default::default()
            }]),
            cap_drop: Some(vec!["ALL".into()]),
            security_opt: Some(vec!["no-new-privileges:true".into()]),
            // It is read as it comes, and kept nowhere else.
            log_config: Some(HostConfigLogConfig { typ: Some("none".into()), config: None }),
            ..Default::default()
        }),
        ..Default::default()
    }
}
