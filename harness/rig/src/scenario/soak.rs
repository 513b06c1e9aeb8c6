//! `soak`: requests, messages, connections and restarts of the broker in an order that the seed decides,
//! for a time. The order is the same for all boards of a run, as they meet for the restarts. The
//! configuration page is no part of it: between the modes stands a reset, which gives all heap back.

use crate::journal::Stop;
use crate::log::Log;
use crate::main_path::Path;
use crate::pool::Broker;
use crate::scenario::Steps;
use crate::scenario::payload::random_size;
use crate::session::mqtt_mode::Online;

/// Of so many steps in the mean, one is a restart and two are connections.
const STEPS: u64 = 16;

impl Path<'_> {
    pub(super) async fn soak(
        &self,
        steps: &Steps,
        online: &mut Online,
        log: &Log,
        broker: &Broker,
    ) -> Result<(), Stop> {
        steps.begin(self.heap_over_mqtt(online, broker).await?);
        let requests = &self.bench.plan.contract.requests;
        let largest = self.largest_payload(online)?;
        let mut random = self.seeded(steps);
        while steps.more() {
            match random.below(STEPS) {
                0 => self.reconnect(steps, online, log, broker).await?,
                1..3 => self.handshake(steps, online, log, broker).await?,
                3..8 => {
                    let size = random_size(largest, &mut random);
                    self.payload(steps, size, &mut random, online, broker).await?;
                }
                _ => {
                    let request = &requests[random.below(requests.len() as u64) as usize];
                    self.one_request(steps, request, online, broker).await?;
                }
            }
        }
        Ok(())
    }
}
