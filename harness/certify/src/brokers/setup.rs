//! A broker set up for cases, with the line to it.

use std::time::Duration;

use crate::{CaseBroker, Seen, Trust};
use async_trait::async_trait;
use hilrig::BrokerEndpoint;
use hilrig_broker::clients::Tunnel;
use hilrig_broker::{FORBIDDEN, Instance};
use hilrig_core::certify::certificate::OtherClient;
use hilrig_core::certify::{Case, CaseResult, Line};
use hilrig_core::event::BrokerFacts;
use tokio::net::TcpStream;

use super::board_line::BoardLine;
use super::clients::{self, ClientsSetup};
use super::outside::Outside;

/// A broker set up for cases, with the line to it.
pub(super) struct CaseSetup {
    pub rig: ClientsSetup,
    pub endpoint: BrokerEndpoint,
    pub trust: Trust,
    pub line: BoardLine,
    pub facts: BrokerFacts,
    pub side: Side,
}

/// Who runs the broker.
pub(super) enum Side {
    /// The rig's own.
    Own(Box<Instance>),
    /// One that is already running.
    Outside {
        what: Box<Outside>,
        /// How the rig's own clients connect if rustls cannot.
        _tunnel: Option<Tunnel>,
    },
}

#[async_trait(?Send)]
impl CaseBroker for CaseSetup {
    fn facts(&self) -> BrokerFacts {
        self.facts.clone()
    }

    fn tls_library(&self) -> Option<String> {
        let Side::Own(instance) = &self.side else { return None };
        let facts = instance.facts();
        let version = facts.tls_version.iter().flat_map(|version| [" ", version.as_str()]);
        Some([facts.tls_library.as_str()].into_iter().chain(version).collect())
    }

    fn endpoint(&self) -> &BrokerEndpoint {
        &self.endpoint
    }

    fn forbidden(&self) -> Option<&str> {
        match &self.side {
            Side::Own(instance) => {
                instance.software().can_forbid_topics().is_ok().then_some(FORBIDDEN)
            }
            Side::Outside { .. } => None,
        }
    }

    fn trust(&self) -> &Trust {
        &self.trust
    }

    async fn begin(&mut self, line: Line) -> Result<u16, String> {
        self.line.begin(line).await
    }

    fn cut(&self) {
        self.line.cut();
    }

    async fn hang_up(&mut self) {
        self.line.hang_up();
    }

    fn seen(&self) -> Seen {
        self.line.seen()
    }

    async fn other_clients(&self, case: &Case) -> Vec<OtherClient> {
        let upstream = self.line.upstream();
        clients::other_clients(&self.rig, upstream, &self.endpoint, &self.trust, case).await
    }

    async fn ask_for_mfln(&self) -> Result<String, String> {
        clients::mfln(&self.rig, self.line.upstream(), &self.endpoint).await
    }

    async fn stall(&self) -> Result<String, String> {
        clients::stall(&self.rig, self.line.upstream(), &self.endpoint, &self.trust).await
    }

    async fn why_refused(&self, result: &CaseResult) -> Option<String> {
        match &self.side {
            Side::Own(_) => None,
            Side::Outside { what, .. } => what.why_refused(result),
        }
    }

    async fn restart(&mut self) -> Result<(), String> {
        match &mut self.side {
            Side::Own(instance) => instance.restart().await.map_err(|error| error.to_string()),
            Side::Outside { .. } => Err("the rig does not control this broker".into()),
        }
    }

    /// A broker that is already running is checked again only when it is set up for other cases. If it went away
    /// meanwhile, the boards' refusals show it.
    async fn gone(&mut self) -> Option<String> {
        if let Side::Own(instance) = &self.side {
            return tokio::time::timeout(Duration::ZERO, instance.gone()).await.ok();
        }
        let connecting = TcpStream::connect(self.line.upstream());
        match tokio::time::timeout(self.rig.deadline, connecting).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no connection within the deadline".into()),
        }
    }

    async fn stop(mut self: Box<Self>) {
        self.line.hang_up();
        if let Side::Own(instance) = &mut self.side {
            instance.stop().await;
        }
    }
}
