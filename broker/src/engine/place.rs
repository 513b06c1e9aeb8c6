//! The fixed settings for every start of one broker.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tokio::net::TcpStream;

use super::folder::Folder;
use super::launch::Launch;
use super::location::Location;
use super::plan::InstancePlan;
use super::render::Renderer;
use super::spawned::{self, Spawned};
use crate::descriptions::{BrokerDescription, Container, EndSignal, Found};
use crate::error::BrokerError;

/// Time limit for a helper to end after SIGKILL.
pub(super) const HELPERS_GRACE: Duration = Duration::from_secs(2);

/// Settings that do not change between two starts.
pub(super) struct Place<'a> {
    pub software: &'a BrokerDescription,
    pub home: &'a Location,
    pub order: &'a InstancePlan,
    pub found: Found,
    pub at: spawned::Place,
    pub folder: Folder,
}

/// Ports by name; the one for MQTT is `mqtt`.
pub(super) type Ports = BTreeMap<String, u16>;

impl Place<'_> {
    /// The address at which the rig reaches a port.
    pub(super) fn address(&self, port: u16) -> SocketAddr {
        let at = match self.order.listen {
            Ipv4Addr::UNSPECIFIED => Ipv4Addr::LOCALHOST,
            at => at,
        };
        SocketAddr::from((at, port))
    }

    /// Image or program.
    pub(super) fn from(&self) -> String {
        match self.home {
            Location::Process => self.found.program.display().to_string(),
            Location::Container { image, .. } => image.clone(),
        }
    }

    /// Its settings for a container, if it runs in one.
    pub(super) fn container(&self) -> Option<&Container> {
        match self.home {
            Location::Process => None,
            Location::Container { .. } => self.software.container.as_ref(),
        }
    }

    pub(super) async fn stop(
        &self,
        running: Option<&mut Spawned>,
        helper: Option<Spawned>,
        ports: &Ports,
    ) {
        let end = &self.software.end;
        let signal = match end.signal {
            EndSignal::Term => Signal::TERM,
            EndSignal::Int => Signal::INT,
            EndSignal::Kill => Signal::KILL,
        };
        let grace = Duration::from_secs(end.grace_s);
        let wake = async {
            if end.wake {
                drop(TcpStream::connect(self.address(ports["mqtt"])).await);
            }
        };
        if let Some(running) = running
            && let Some(ending) = running.stop(signal, grace, wake).await
            && !ending.code.is_some_and(|code| end.codes.contains(&code))
            && end.signal != EndSignal::Kill
        {
            tracing::warn!("{} ended with {}", self.software.title, ending.words);
        }
        if let Some(mut helper) = helper {
            // As the first process of a container it would ignore SIGTERM; it has no state to save.
            helper.stop(Signal::KILL, HELPERS_GRACE, async {}).await;
        }
    }

    pub(super) fn renderer(&self, ports: &Ports) -> Result<Renderer, BrokerError> {
        Renderer::new(self.software, self.order, &self.found, ports)
    }

    pub(super) fn launch<'a>(
        &'a self,
        name: &'a str,
        program: &'a Path,
        arguments: Vec<String>,
        renderer: &Renderer,
    ) -> Result<Launch<'a>, BrokerError> {
        let own = self.container().map(|container| &container.environment);
        let environment = self.software.run.environment.iter().chain(own.into_iter().flatten());
        let filled = environment.map(|(name, value)| Ok((name.clone(), renderer.fill(value)?)));
        let environment = filled.collect::<Result<_, BrokerError>>()?;
        Ok(Launch { name, program, arguments, environment, dir: &self.order.dir })
    }
}

/// The arguments after substitution, without empty ones.
pub(super) fn fill(renderer: &Renderer, words: &[String]) -> Result<Vec<String>, BrokerError> {
    let filled = words.iter().map(|word| renderer.fill(word)).collect::<Result<Vec<_>, _>>()?;
    Ok(filled.into_iter().filter(|word| !word.is_empty()).collect())
}

pub(super) fn bench<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> BrokerError {
    let what = what.to_owned();
    move |error| BrokerError::Bench { what: what.clone(), found: error.to_string() }
}
