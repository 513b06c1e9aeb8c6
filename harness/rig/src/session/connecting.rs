//! A board connects to the broker: over the wire that the rig watches, and with what its log reports of it.

use crate::broker_link::BrokerLink;
use crate::connection_reports::{Arrived, ConnectionReports};
use crate::session::Session;
use crate::stop::Stop;
use crate::watch::{Hit, Says};
use crate::wire::Wire;

impl Session<'_> {
    /// The wire that the board is to connect over from now on; `None` where it connects to the broker directly.
    ///
    /// # Errors
    /// A relay gets no port: a rig fault.
    pub(crate) async fn wire(&self, broker: &BrokerLink) -> Result<Option<&Wire>, Stop> {
        let plan = self.plan();
        if self.wire.get().is_none() && !plan.broker_port_is_fixed {
            let wire = Wire::start(plan.listen, &broker.endpoint).await.map_err(Stop::Rig)?;
            let _ = self.wire.set(wire);
        }
        self.expects_connection();
        Ok(self.wire.get())
    }

    /// What arrived at the rig from the board so far.
    pub(crate) fn arrived(&self) -> Arrived {
        Arrived {
            connections: self.wire.get().map(Wire::connections),
            time_requests: self.time.requests(),
        }
    }

    /// The board is to connect from now on, or has just done so: what it reported before is of the past.
    fn expects_connection(&self) {
        let before = self.arrived();
        self.connection.replace(ConnectionReports { before, ..ConnectionReports::default() });
    }

    /// Notes what a line of the boot log reports of the connection.
    pub(crate) fn note_connection(&self, hit: &Hit) {
        if hit.says == Says::Connected {
            return self.expects_connection();
        }
        let mut reports = self.connection.borrow_mut();
        match hit.says {
            Says::AttemptFailed => reports.failed += 1,
            Says::AsksTime => _ = reports.asks_time.get_or_insert(hit.line),
            Says::Offline => {
                reports.offline.get_or_insert_with(|| (hit.line, hit.text.clone()));
            }
            _ => {}
        }
    }
}
