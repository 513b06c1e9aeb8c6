//! Where a broker of a case is to run: as a process of this machine, or in a container.

use std::path::Path;

use hilrig_core::config::BrokerKind;
use testcontainers::bollard::Docker;

use crate::descriptions::BrokerDescription;
use crate::docker::{self, image};
use crate::error::BrokerError;
use crate::owner::Owner;

/// Where a broker of a case is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// As a process of this machine, from the registries' packages.
    Process,
    /// In a container of an image that is on the engine.
    Container {
        /// The image.
        image: String,
        /// The run's id. It is a label on the container, so that a later run can find the owner.
        run: String,
    },
}

impl Location {
    /// Where `software` is to run, by the kind in the configuration. Its image is pulled or built, which can take
    /// minutes. With [`BrokerKind::Auto`] `notes` gets a line with the reason why it is no container. `run` is the
    /// run's id.
    ///
    /// # Errors
    /// [`BrokerError::NotInstalled`] or [`BrokerError::NoContainer`].
    pub async fn choose(
        software: &BrokerDescription,
        kind: BrokerKind,
        run: &str,
        notes: &mut dyn FnMut(String),
    ) -> Result<Location, BrokerError> {
        if kind == BrokerKind::Process {
            return software.find().map(|_| Location::Process);
        }
        let found = match image(software, notes).await {
            Ok(image) => return Ok(Location::Container { image, run: run.to_owned() }),
            Err(found) => found,
        };
        if kind == BrokerKind::Container {
            return Err(BrokerError::NoContainer { broker: software.title.clone(), found });
        }
        match software.find() {
            Ok(_) => {
                notes(format!("{} is a process, not in a container: {found}", software.title));
                Ok(Location::Process)
            }
            Err(BrokerError::NotInstalled { broker, missing, install }) => {
                let missing = format!("{missing}; nor can it be had in a container ({found})");
                Err(BrokerError::NotInstalled { broker, missing, install })
            }
            Err(error) => Err(error),
        }
    }
}

/// The image of a broker, on an engine of this machine. The error is the reason why there is none.
async fn image(
    software: &BrokerDescription,
    notes: &mut dyn FnMut(String),
) -> Result<String, String> {
    let container = software.container.as_ref();
    let container = container.ok_or("its description names no image")?;
    let engine = docker::connect().await.map_err(|found| {
        format!("no Docker engine answers: {found}. Start Docker (`systemctl start docker`)")
    })?;
    is_this_machines(&engine).await?;
    // A missing image is named, too, if no image is available.
    let own = software.program.first().filter(|_| container.built_here).map(Path::new);
    image::get(&engine, &container.image, own, notes).await
}

/// The broker uses this machine's files and ports.
async fn is_this_machines(engine: &Docker) -> Result<(), String> {
    let info = engine.info().await.map_err(|error| docker::why(&error))?;
    let host = Owner::me().host;
    let here = host.split_once('/').map_or(&*host, |(name, _)| name);
    match info.name {
        Some(name) if name == here => Ok(()),
        name => Err(format!(
            "the Docker engine is on another machine, {:?}: this one is {here:?}",
            name.unwrap_or_default()
        )),
    }
}
