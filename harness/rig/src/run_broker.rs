//! The broker of a run: started, restarted, watched and stopped.

use std::net::Ipv4Addr;

use async_trait::async_trait;
use hilrig_broker::{Broker, BrokerPlan};
use hilrig_core::event::{BrokerFacts, Events, What};

use crate::BrokerEndpoint;
use crate::pool::bench_broker::BenchBroker;

/// The broker of the run, as the runner knows it.
pub struct RunBroker {
    plan: Option<BrokerPlan>,
    broker: Option<Broker>,
    events: Events,
}

impl RunBroker {
    /// The broker of this plan. Notes of how it starts go to `events`.
    pub fn new(plan: BrokerPlan, events: Events) -> RunBroker {
        RunBroker { plan: Some(plan), broker: None, events }
    }
}

#[async_trait(?Send)]
impl BenchBroker for RunBroker {
    async fn start(&mut self) -> Result<(BrokerEndpoint, BrokerFacts), String> {
        let plan = self.plan.take().ok_or("the broker was started already")?;
        let events = self.events.clone();
        let mut note = move |text| events.run(What::Note { text });
        let broker = Broker::start(plan, &mut note).await.map_err(|error| error.to_string())?;
        let (user, password) = broker.credentials();
        let endpoint = BrokerEndpoint {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: broker.port(),
            impostor_port: broker.impostor_port(),
            ca_der: broker.ca_der().to_vec(),
            second_ca_der: None,
            leaves: Vec::new(),
            plain: None,
            server_name: broker.server_name().into(),
            credentials: Some((user.into(), password.into())),
            client_certificate: None,
        };
        let facts = broker.facts();
        self.broker = Some(broker);
        Ok((endpoint, facts))
    }

    async fn restart(&mut self) -> Result<(), String> {
        let broker = self.broker.as_mut().ok_or("the broker was never started")?;
        let mut note = |text| self.events.run(What::Note { text });
        broker.restart(&mut note).await.map_err(|error| error.to_string())
    }

    async fn gone(&mut self) -> String {
        match &self.broker {
            Some(broker) => broker.gone().await,
            None => std::future::pending().await,
        }
    }

    async fn stop(&mut self) {
        if let Some(broker) = &mut self.broker {
            broker.stop().await;
        }
    }
}
