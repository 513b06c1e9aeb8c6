//! A broker that is ready, and the rig's connection to it.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;

use crate::BrokerEndpoint;
use crate::mqtt::Mqtt;
use crate::stop::Stop;

/// How long a broker whose connection broke may take to report that it ended, and how.
pub(crate) const TO_REPORT: Duration = Duration::from_secs(1);

/// A broker that is ready, with a connection of the rig's own.
#[derive(Clone)]
pub struct BrokerLink {
    /// Where it is.
    pub endpoint: Rc<BrokerEndpoint>,
    /// The rig's connection.
    pub mqtt: Mqtt,
}

/// The state of a pool's broker.
#[derive(Clone)]
pub(crate) enum BrokerState {
    /// It is starting.
    Starting,
    /// It is ready.
    Ready(BrokerLink),
    /// It is gone. The reason, as text.
    Gone(String),
}

/// Watches the broker of a pool.
pub(crate) struct BrokerWatch(pub(crate) watch::Receiver<BrokerState>);

impl BrokerWatch {
    /// The broker, once it is ready.
    pub(crate) async fn ready(&self) -> Result<BrokerLink, Stop> {
        let mut state = self.0.clone();
        let state = state.wait_for(|state| !matches!(state, BrokerState::Starting)).await;
        match state.as_deref() {
            Ok(BrokerState::Ready(broker)) => Ok(broker.clone()),
            Ok(BrokerState::Gone(found)) => Err(Stop::Rig(found.clone())),
            _ => Err(Stop::Rig("the pool has no broker".into())),
        }
    }

    /// The broker, if it is ready now.
    pub(crate) fn ready_now(&self) -> Option<BrokerLink> {
        match &*self.0.borrow() {
            BrokerState::Ready(broker) => Some(broker.clone()),
            BrokerState::Starting | BrokerState::Gone(_) => None,
        }
    }

    /// Resolves, with the reason, when the broker is gone.
    pub(crate) async fn gone(&self) -> String {
        let mut state = self.0.clone();
        match state.wait_for(|state| matches!(state, BrokerState::Gone(_))).await.as_deref() {
            Ok(BrokerState::Gone(found)) => found.clone(),
            _ => std::future::pending().await,
        }
    }
}
