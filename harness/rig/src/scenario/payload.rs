//! `payload`: MQTT messages of random bytes, up to the largest that the firmware takes and over it. It
//! must refuse them, or drop those that are too large, and live on.

use hilrig_core::seeded::Seeded;

use crate::journal::Stop;
use crate::main_path::Path;
use crate::pool::Broker;
use crate::scenario::Steps;
use crate::session::mqtt_mode::Online;

/// Far over any buffer of a board, and below what the broker takes, 64 KiB. Bytes.
const FAR_OVER: [usize; 2] = [4096, 32 * 1024];

impl Path<'_> {
    pub(super) async fn payloads(
        &self,
        steps: &Steps,
        online: &mut Online,
        broker: &Broker,
    ) -> Result<(), Stop> {
        steps.begin(self.heap_over_mqtt(online, broker).await?);
        let mut random = self.seeded(steps);
        let largest = self.largest_payload(online)?;
        let mut edges = edges(largest).into_iter();
        while steps.more() {
            let size = edges.next().unwrap_or_else(|| random_size(largest, &mut random));
            self.payload(steps, size, &mut random, online, broker).await?;
        }
        Ok(())
    }

    /// One message, and what shows that the board lives on.
    pub(super) async fn payload(
        &self,
        steps: &Steps,
        size: usize,
        random: &mut Seeded,
        online: &mut Online,
        broker: &Broker,
    ) -> Result<(), Stop> {
        let refusal = self.bench.plan.contract.invalid.reply.as_ref();
        let fits = size <= self.largest_payload(online)?;
        let text = format!("a message of {size} B");
        online.publish(broker, random.bytes(size)).await.map_err(Stop::Rig)?;
        online.may_be_refused(refusal.cloned());
        let free = self.settled_heap(steps, online, broker).await.map_err(|stop| match stop {
            Stop::Failed(why) => Stop::Failed(format!("{text}: {why}")),
            stop => stop,
        })?;
        let refused = online.was_refused();
        if fits && refusal.is_some() && !refused {
            return Err(Stop::Failed(format!("{text} was not refused, and it fits")));
        }
        let how = if refused { "refused" } else { "dropped" };
        steps.done(self.journal, format!("{text}, {how}"), free);
        Ok(())
    }

    /// The largest payload that the firmware takes on the board's topic, bytes.
    pub(super) fn largest_payload(&self, online: &Online) -> Result<usize, Stop> {
        let largest = self.bench.plan.contract.largest_publish.ok_or_else(|| {
            let why = "the contract does not say what the firmware takes (mqtt.largest_publish)";
            Stop::Rig(why.into())
        })?;
        Ok(largest.saturating_sub(2 + online.topic().len()))
    }

    pub(super) fn seeded(&self, steps: &Steps) -> Seeded {
        Seeded::new(self.bench.plan.seed, steps.asked.scenario.name())
    }
}

/// The sizes that are always among them.
fn edges(largest: usize) -> Vec<usize> {
    let mut edges = vec![0, 1, largest.saturating_sub(1), largest, largest + 1, 2 * largest];
    edges.extend(FAR_OVER);
    edges
}

/// A size up to twice the largest.
pub(super) fn random_size(largest: usize, random: &mut Seeded) -> usize {
    random.below(2 * largest as u64 + 1) as usize
}
