//! The action of a case after its board is connected.

use std::time::Duration;

use hilrig_core::certify::{Act, Side, WireSeen};
use hilrig_core::contract::Request;
use hilrig_core::leak::{self, Slope};

use super::bench::CaseBroker;
use super::on_board::{BoardCases, OnBoard};
use hilrig::Stop;
use hilrig::log::Mark;
use hilrig::mismatch;
use hilrig::mqtt;
use hilrig::session::mqtt_mode::Online;
use hilrig::watch::Says;

impl BoardCases<'_> {
    /// Runs it and returns what was found.
    pub(super) async fn act(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
        online: &mut Online,
    ) -> Result<String, Stop> {
        match on.case.act {
            Act::Connect | Act::AskForMfln | Act::Stall => Ok("connected, and answers".into()),
            Act::LargeMessage(size) => self.large_message(on, size, online).await,
            Act::Reconnects(times) => self.reconnects(on, times, broker, online).await,
            Act::Resume => self.resume(on, broker, online).await,
            Act::Mqtt(behaviour) => self.behave(on, behaviour, broker, online).await,
        }
    }

    /// Checks that the board answers a request. Returns its free heap if the firmware reports it.
    pub(super) async fn alive(
        &self,
        on: &OnBoard<'_>,
        online: &mut Online,
    ) -> Result<Option<u64>, Stop> {
        let contract = on.session.contract();
        let heap = contract.heap_request();
        let Some(request) = heap.or(contract.requests.first()) else { return Ok(None) };
        let mark = on.session.log.mark();
        let reply = tokio::select! {
            reply = on.session.mqtt_request(online, request) => reply?,
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
        on.session.note_heap(&request.request, reply).map_err(Stop::Failed)
    }

    /// Resolves when the log reports that the connection broke.
    pub(super) async fn lost(&self, on: &OnBoard<'_>, mark: Mark) -> Stop {
        // The line may never appear.
        let lost =
            on.session.wait_for(mark, Duration::MAX, "the board's reply", |hit| match hit.says {
                Says::TlsError | Says::AttemptFailed | Says::Connected => Some(hit.text.clone()),
                _ => None,
            });
        match lost.await {
            Ok(found) => Stop::Failed(format!("the connection broke: `{}`", found.answer)),
            Err(stop) => stop,
        }
    }

    async fn large_message(
        &self,
        on: &OnBoard<'_>,
        size: usize,
        online: &mut Online,
    ) -> Result<String, Stop> {
        let refusal = on.session.contract().invalid.reply.as_ref();
        online.publish(vec![b'x'; size]).await?;
        online.may_be_refused(refusal.cloned());
        self.alive(on, online).await?;
        let how = if online.was_refused() { "refused" } else { "dropped" };
        Ok(format!("a message of {size} B was {how}, and the board is there behind it"))
    }

    async fn reconnects(
        &self,
        on: &OnBoard<'_>,
        times: u32,
        broker: &mut dyn CaseBroker,
        online: &mut Online,
    ) -> Result<String, Stop> {
        let mut free = Vec::new();
        for time in 0..times {
            self.cut(on, broker, online).await?;
            let now = self.alive(on, online).await?;
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
    ) -> Result<String, Stop> {
        self.cut(on, broker, online).await?;
        self.alive(on, online).await?;
        let cut = resumed(broker.seen().wire.last());
        // A second client with the same id makes the broker close the board's connection.
        let mark = on.session.log.mark();
        let deadlines = &on.session.plan().deadlines;
        let id = on.session.client_id();
        let take_over = mqtt::take_over(&online.link().endpoint, &id, deadlines.connect);
        on.session.journal.waiting(take_over).await.map_err(Stop::Rig)?;
        let back = on.session.wait_until_connected(mark);
        let closed = match tokio::time::timeout(on.session.reply_deadline(), back).await {
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
        self.alive(on, online).await?;
        Ok(format!("after a cut: {cut}; {closed}"))
    }

    /// Cuts the board's connection and waits until the board reconnects.
    pub(super) async fn cut(
        &self,
        on: &OnBoard<'_>,
        broker: &mut dyn CaseBroker,
        online: &mut Online,
    ) -> Result<(), Stop> {
        let mark = on.session.log.mark();
        broker.cut();
        on.session.wait_until_connected(mark).await?;
        online.reconnected();
        Ok(())
    }
}

/// Whether a session was resumed, as text.
fn resumed(wire: Option<&WireSeen>) -> &'static str {
    let offered = wire.and_then(|wire| wire.offered.as_ref()).is_some_and(|o| o.session_id);
    match (wire.is_some_and(|wire| wire.resumed), offered) {
        (true, _) => "the session was resumed by its id",
        (false, true) => "the session was offered by its id, and not resumed",
        (false, false) => "the broker gave the session no id, so that none was offered",
    }
}

/// Whether the broker closed it, after sending an alert.
fn closed_in_order(wire: &WireSeen) -> bool {
    let alert = wire.alerts.iter().find(|alert| alert.from == Side::Broker);
    wire.broke_off == Some(Side::Broker) && alert.is_some()
}
