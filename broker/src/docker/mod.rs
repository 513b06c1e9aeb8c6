//! The Docker engine: whether it answers, and hilrig's containers on it.

pub(crate) mod image;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use hilrig_core::text::printable;
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::query_parameters::{
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use testcontainers::core::client::docker_client_instance;
use tokio::time::timeout;

use crate::descriptions::BrokerDescription;
use crate::owner::Owner;
use crate::program::Mosquitto;

/// Deadline for an engine to answer a ping. A socket of this machine needs a millisecond.
const TO_ANSWER: Duration = Duration::from_secs(3);
/// Deadline for an engine to list or remove containers.
const TO_WORK: Duration = Duration::from_secs(20);

/// The label with the run's id, which marks a container as hilrig's.
const RUN: &str = "org.hilrig.run";
const PID: &str = "org.hilrig.pid";
const BOOT: &str = "org.hilrig.boot";
const HOST: &str = "org.hilrig.host";

/// The engine at DOCKER_HOST or the usual sockets. The error is the reason why there is none.
pub(crate) async fn connect() -> Result<Docker, String> {
    let found = match docker_client_instance().await {
        Ok(engine) => match timeout(TO_ANSWER, engine.ping()).await {
            Ok(Ok(_)) => return Ok(engine),
            Ok(Err(error)) => why(&error),
            Err(_) => format!("no answer to a ping within {} s", TO_ANSWER.as_secs()),
        },
        Err(error) => why(&error),
    };
    let found = match found.contains("Permission denied") {
        true => format!("{found} (`usermod -aG docker USER` and a new login mend that)"),
        false => found,
    };
    Err(match std::env::var("DOCKER_HOST") {
        Ok(host) => format!("{found}; DOCKER_HOST is {}", printable(host.as_bytes())),
        Err(_) => found,
    })
}

/// An error with its causes: bollard's own text has none of them.
pub(crate) fn why(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    // The names of the lower layers are no help to the user.
    for layer in [
        "failed to initialize a docker client: ",
        "Error in the hyper legacy client: ",
        "client error (Connect): ",
    ] {
        text = text.replace(layer, "");
    }
    printable(text.trim().as_bytes())
}

/// The labels of every container of this process.
pub(crate) fn labels(run: &str) -> HashMap<String, String> {
    let me = Owner::me();
    [(RUN, run.to_owned()), (PID, me.pid.to_string()), (BOOT, me.boot), (HOST, me.host)]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
}

/// Removes the containers of `run`. testcontainers may have created one before it failed.
pub(crate) async fn remove_containers_of(engine: &Docker, run: &str) {
    let filter = format!("{RUN}={run}");
    let removed = timeout(TO_WORK, async {
        for (id, _) in ours(engine, &filter).await? {
            remove(engine, &id).await?;
        }
        Ok::<_, Error>(())
    });
    match removed.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!("cannot remove the broker's container: {}", why(&error)),
        Err(_) => tracing::warn!("the engine does not remove the broker's container in time"),
    }
}

/// Removes the containers of runs whose process is gone.
pub(crate) async fn sweep_containers(engine: &Docker, notes: &mut dyn FnMut(String)) {
    let swept = timeout(TO_WORK, async {
        let dead: Vec<_> = ours(engine, RUN)
            .await?
            .into_iter()
            .filter_map(|(id, labels)| {
                let owner = Owner {
                    pid: labels.get(PID)?.parse().ok()?,
                    boot: labels.get(BOOT)?.clone(),
                    host: labels.get(HOST)?.clone(),
                    locked: false,
                };
                owner.is_gone().then(|| (id, labels.get(RUN).cloned().unwrap_or_default()))
            })
            .collect();
        let removed = dead.into_iter().map(|(id, run)| async move {
            remove(engine, &id).await.map(|removed| removed.then_some(run))
        });
        join_all(removed).await.into_iter().collect::<Result<Vec<_>, Error>>()
    });
    match swept.await {
        Ok(Ok(runs)) => {
            for run in runs.into_iter().flatten() {
                let run = printable(run.as_bytes());
                notes(format!("swept the broker's container of run {run}: the run is gone"));
            }
        }
        Ok(Err(error)) => notes(format!("cannot sweep containers: {}", why(&error))),
        Err(_) => notes(format!(
            "cannot sweep containers: the engine did not do it within {} s",
            TO_WORK.as_secs()
        )),
    }
}

/// Id and labels of the containers with a label.
async fn ours(
    engine: &Docker,
    label: &str,
) -> Result<Vec<(String, HashMap<String, String>)>, Error> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = engine.list_containers(Some(options)).await?;
    Ok(found.into_iter().filter_map(|c| Some((c.id?, c.labels.unwrap_or_default()))).collect())
}

/// The same with the engine's deadline. The error is the reason why there is no list.
pub(crate) async fn remove_in_time(engine: &Docker, id: &str) -> Result<(), String> {
    match timeout(TO_WORK, remove(engine, id)).await {
        Ok(removed) => removed.map(drop).map_err(|error| why(&error)),
        Err(_) => Err(format!("the engine did not do it within {} s", TO_WORK.as_secs())),
    }
}

/// Waits for a container's end, which the engine reports with the exit code. The error is the reason why there is
/// none.
pub(crate) async fn until_it_ends(engine: &Docker, id: &str) -> Result<i64, String> {
    loop {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        let mut answer = Box::pin(engine.wait_container(id, Some(options)));
        return match answer.next().await {
            Some(Ok(answer)) => Ok(answer.status_code),
            Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(code),
            // The engine delays the answer until then; the client's timeout is shorter.
            Some(Err(Error::RequestTimeoutError)) => continue,
            Some(Err(Error::DockerResponseServerError { status_code: 404, .. })) => {
                Err("somebody removed the broker's container".into())
            }
            Some(Err(error)) => Err(format!("the Docker engine is gone: {}", why(&error))),
            None => Err("the Docker engine hung up; is it being restarted?".into()),
        };
    }
}

/// An exit code in words.
pub(crate) fn exit_code(code: i64) -> String {
    match code {
        137 => "exit code 137 (SIGKILL)".into(),
        code => format!("exit code {code}"),
    }
}

/// Removes a container; false if another process did.
async fn remove(engine: &Docker, id: &str) -> Result<bool, Error> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match engine.remove_container(id, Some(options)).await {
        Ok(()) => Ok(true),
        // Already removed, or being removed.
        Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The available ways to run a broker.
#[derive(Clone, Debug)]
pub struct EngineStatus {
    /// Version of the Docker engine that answers, or the reason why none does.
    pub engine: Result<String, String>,
    /// Images on it that the broker can be started from without a network.
    pub images: Vec<String>,
    /// The broker's program on this machine with its version, where that is known without a start; or what was
    /// found instead.
    pub program: Result<(PathBuf, Option<String>), String>,
}

/// Finds the ways to run this broker, and changes nothing.
pub async fn engine_status(software: &BrokerDescription) -> EngineStatus {
    let found = software.find().map_err(|error| error.to_string());
    let (built_here, mut program) = (software.image_is_built_here(), None);
    if let (true, Ok(found)) = (built_here, &found) {
        program = Some(Mosquitto::find(&found.program));
    }
    let mut images = Vec::new();
    let engine = match connect().await {
        Ok(engine) => {
            let own = found.as_ref().ok().filter(|_| built_here);
            let own = own.and_then(|found| image::OwnImage::of(&found.program).ok());
            for name in [software.image().map(str::to_owned), own.map(|own| own.name())] {
                let Some(name) = name else { continue };
                if image::is_there(&engine, &name).await.unwrap_or(false) {
                    images.push(name);
                }
            }
            let version = timeout(TO_WORK, engine.version()).await;
            match version {
                Ok(Ok(version)) => Ok(version.version.unwrap_or_else(|| "unknown".into())),
                Ok(Err(error)) => Err(why(&error)),
                Err(_) => Err("it does not report its version".into()),
            }
        }
        Err(found) => Err(found),
    };
    let program = match (program, found) {
        (Some(mosquitto), _) => mosquitto.map(|found| (found.path, Some(found.version))),
        (None, found) => found.map(|found| (found.program, None)),
    };
    EngineStatus { engine, images, program }
}
