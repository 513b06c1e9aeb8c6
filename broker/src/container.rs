//! Mosquitto in a container, through testcontainers.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use testcontainers::bollard::Docker;
use testcontainers::bollard::models::PortBinding;
use testcontainers::core::logs::LogFrame;
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{
    ContainerAsync, ContainerRequest, GenericImage, ImageExt, TestcontainersError,
};

use tokio::time::timeout;

use crate::broker::{Desk, End, Job, Ports, Ready};
use crate::docker::image;
use crate::docker::{self, why};
use crate::engine::folder::Folder;
use crate::engine::ports;
use crate::error::BrokerError;
use crate::mosquitto::{self, Listeners};
use crate::process::prove;

/// Folder of its files in the container.
const FOLDER: &str = "/hilrig";
/// Ports in the container: MQTT over TLS has 8883 (IANA).
const PORT: u16 = 8883;
const IMPOSTOR_PORT: u16 = 8884;

/// Starts it, tells that it is ready, and stays until it ends.
pub(crate) async fn serve(
    engine: &Docker,
    job: &Job,
    desk: &Desk,
    ports: Ports,
) -> Result<End, BrokerError> {
    let mut notes = |note| desk.note(note);
    let image = tokio::select! {
        image = image::get(engine, &job.plan.image, Some(&job.plan.executable), &mut notes) => image?,
        () = desk.stopped() => return Err(BrokerError::Stopped),
    };
    if let Some(port) = ports.main
        && let Some(found) = ports::taken(port)
    {
        return Err(BrokerError::PortTaken { port, found });
    }
    let folder = Folder::create(&job.plan.dir)?;
    let request = request(&image, &folder, job, desk, ports)?;
    // Not to be given up halfway: testcontainers would leave behind what the engine is making.
    let started = timeout(job.plan.deadline, request.start()).await;
    // The container has its files.
    drop(folder);
    let end = match started {
        Ok(Ok(container)) => {
            let end = attend(engine, &container, &image, job, desk).await;
            // Dropping would remove it, but waits minutes for an engine that hangs, and an environment
            // variable has it do nothing.
            std::mem::forget(container);
            end
        }
        Ok(Err(error)) => Err(not_started(error, image, ports, desk)),
        Err(_) => Err(BrokerError::NotReady {
            from: image,
            waited: job.plan.deadline,
            waited_for: "the engine to start its container",
            found: "it did not".into(),
            log: desk.log.last_lines(),
        }),
    };
    // By the label, since testcontainers forgets a container that did not start.
    docker::remove_containers_of(engine, &job.plan.run).await;
    end
}

fn request(
    image: &str,
    folder: &Folder,
    job: &Job,
    desk: &Desk,
    ports: Ports,
) -> Result<ContainerRequest<GenericImage>, BrokerError> {
    let listeners =
        Listeners { address: Ipv4Addr::UNSPECIFIED, port: PORT, impostor_port: IMPOSTOR_PORT };
    folder.fill(&mosquitto::files(
        Path::new(FOLDER),
        listeners,
        &job.certificates,
        &job.plan.login,
    )?)?;
    let published =
        [(PORT, ports.main), (IMPOSTOR_PORT, ports.impostor)].map(|(inside, outside)| {
            let binding = PortBinding {
                host_ip: Some(job.plan.listen.to_string()),
                host_port: Some(outside.map(|port| port.to_string()).unwrap_or_default()),
            };
            (format!("{inside}/tcp"), Some(vec![binding]))
        });
    let published = HashMap::from(published);
    let log = desk.log.clone();
    let (name, tag) = image::split(image);
    Ok(GenericImage::new(name, tag)
        .with_entrypoint("mosquitto")
        .with_exposed_port(PORT.tcp())
        .with_exposed_port(IMPOSTOR_PORT.tcp())
        .with_wait_for(WaitFor::message_on_stderr(" running"))
        .with_cmd(["-c".to_owned(), format!("{FOLDER}/{}", mosquitto::CONFIG)])
        .with_container_name(format!("hilrig-{}", job.plan.run))
        .with_labels(docker::labels(&job.plan.run))
        .with_startup_timeout(job.plan.deadline)
        // Its files come with their owner, who alone may read them.
        .with_user(rustix::process::geteuid().as_raw().to_string())
        .with_cap_drop("ALL")
        .with_security_opt("no-new-privileges:true")
        .with_host_config_modifier(move |host| {
            host.publish_all_ports = Some(false);
            host.port_bindings = Some(published.clone());
        })
        .with_log_consumer(move |frame: &LogFrame| log.push(frame.bytes()))
        // As one folder: the engine takes as long for a file as for all of them.
        .with_copy_to(FOLDER, folder.path()))
}

fn not_started(error: TestcontainersError, from: String, ports: Ports, desk: &Desk) -> BrokerError {
    let found = why(&error);
    match ports.main {
        Some(port) if found.contains("already allocated") || found.contains("already in use") => {
            BrokerError::PortTaken { port, found }
        }
        _ => BrokerError::NotStarted { from, found, log: desk.log.last_lines() },
    }
}

/// From the moment that it says it runs to its end.
async fn attend(
    engine: &Docker,
    container: &ContainerAsync<GenericImage>,
    image: &str,
    job: &Job,
    desk: &Desk,
) -> Result<End, BrokerError> {
    let started = Instant::now();
    let fault = |waited_for, found| BrokerError::NotReady {
        from: image.to_owned(),
        waited: started.elapsed(),
        waited_for,
        found,
        log: desk.log.last_lines(),
    };
    let published = async {
        let port = container.get_host_port_ipv4(PORT).await?;
        let impostor_port = container.get_host_port_ipv4(IMPOSTOR_PORT).await?;
        Ok::<_, TestcontainersError>((port, impostor_port))
    };
    let (port, impostor_port) =
        published.await.map_err(|error| fault("its published ports", why(&error)))?;
    let answered = tokio::select! {
        answered = prove(job, port, started + job.plan.deadline) => answered,
        () = desk.stopped() => return Err(BrokerError::Stopped),
    };
    if let Err(found) = answered {
        let hint = "(is the engine on another machine, or hilrig in a container itself?)";
        return Err(fault("a CONNACK over TLS", format!("{found} {hint}")));
    }
    let log = container.stderr_to_vec().await.unwrap_or_default();
    let ready = Ready {
        kind: "container",
        from: image.to_owned(),
        version: mosquitto::running_version(&String::from_utf8_lossy(&log)).unwrap_or_default(),
        port,
        impostor_port,
    };
    desk.ready(ready.clone());
    tokio::select! {
        found = ended(engine, container.id()) => Ok(End::Gone(found)),
        () = desk.stopped() => Ok(End::Stopped),
        () = desk.restart_asked() => Ok(End::Restart(ready)),
    }
}

/// Waits for the container's end.
async fn ended(engine: &Docker, id: &str) -> String {
    match docker::until_it_ends(engine, id).await {
        Ok(code) => format!("mosquitto's container ended by itself, {}", docker::exit_code(code)),
        Err(found) => found,
    }
}
