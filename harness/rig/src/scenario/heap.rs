//! The free heap after a step of a scenario.

use std::time::{Duration, Instant};

use hilrig_core::heap::HeapSample;

use super::steps::{SETTLES, Steps};
use crate::heap_figures;
use crate::log::Mark;
use crate::replies::{invalid, mismatch};
use crate::session::Session;
use crate::session::mqtt_mode::Online;
use crate::stop::Stop;

/// A heap that is lower than after the step before is read again after this time, then after twice as long each
/// time.
const AGAIN: Duration = Duration::from_millis(20);
/// The longest time between two of them.
const AGAIN_MOST: Duration = Duration::from_millis(500);

/// The heap at the moment of a reply.
#[derive(Clone, Copy)]
struct HeapNow {
    free: u64,
    sample: HeapSample,
    noted: bool,
}

/// The board has lost its connection, and connects again. Returns the free heap after that, bytes.
pub(super) async fn online_again(
    session: &Session<'_>,
    steps: &Steps,
    online: &mut Online,
    mark: Mark,
) -> Result<Option<u64>, Stop> {
    session.wait_until_connected(mark).await?;
    online.reconnected();
    steps.reconnected();
    // The first request is repeated until it is answered, and further answers to it come late. A refusal is not
    // taken for the answer to the next request.
    if let Some(knock) = invalid(session.contract()).next() {
        let (reply, _) = session.mqtt_request_quiet(online, &knock).await?;
        if let Some(wrong) = mismatch(&knock, &reply) {
            return Err(Stop::Failed(wrong));
        }
    }
    settled_heap(session, steps, online).await
}

/// The free heap after a step, bytes. Data in transit lowers it, so the request is repeated while the value is lower
/// than after the step before, for at most [`SETTLES`]; the highest value counts.
pub(super) async fn settled_heap(
    session: &Session<'_>,
    steps: &Steps,
    online: &mut Online,
) -> Result<Option<u64>, Stop> {
    let since = Instant::now();
    let mut settled = reply_over_mqtt(session, online).await?;
    let mut again = AGAIN;
    while settled.is_some_and(|now| steps.below_last(now.free)) && since.elapsed() < SETTLES {
        session.journal.waiting(tokio::time::sleep(again)).await;
        again = (again * 2).min(AGAIN_MOST);
        let next = reply_over_mqtt(session, online).await?;
        let free = |now: &Option<HeapNow>| now.map(|now| now.free);
        settled = if free(&next) > free(&settled) { next } else { settled };
    }
    Ok(counts(session, settled))
}

/// The free heap over MQTT, bytes; `None` where no reply of the firmware has it.
pub(super) async fn heap_over_mqtt(
    session: &Session<'_>,
    online: &mut Online,
) -> Result<Option<u64>, Stop> {
    Ok(counts(session, reply_over_mqtt(session, online).await?))
}

/// The free heap over HTTP, bytes; `None` where no reply of the firmware has it.
pub(super) async fn heap_over_http(session: &Session<'_>) -> Result<Option<u64>, Stop> {
    let Some(request) = session.contract().heap_request() else { return Ok(None) };
    let reply = session.http_request_quiet(&request.request).await?;
    if let Some(wrong) = mismatch(request, &reply) {
        return Err(Stop::Failed(wrong));
    }
    Ok(counts(session, heap_now(session, &reply)?))
}

async fn reply_over_mqtt(
    session: &Session<'_>,
    online: &mut Online,
) -> Result<Option<HeapNow>, Stop> {
    let Some(request) = session.contract().heap_request() else { return Ok(None) };
    let (reply, _) = session.mqtt_request_quiet(online, request).await?;
    if let Some(wrong) = mismatch(request, &reply) {
        return Err(Stop::Failed(wrong));
    }
    heap_now(session, &reply)
}

/// The current sample of a reply. A value that lowers the figures of a phase is noted at once. A reply without news
/// is noted where it [counts]: a soak would fill the record with it.
fn heap_now(session: &Session<'_>, reply: &[u8]) -> Result<Option<HeapNow>, Stop> {
    let Some(fields) = &session.contract().heap.reply else { return Ok(None) };
    let mut now = None;
    for sample in heap_figures::of_reply(fields, reply).map_err(Stop::Failed)? {
        let noted = session.journal.lows().worse_by(&sample);
        if noted {
            session.journal.heap(sample);
        }
        now = sample.free.map(|free| HeapNow { free, sample, noted }).or(now);
    }
    Ok(now)
}

/// The reply counts as the one after a step: it is noted, unless it is what was noted last.
fn counts(session: &Session<'_>, now: Option<HeapNow>) -> Option<u64> {
    let HeapNow { free, sample, noted } = now?;
    if !noted && !session.journal.is_last_heap(&sample) {
        session.journal.heap(sample);
    }
    Some(free)
}
