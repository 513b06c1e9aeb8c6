//! The wire between the board and the broker of the pool.

use crate::broker_link::BrokerLink;
use crate::relay_pair::RelayPair;
use crate::session::Session;
use crate::stop::Stop;

/// The ports that a board gets for the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerPorts {
    /// The broker's listener.
    pub broker: u16,
    /// The listener whose certificate another CA signed.
    pub impostor: u16,
}

impl Session<'_> {
    /// The ports that the board is to connect to now: those of the rig's relays, which see what arrives, or the
    /// broker's own where its port is fixed.
    ///
    /// # Errors
    /// A relay gets no port: a rig fault.
    pub async fn ports_of(&self, broker: &BrokerLink) -> Result<BrokerPorts, Stop> {
        let plan = self.plan();
        let endpoint = &broker.endpoint;
        if self.relays.get().is_none() && !plan.broker_port_is_fixed {
            let relays = RelayPair::start(plan.listen, endpoint).await.map_err(Stop::Rig)?;
            let _ = self.relays.set(relays);
        }
        self.connects();
        Ok(match self.relays.get() {
            Some(relays) => BrokerPorts { broker: relays.port(), impostor: relays.impostor_port() },
            None => BrokerPorts { broker: endpoint.port, impostor: endpoint.impostor_port },
        })
    }

    /// The board is to connect from now on, or reports that it has.
    pub(crate) fn connects(&self) {
        let arrived = self.relays.get().map(RelayPair::connections);
        self.journal.connects(arrived, self.time_requests());
    }

    /// Requests for the time that arrived from the board so far.
    pub(crate) fn time_requests(&self) -> u64 {
        self.web_server.get().map_or(0, |board| self.time.requests_from(board.ip()))
    }
}
