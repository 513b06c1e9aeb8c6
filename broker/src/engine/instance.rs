//! A broker, from start to stop.

use std::sync::Arc;
use std::time::Instant;

use hilrig_core::text::Secrets;

use super::facts::InstanceFacts;
use super::keeper::{Desk, Keeper};
use super::location::Location;
use super::log_tail::LogTail;
use super::plan::InstancePlan;
use super::serve;
use crate::descriptions::BrokerDescription;
use crate::error::BrokerError;
use crate::login::Login;

/// A broker that answers. Dropping stops it and waits for its end; [`stop`](Instance::stop) does the same without
/// blocking. No process and no file remains.
pub struct Instance {
    software: Arc<BrokerDescription>,
    order: InstancePlan,
    facts: InstanceFacts,
    keeper: Keeper,
}

impl Instance {
    /// Starts a broker and returns when it has answered over TLS, with the certificate of the order, with a CONNACK.
    /// Dropping the returned future cleans up everything that was started, and blocks until then.
    ///
    /// # Errors
    /// [`BrokerError`], with what was tried, what was found, and what to do.
    pub async fn start(
        software: Arc<BrokerDescription>,
        home: Location,
        order: InstancePlan,
    ) -> Result<Instance, BrokerError> {
        let started = Instant::now();
        let hint = software.ready.log.as_ref().map(|pattern| pattern.0.clone());
        let secrets = Secrets::default().and_login(&order.login.user, &order.login.password);
        let log = LogTail::new(
            Box::new(move |line| hint.as_ref().is_some_and(|hint| hint.is_match(line))),
            secrets,
        );
        let keepers = (software.clone(), order.clone());
        let work = async move |desk: &mut Desk| {
            let (software, order) = &keepers;
            serve::keep(software, &home, order, desk).await
        };
        let mut keeper = Keeper::start(log, work).map_err(|error| BrokerError::Bench {
            what: "start the broker's thread".into(),
            found: error.to_string(),
        })?;
        let mut facts = ready(&mut keeper).await?;
        facts.seconds = started.elapsed().as_secs_f64();
        Ok(Instance { software, order, facts, keeper })
    }

    /// Stops the broker and starts it again with the same files, certificates and ports. Returns
    /// when it answers again.
    ///
    /// # Errors
    /// As of [`start`](Instance::start); then there is no broker any more.
    pub async fn restart(&mut self) -> Result<(), BrokerError> {
        self.keeper.restart();
        ready(&mut self.keeper).await.map(drop)
    }

    /// Facts about it.
    pub fn facts(&self) -> &InstanceFacts {
        &self.facts
    }

    /// Which broker it is.
    pub fn software(&self) -> &BrokerDescription {
        &self.software
    }

    /// Its settings.
    pub fn order(&self) -> &InstancePlan {
        &self.order
    }

    /// Its port for MQTT over TLS, or that of the TLS front.
    pub fn port(&self) -> u16 {
        self.facts.port
    }

    /// The accepted login; `None` if every client is accepted.
    pub fn login(&self) -> Option<&Login> {
        self.software.can_ask_for_login().is_ok().then_some(&self.order.login)
    }

    /// Resolves with the reason when the broker ends by itself. Never resolves if it is stopped.
    pub fn gone(&self) -> impl Future<Output = String> + use<> {
        self.keeper.gone()
    }

    /// The end of its log, bounded, every line printable.
    pub fn log(&self) -> String {
        self.keeper.log.text()
    }

    /// Stops it and returns when nothing of it remains. A second call does nothing.
    pub async fn stop(&mut self) {
        self.keeper.stop().await;
    }
}

async fn ready(keeper: &mut Keeper) -> Result<InstanceFacts, BrokerError> {
    keeper.ready().await.unwrap_or_else(|| {
        Err(BrokerError::Bench {
            what: "look after the broker".into(),
            found: "its thread ended without a word; this is a bug in hilrig".into(),
        })
    })
}
