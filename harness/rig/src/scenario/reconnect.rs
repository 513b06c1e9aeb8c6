//! `reconnect`: the broker goes away and comes back, with the same certificates, port and login. It is
//! shared by all boards of the run, so that they meet for each restart.

use crate::journal::Stop;
use crate::log::Log;
use crate::main_path::Path;
use crate::pool::Broker;
use crate::scenario::Steps;
use crate::session::mqtt_mode::Online;

impl Path<'_> {
    pub(super) async fn reconnects(
        &self,
        steps: &Steps,
        online: &mut Online,
        log: &Log,
        broker: &Broker,
    ) -> Result<(), Stop> {
        steps.begin(self.heap_over_mqtt(online, broker).await?);
        while steps.more() {
            self.reconnect(steps, online, log, broker).await?;
        }
        Ok(())
    }

    /// One restart.
    pub(super) async fn reconnect(
        &self,
        steps: &Steps,
        online: &mut Online,
        log: &Log,
        broker: &Broker,
    ) -> Result<(), Stop> {
        let mark = log.mark();
        self.journal.doing("waited for the other boards and the broker's restart");
        broker.mqtt.away();
        self.journal.with_others(self.participant.wait_for_restart()).await;
        self.journal.waiting(broker.mqtt.renewed()).await.map_err(Stop::Rig)?;
        let free = self.again_online(steps, online, log, broker, mark).await?;
        steps.done(self.journal, "a restart of the broker", free);
        Ok(())
    }
}
