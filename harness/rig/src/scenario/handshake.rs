//! `handshake`: TLS connections in a row. The rig connects to the broker under the board's own client
//! id, so that the broker throws the board out, and the board connects anew.

use crate::journal::Stop;
use crate::log::Log;
use crate::main_path::Path;
use crate::mqtt;
use crate::pool::Broker;
use crate::scenario::Steps;
use crate::session::mqtt_mode::Online;

impl Path<'_> {
    pub(super) async fn handshakes(
        &self,
        steps: &Steps,
        online: &mut Online,
        log: &Log,
        broker: &Broker,
    ) -> Result<(), Stop> {
        steps.begin(self.heap_over_mqtt(online, broker).await?);
        while steps.more() {
            self.handshake(steps, online, log, broker).await?;
        }
        Ok(())
    }

    /// One of them.
    pub(super) async fn handshake(
        &self,
        steps: &Steps,
        online: &mut Online,
        log: &Log,
        broker: &Broker,
    ) -> Result<(), Stop> {
        let mark = log.mark();
        let deadline = self.bench.plan.deadlines.connect;
        let client_id = self.client_id();
        let thrown_out = mqtt::throw_out(&broker.endpoint, &client_id, deadline);
        self.journal.waiting(thrown_out).await.map_err(Stop::Rig)?;
        let free = self.again_online(steps, online, log, broker, mark).await?;
        steps.done(self.journal, "a TLS connection", free);
        Ok(())
    }
}
