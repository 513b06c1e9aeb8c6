//! A board in a certification.

use hilrig_core::certify::{Case, Cost};
use hilrig_core::heap::HeapPhase;

use super::shared::Shared;
use super::work::BoardWork;
use hilrig::Session;
use hilrig::log::Mark;

/// The job of one board in a certification: it runs cases until none is left.
pub(super) struct BoardCases<'a> {
    /// State shared by all boards.
    pub(super) all: &'a Shared<'a>,
    /// The current work of this board.
    pub(super) work: BoardWork,
}

/// Everything that a case needs of its board.
pub(super) struct OnBoard<'a> {
    pub session: &'a Session<'a>,
    pub case: &'static Case,
    /// Log position after which there is no output of an earlier case.
    pub mark: Mark,
}

/// The client id of the rig's own connection alongside the board.
pub(super) fn rig_id(on: &OnBoard<'_>) -> String {
    format!("hilrig-rig-{}", on.session.number())
}

/// The lowest free heap in a phase so far, bytes.
pub(super) fn low(on: &OnBoard<'_>, phase: HeapPhase) -> Option<u64> {
    on.session.journal.lows().get(phase).map(|low| low.lowest_free)
}

/// The lowest free heap so far, in the handshake and connected.
pub(super) fn lows(on: &OnBoard<'_>) -> Cost {
    Cost {
        heap_handshake: low(on, HeapPhase::Handshake),
        heap_connected: low(on, HeapPhase::Connected),
        ..Cost::default()
    }
}
