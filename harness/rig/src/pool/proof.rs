//! Before the rig blames a board, it proves its own side: the board has power, a CPU that runs and its
//! cables, the network carries what it sends, its chip answers, and the broker answers a connection of
//! the rig's own. What is found dead is the bench's trouble, and the verdict names it.

use hilrig_core::board::Board;

use crate::journal::Journal;
use crate::log::Log;
use crate::mqtt;
use crate::pool::{Bench, network};
use crate::session::wire::Wire;

/// What is dead on the rig's side, in words; none where all of it answers.
pub async fn dead(
    bench: &Bench<'_>,
    board: &mut dyn Board,
    journal: &Journal<'_>,
    log: Option<&Log>,
    wire: Option<&Wire>,
    number: usize,
) -> Option<String> {
    if let Err(fault) = board.sound().await {
        return Some(fault.to_string());
    }
    // Before the chip is asked, which may reset it.
    if let Some(found) = network::dead(bench, journal, wire).await {
        return Some(found);
    }
    // It said something in the wait that failed, so the chip and its line are alive.
    if log.is_some_and(Log::ends_in_silence)
        && let Err(fault) = board.answers().await
    {
        return Some(format!("the chip itself does not answer either: {fault}"));
    }
    if !journal.now_in().is_some_and(network::needs_broker) {
        return None;
    }
    let endpoint = bench.ready_broker()?.endpoint;
    let deadline = bench.plan.deadlines.broker;
    // One connection for each board that asks: two of one name would throw each other out.
    let client_id = format!("hilrig-proof-{number}");
    let answered = mqtt::answers(&endpoint, &client_id, deadline).await;
    answered.err().map(|found| format!("the broker does not answer the rig either: {found}"))
}
