//! Before the rig blames a board, it checks its own side: the board has power, a CPU that runs and its cables, the
//! network carries the board's packets, its chip answers, and the broker answers a connection of the rig's own.
//! Anything that does not answer is a fault of the bench, and the verdict names it.

use super::network;
use crate::mqtt;
use crate::session::Session;

/// What does not answer on the rig's side, as text; `None` if all of it answers. No console may be open.
pub(super) async fn dead(session: &Session<'_>) -> Option<String> {
    let mut board = session.board.lock().await;
    if let Err(fault) = board.sound().await {
        return Some(fault.to_string());
    }
    // Before the chip is asked, which may reset it.
    if let Some(found) = network::dead(session).await {
        return Some(found);
    }
    // If it printed something in the wait that failed, the chip and its line are alive.
    if session.log.has_begun()
        && session.log.ends_in_silence()
        && let Err(fault) = board.answers().await
    {
        return Some(format!("the chip itself does not answer either: {fault}"));
    }
    drop(board);
    if !session.journal.now_in().is_some_and(network::needs_broker) {
        return None;
    }
    let endpoint = session.shared.broker.ready_now()?.endpoint;
    let deadline = session.plan().deadlines.broker;
    // A client id for each board: two connections with one id would end each other.
    let client_id = format!("hilrig-proof-{}", session.number());
    let answered = mqtt::answers(&endpoint, &client_id, deadline).await;
    answered.err().map(|found| format!("the broker does not answer the rig either: {found}"))
}
