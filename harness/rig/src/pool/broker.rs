//! The broker of a pool while its boards are at work: started, restarted when all boards wait for it, watched.

use std::rc::Rc;
use std::time::Duration;

use hilrig_core::event::{Events, What};
use hilrig_core::units::Span;
use tokio::sync::watch;

use crate::BrokerEndpoint;
use crate::broker_link::{BrokerLink, BrokerState, TO_REPORT};
use crate::mqtt;
use crate::restart_barrier::RestartBarrier;
use crate::run_broker::RunBroker;

/// The rig's own id at the broker.
const CLIENT_ID: &str = "hilrig-rig";

/// Starts the broker, keeps the rig's connection to it going, and reports when either is gone. `deadline` is how
/// long a start may take.
pub(super) async fn serve(
    broker: &mut RunBroker,
    deadline: Duration,
    events: &Events,
    barrier: &RestartBarrier,
    state: &watch::Sender<BrokerState>,
) {
    let found = match start(broker, deadline, events).await {
        Err(found) => found,
        Ok((ready, mut driver)) => {
            let endpoint = ready.endpoint.clone();
            let _ = state.send(BrokerState::Ready(ready));
            let found = loop {
                tokio::select! {
                    found = broker.gone() => break found,
                    found = driver.run() => {
                        // A broker that ends breaks the connection first, and then reports why.
                        break match tokio::time::timeout(TO_REPORT, broker.gone()).await {
                            Ok(found) => found,
                            Err(_) => format!("the rig's connection to the broker broke: {found}"),
                        };
                    }
                    () = barrier.all_waiting() => {
                        match restart(broker, deadline, &endpoint, &mut driver).await {
                            Ok(()) => barrier.release(),
                            Err(found) => break format!("restarting it: {found}"),
                        }
                    }
                }
            };
            driver.give_up(&found);
            events.run(What::BrokerLost { found: found.clone() });
            format!("the broker is gone: {found}")
        }
    };
    let _ = state.send(BrokerState::Gone(found));
}

/// All boards wait for it, so no board needs the broker meanwhile.
async fn restart(
    broker: &mut RunBroker,
    deadline: Duration,
    endpoint: &BrokerEndpoint,
    driver: &mut mqtt::Driver,
) -> Result<(), String> {
    let restarted = tokio::time::timeout(deadline, broker.restart()).await;
    restarted.map_err(|_| not_ready(deadline))??;
    driver.renew(endpoint, CLIENT_ID, deadline).await
}

async fn start(
    broker: &mut RunBroker,
    deadline: Duration,
    events: &Events,
) -> Result<(BrokerLink, mqtt::Driver), String> {
    let started = tokio::time::timeout(deadline, broker.start()).await;
    let (endpoint, facts) = started.map_err(|_| not_ready(deadline))??;
    let (mqtt, driver) = mqtt::connect(&endpoint, CLIENT_ID, deadline).await?;
    events.run(What::BrokerReady(facts));
    Ok((BrokerLink { endpoint: Rc::new(endpoint), mqtt }, driver))
}

fn not_ready(deadline: Duration) -> String {
    format!("the broker was not ready within {}", Span(deadline))
}
