//! The brokers of a certification: those that the rig starts, and one that is already running.

mod board_line;
mod certificate_view;
mod client_files;
mod clients;
mod outside;
mod outside_broker;
mod own;
mod reach;
mod refusal;
mod setup;

use crate::{CaseBroker, CertifyBench, NotSetUp};
use async_trait::async_trait;
use hilrig_core::certify::{BrokerTls, Case};

pub use outside::{Outside, OutsideRequest};
pub use outside_broker::OutsideBroker;
pub use own::{OwnBroker, Workshop};

/// A broker to certify.
pub enum CertifiedBroker {
    /// One that the rig starts.
    Own(OwnBroker),
    /// One that is already running.
    Outside(OutsideBroker),
}

#[async_trait(?Send)]
impl CertifyBench for CertifiedBroker {
    fn name(&self) -> &str {
        match self {
            CertifiedBroker::Own(broker) => broker.name(),
            CertifiedBroker::Outside(broker) => broker.name(),
        }
    }

    fn cannot(&self, case: &Case) -> Option<String> {
        match self {
            CertifiedBroker::Own(broker) => broker.cannot(case),
            CertifiedBroker::Outside(broker) => broker.cannot(case),
        }
    }

    async fn prepare(&self, tls: &BrokerTls) {
        if let CertifiedBroker::Own(broker) = self {
            broker.prepare(tls).await;
        }
    }

    async fn set_up(&self, tls: &BrokerTls) -> Result<Box<dyn CaseBroker>, NotSetUp> {
        Ok(Box::new(match self {
            CertifiedBroker::Own(broker) => broker.set_up(tls).await?,
            CertifiedBroker::Outside(broker) => broker.set_up().await?,
        }))
    }
}
