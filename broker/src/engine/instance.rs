//! A broker of a case, from start to stop.

use std::time::Instant;

use hilrig_core::text::Secrets;

use super::keeper::{self, Keeper};
use super::log_tail::LogTail;
use super::{Order, serve};
use crate::plan::Login;
use crate::start_error::StartError;

/// A broker that answers. Dropping ends it and waits for that; [`stop`](Instance::stop) does the same
/// without blocking. Nothing of it is left: no process, no file.
pub struct Instance {
    order: Order,
    facts: InstanceFacts,
    keeper: Keeper<InstanceFacts, StartError>,
}

/// What is known of a broker that answers.
#[derive(Clone, Debug)]
pub struct InstanceFacts {
    /// Its name.
    pub name: String,
    /// As its makers write it.
    pub title: String,
    /// Its version, if it told.
    pub version: Option<String>,
    /// Its TLS library.
    pub tls_library: String,
    /// The version of that, if it could be read.
    pub tls_version: Option<String>,
    /// `container` or `process`.
    pub kind: &'static str,
    /// Image or program.
    pub from: String,
    /// The port that it listens at, or what stands before it does.
    pub port: u16,
    /// Its own port, where something stands before it at `port`.
    pub own_port: u16,
    /// From the start to the CONNACK, seconds.
    pub seconds: f64,
}

pub(super) type Desk = keeper::Desk<InstanceFacts, StartError>;

impl Instance {
    /// Starts a broker and returns when it answered over TLS, with the certificate of the order, with a
    /// CONNACK. Giving up the returned future takes back whatever was started, and blocks for that.
    ///
    /// # Errors
    /// [`StartError`], which says what was tried, what was found, and what to do.
    pub async fn start(order: Order) -> Result<Instance, StartError> {
        let started = Instant::now();
        let hint = order.software.ready.log.as_ref().map(|pattern| pattern.0.clone());
        let secrets = Secrets::default().and_login(&order.login.user, &order.login.password);
        let log = LogTail::new(
            Box::new(move |line| hint.as_ref()?.find(line).map(|found| found.as_str().to_owned())),
            secrets,
        );
        let keepers = order.clone();
        let work = async move |desk: &mut Desk| serve::keep(&keepers, desk).await;
        let mut keeper = Keeper::start(log, work).map_err(|error| StartError::Bench {
            what: "start the broker's thread".into(),
            found: error.to_string(),
        })?;
        let mut facts = ready(&mut keeper).await?;
        facts.seconds = started.elapsed().as_secs_f64();
        Ok(Instance { order, facts, keeper })
    }

    /// Ends the broker and starts it anew: the same files, certificates and ports. Returns when it
    /// answers again.
    ///
    /// # Errors
    /// As of [`start`](Instance::start); then there is no broker any more.
    pub async fn restart(&mut self) -> Result<(), StartError> {
        self.keeper.restart();
        ready(&mut self.keeper).await.map(drop)
    }

    /// What it is.
    pub fn facts(&self) -> &InstanceFacts {
        &self.facts
    }

    /// What was asked of it.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Its port for MQTT over TLS, or the one of what stands before it.
    pub fn port(&self) -> u16 {
        self.facts.port
    }

    /// Who is let in; `None` if everybody is.
    pub fn login(&self) -> Option<&Login> {
        self.order.software.can_ask_for_login().is_ok().then_some(&self.order.login)
    }

    /// Resolves with what was found when the broker ends by itself. Never does if it is stopped.
    pub fn gone(&self) -> impl Future<Output = String> + use<> {
        self.keeper.gone()
    }

    /// The end of its log, bounded, every line printable.
    pub fn log(&self) -> String {
        self.keeper.log.text()
    }

    /// Stops it and returns when nothing of it is left. A second time does nothing.
    pub async fn stop(&mut self) {
        self.keeper.stop().await;
    }
}

async fn ready(
    keeper: &mut Keeper<InstanceFacts, StartError>,
) -> Result<InstanceFacts, StartError> {
    let mut notes = |note| tracing::info!("{note}");
    keeper.ready(&mut notes).await.unwrap_or_else(|| {
        Err(StartError::Bench {
            what: "look after the broker".into(),
            found: "its thread ended without a word; this is a bug in hilrig".into(),
        })
    })
}
