//! Runs a broker from its start to its end.

use std::time::Instant;

use hilrig_core::certify::{Front as Kind, Versions};
use tokio::time::timeout;

use super::facts::InstanceFacts;
use super::folder::Folder;
use super::keeper::Desk;
use super::location::Location;
use super::place::{Place, Ports, bench};
use super::plan::InstancePlan;
use super::proof::Prover;
use super::spawned::{self, Spawned};
use super::{ports, strays};
use crate::descriptions::{BrokerDescription, IMPOSTOR};
use crate::docker;
use crate::error::BrokerError;
use crate::tls::front::Front;

/// So many sets of free ports are tried if another process takes one first.
const TRIES: usize = 5;

/// How a broker that was ready ended.
enum End {
    Stopped,
    Restart,
    Gone(String),
}

/// The rig's own TLS servers before a broker: the set-up's front, and the impostor.
struct Fronts {
    asked_for: Option<Front>,
    impostor: Option<Front>,
}

/// Runs a broker until its end. A broker that is restarted gets the same ports again. Returns the
/// reason if it ended by itself.
pub(super) async fn keep(
    software: &BrokerDescription,
    home: &Location,
    order: &InstancePlan,
    desk: &mut Desk,
) -> Result<Option<String>, BrokerError> {
    software
        .can(&order.tls)
        .map_err(|reason| BrokerError::CannotSetUp { broker: software.title.clone(), reason })?;
    let (found, at) = match (home, &software.container) {
        (Location::Process, _) => (software.find()?, spawned::Place::Here),
        (Location::Container { image, run }, Some(container)) => {
            let no = |found| BrokerError::NoContainer { broker: software.title.clone(), found };
            let engine = docker::connect().await.map_err(no)?;
            let (image, run) = (image.clone(), run.clone());
            (container.found(), spawned::Place::In { engine, image, run })
        }
        (Location::Container { .. }, None) => {
            return Err(bench("start the broker in a container")("no image is described for it"));
        }
    };
    let what = format!("make the broker's folder {}", order.dir.display());
    let folder = Folder::create(order.dir.clone()).map_err(bench(&what))?;
    let place = Place { software, home, order, found, at, folder };
    let kept = place.keep(desk).await;
    strays::end(&order.dir);
    kept
}

impl Place<'_> {
    async fn keep(&self, desk: &mut Desk) -> Result<Option<String>, BrokerError> {
        let (mut running, mut helper, ports) = self.first_start(desk).await?;
        let mut facts = self.facts(&running, &ports, desk).await?;
        let fronts = tokio::select! {
            fronts = self.fronts(&ports) => fronts,
            () = desk.stopped() => Err(BrokerError::Stopped),
        };
        let fronts = match fronts {
            Ok(fronts) => fronts,
            Err(error) => {
                self.stop(Some(&mut running), helper, &ports).await;
                return Err(error);
            }
        };
        if let Some(front) = &fronts.asked_for {
            facts.port = front.port();
        }
        facts.impostor_port = match &fronts.impostor {
            Some(front) => Some(front.port()),
            None => ports.get(IMPOSTOR).copied().filter(|_| self.order.impostor.is_some()),
        };
        loop {
            desk.ready(facts.clone());
            let end = tokio::select! {
                found = running.ended() => End::Gone(found),
                () = desk.stopped() => End::Stopped,
                () = desk.restart_asked() => End::Restart,
            };
            self.stop(Some(&mut running), helper.take(), &ports).await;
            match end {
                End::Stopped => return Ok(None),
                End::Gone(found) => return Ok(Some(found)),
                End::Restart => {
                    desk.restarts_now();
                    let deadline = Instant::now() + self.order.deadline;
                    (running, helper) = self.start(&ports, deadline, desk).await?;
                }
            }
        }
    }

    /// With ports that no other process takes in the meantime.
    async fn first_start(
        &self,
        desk: &Desk,
    ) -> Result<(Spawned, Option<Spawned>, Ports), BrokerError> {
        let deadline = Instant::now() + self.order.deadline;
        let fixed = self.order.port;
        if let Some(port) = fixed
            && let Some(found) = ports::taken(port)
        {
            return Err(BrokerError::PortTaken { port, found });
        }
        let mut free =
            ports::free(&self.order.dir.to_string_lossy()).filter(move |port| Some(*port) != fixed);
        let mut tries = 0;
        loop {
            tries += 1;
            let mqtt = fixed.or_else(|| free.next());
            let names = self.software.ports.iter();
            let others = names.map(|name| Some((name.clone(), free.next()?)));
            let ports: Ports = [mqtt.map(|port| ("mqtt".to_owned(), port))]
                .into_iter()
                .chain(others)
                .collect::<Option<_>>()
                .ok_or_else(|| bench("find free ports for the broker")("none is left"))?;
            tokio::select! {
                written = self.write(&ports, deadline) => written?,
                () = desk.stopped() => return Err(BrokerError::Stopped),
            }
            match self.start(&ports, deadline, desk).await {
                Ok((running, helper)) => return Ok((running, helper, ports)),
                Err(BrokerError::Stopped) => return Err(BrokerError::Stopped),
                Err(error) if tries < TRIES && address_in_use(&desk.log.text()) => {
                    tracing::info!("other ports are tried: {error}");
                    desk.log.restarts_now();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens the TLS fronts of the plan, and checks them like the broker itself.
    async fn fronts(&self, ports: &Ports) -> Result<Fronts, BrokerError> {
        const WHAT: &str = "start the TLS front of the broker";
        let InstancePlan { tls, material, listen, .. } = self.order;
        let behind = self.address(ports["mqtt"]);
        let prover = Prover::new(self.software, self.order, behind).map_err(bench(WHAT))?;
        let impostor = match &self.order.impostor {
            Some(shown) if !self.software.has_impostor_listener() => {
                let versions = Versions::From12;
                let front =
                    Front::open(Kind::Plain, versions, *listen, shown, behind, prover.tls());
                Some(front.await.map_err(bench(WHAT))?)
            }
            _ => None,
        };
        let Some(kind) = tls.front else { return Ok(Fronts { asked_for: None, impostor }) };
        let front = Front::open(kind, tls.versions, *listen, &material.shown, behind, prover.tls());
        let front = front.await.map_err(bench(WHAT))?;
        let asked = prover.through_front(self.address(front.port()));
        match timeout(self.order.deadline, asked.ask()).await {
            Ok(Ok(())) => Ok(Fronts { asked_for: Some(front), impostor }),
            Ok(Err(found)) => Err(bench(WHAT)(format!("asked for a CONNACK, {found:?}"))),
            Err(_) => Err(bench(WHAT)("no CONNACK came through it")),
        }
    }

    async fn facts(
        &self,
        running: &Spawned,
        ports: &Ports,
        desk: &Desk,
    ) -> Result<InstanceFacts, BrokerError> {
        let software = self.software;
        let renderer = self.renderer(ports)?;
        let log = &desk.log;
        Ok(InstanceFacts {
            name: software.name.clone(),
            title: software.title.clone(),
            version: software.version.read(&renderer, log, running).await,
            tls_library: software.tls_library.name.clone(),
            tls_version: software.tls_library.reading.read(&renderer, log, running).await,
            kind: match self.home {
                Location::Process => "process",
                Location::Container { .. } => "container",
            },
            from: self.from(),
            port: ports["mqtt"],
            own_port: ports["mqtt"],
            impostor_port: None,
            seconds: 0.0,
        })
    }
}

/// Its log reports that a port was in use. Every broker's system uses one of these words.
fn address_in_use(log: &str) -> bool {
    let log = log.to_ascii_lowercase();
    ["address already in use", "address in use", "eaddrinuse"]
        .iter()
        .any(|words| log.contains(words))
}
