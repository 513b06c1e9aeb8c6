//! What a case does once its board is connected.

use hilrig_core::certify::{Act, Side, WireSeen};
use hilrig_core::contract::Request;
use hilrig_core::leak::{self, Slope};

use super::bench::CaseBroker;
use super::case::{OnBoard, Share};
use crate::journal::Stop;
use crate::log::Mark;
use crate::mqtt;
use crate::pool::Broker;
use crate::pool::judge;
use crate::session::configuration_mode::mismatch;
use crate::session::mqtt_mode::Online;
use crate::watch::Says;

impl Share<'_> {
    /// Does it, and tells what was found.
    pub(super) async fn act(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
        online: &mut Online,
        rig: &Broker,
    ) -> Result<String, Stop> {
        match on.case.act {
            Act::Connect | Act::AskForMfln | Act::Stall => Ok("connected, and answers".into()),
            Act::LargeMessage(size) => self.large_message(on, size, online, rig).await,
            Act::Reconnects(times) => self.reconnects(on, times, broker, online, rig).await,
            Act::Resume => self.resume(on, broker, online, rig).await,
            Act::Mqtt(behaviour) => self.behave(on, behaviour, broker, online, rig).await,
        }
    }

    /// The board answers a request; its free heap, where the firmware tells it.
    pub(super) async fn alive(
        &self,
        on: &OnBoard<'_>,
        online: &mut Online,
        rig: &Broker,
    ) -> Result<Option<u64>, Stop> {
        let contract = &on.path.bench.plan.contract;
        let heap = contract.heap_request();
        let Some(request) = heap.or(contract.requests.first()) else { return Ok(None) };
        let mark = on.log.mark();
        let reply = tokio::select! {
            reply = on.path.request(online, rig, request) => reply?,
            lost = self.lost(on, mark) => return Err(lost),
        };
        self.free_heap(on, request, &reply)
    }

    fn free_heap(
        &self,
        on: &OnBoard<'_>,
        request: &Request,
        reply: &[u8],
    ) -> Result<Option<u64>, Stop> {
        if let Some(wrong) = mismatch(request, reply) {
            return Err(Stop::Failed(wrong));
        }
        let mut wrong = Vec::new();
        on.path.heap_of(&request.request, reply, &mut wrong);
        if let Some(wrong) = wrong.pop() {
            return Err(Stop::Failed(wrong));
        }
        let Some(fields) = &on.path.bench.plan.contract.heap.reply else { return Ok(None) };
        if fields.request != request.request {
            return Ok(None);
        }
        let samples = judge::heap_of_reply(fields, reply).map_err(Stop::Failed)?;
        Ok(samples.last().and_then(|sample| sample.free))
    }

    /// Resolves when the log says that the connection broke.
    pub(super) async fn lost(&self, on: &OnBoard<'_>, mark: Mark) -> Stop {
        let lost = on.log.comes(mark, |hit| match hit.says {
            Says::TlsError | Says::AttemptFailed | Says::Connected => Some(hit.text.clone()),
            _ => None,
        });
        match lost.await {
            Ok(found) => Stop::Failed(format!("the connection broke: `{}`", found.answer)),
            Err(missed) => on.path.missed(missed, "the board's reply", on.path.reply_deadline()),
        }
    }

    async fn large_message(
        &self,
        on: &OnBoard<'_>,
        size: usize,
        online: &mut Online,
        rig: &Broker,
    ) -> Result<String, Stop> {
        let refusal = on.path.bench.plan.contract.invalid.reply.as_ref();
        online.publish(rig, vec![b'x'; size]).await.map_err(Stop::Rig)?;
        online.may_be_refused(refusal.cloned());
        self.alive(on, online, rig).await?;
        let how = if online.was_refused() { "refused" } else { "dropped" };
        Ok(format!("a message of {size} B was {how}, and the board is there behind it"))
    }

    async fn reconnects(
        &self,
        on: &OnBoard<'_>,
        times: u32,
        broker: &mut dyn CaseBroker,
        online: &mut Online,
        rig: &Broker,
    ) -> Result<String, Stop> {
        let mut free = Vec::new();
        for time in 0..times {
            self.cut(on, broker, online).await?;
            let now = self.alive(on, online, rig).await?;
            free.extend(now.map(|now| (f64::from(time), now as f64)));
        }
        let Some(slope) = Slope::of(&free) else {
            return Ok(format!("came back {times} times of {times}; its free heap was not told"));
        };
        let (first, last) = (free[0].1, free[free.len() - 1].1);
        let found = format!("came back {times} times of {times}; free heap {first} to {last} B");
        match slope.surely_fell() <= leak::ALLOWED {
            true => Ok(found),
            false => Err(Stop::Failed(format!("{found}: it leaks"))),
        }
    }

    async fn resume(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
        online: &mut Online,
        rig: &Broker,
    ) -> Result<String, Stop> {
        self.cut(on, broker, online).await?;
        self.alive(on, online, rig).await?;
        let cut = resumed(broker.seen().wire.last());
        // A second client of its id has the broker close the board's connection.
        let mark = on.log.mark();
        let deadlines = &on.path.bench.plan.deadlines;
        let id = on.path.client_id();
        let thrown_out = mqtt::throw_out(&rig.endpoint, &id, deadlines.connect);
        on.path.journal.waiting(thrown_out).await.map_err(Stop::Rig)?;
        let back = on.path.connected(on.log, mark);
        let closed = match tokio::time::timeout(on.path.reply_deadline(), back).await {
            Ok(back) => {
                back?;
                online.reconnected();
                let seen = broker.seen();
                let how = match seen.wire.iter().rev().nth(1) {
                    Some(wire) if closed_in_order(wire) => "after the broker's orderly close",
                    _ => "after the broker's close without close_notify",
                };
                format!("{how}: {}", resumed(seen.wire.last()))
            }
            Err(_) => "after an orderly close: not measured, for the broker lets a second client of the board's id in beside it".into(),
        };
        self.alive(on, online, rig).await?;
        Ok(format!("after a cut: {cut}; {closed}"))
    }

    /// Cuts the board's connection and waits until it is back.
    pub(super) async fn cut(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
        online: &mut Online,
    ) -> Result<(), Stop> {
        let mark = on.log.mark();
        broker.cut();
        on.path.connected(on.log, mark).await?;
        online.reconnected();
        Ok(())
    }
}

/// Whether a session was resumed, in words.
fn resumed(wire: Option<&WireSeen>) -> &'static str {
    let offered = wire.and_then(|wire| wire.offered.as_ref()).is_some_and(|o| o.session_id);
    match (wire.is_some_and(|wire| wire.resumed), offered) {
        (true, _) => "the session was resumed by its id",
        (false, true) => "the session was offered by its id, and not resumed",
        (false, false) => "the broker gave the session no id, so that none was offered",
    }
}

/// The broker closed it, with an alert before the end.
fn closed_in_order(wire: &WireSeen) -> bool {
    let alert = wire.alerts.iter().find(|alert| alert.from == Side::Broker);
    wire.broke_off == Some(Side::Broker) && alert.is_some()
}
