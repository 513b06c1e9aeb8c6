//! Shared state of a storm.

use std::cell::{Ref, RefCell};
use std::time::Duration;

use hilrig_core::certify::{Case, Cost};
use tokio::sync::Notify;

use super::bench::Trust;
use hilrig::BrokerEndpoint;
use hilrig::Stop;

/// A storm that boards join.
pub(super) struct Storm {
    pub case: &'static Case,
    pub endpoint: BrokerEndpoint,
    pub trust: Trust,
    /// Port of the leader's relay.
    pub port: u16,
    at: RefCell<At>,
    news: Notify,
}

/// Its progress.
#[derive(Default)]
pub(super) struct At {
    /// Boards that joined.
    pub joined: Vec<String>,
    /// 0 until all boards are connected for the first time.
    pub round: usize,
    /// Of these, the boards that are connected.
    pub there: usize,
    pub longest: Duration,
    pub lowest: Cost,
    /// The name of the first board that failed, and its error.
    failed: Option<Stop>,
    pub over: bool,
}

impl Storm {
    /// A storm that boards may join.
    pub(super) fn new(
        case: &'static Case,
        endpoint: BrokerEndpoint,
        trust: Trust,
        port: u16,
    ) -> Storm {
        Storm { case, endpoint, trust, port, at: RefCell::default(), news: Notify::new() }
    }

    /// Its current progress.
    pub(super) fn now(&self) -> Ref<'_, At> {
        self.at.borrow()
    }

    /// Waits until `found` returns a value.
    pub(super) async fn until<T>(&self, mut found: impl FnMut(&At) -> Option<T>) -> T {
        loop {
            let news = self.news.notified();
            if let Some(found) = found(&self.at.borrow()) {
                return found;
            }
            news.await;
        }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut At)) {
        change(&mut self.at.borrow_mut());
        self.news.notify_waiters();
    }

    /// Adds a board to the storm, unless it is too late.
    pub(super) fn join(&self, name: &str) -> bool {
        let may = {
            let at = self.at.borrow();
            at.round == 0 && at.failed.is_none()
        };
        if may {
            self.change(|at| at.joined.push(name.to_owned()));
        }
        may
    }

    /// Records the loss of a board in the storm.
    pub(super) fn fail(&self, name: &str, stop: &Stop) {
        let stop = match stop {
            Stop::Failed(why) => Stop::Failed(format!("{name}: {why}")),
            // The leader is another board, and it is running.
            Stop::Crashed(why) => Stop::Failed(format!("{name}: {why}")),
            Stop::Rig(why) | Stop::Silent(why) | Stop::Interrupted(why) => {
                Stop::Rig(format!("{name}: {why}"))
            }
        };
        self.change(|at| _ = at.failed.get_or_insert(stop));
    }

    /// Records the end of a board's work, whether or not it is in the storm.
    pub(super) fn gone(&self, name: &str, why: &str) {
        let joined = self.at.borrow().joined.iter().any(|joined| joined == name);
        match joined {
            true => self.fail(name, &Stop::Rig(why.to_owned())),
            false => self.news.notify_waiters(),
        }
    }

    /// The leader needs nobody any more.
    pub(super) async fn over(&self) {
        self.until(|at| at.over.then_some(())).await;
    }

    /// Records that a board is connected, with its lowest heap values so far.
    pub(super) fn is_there(&self, after: Duration, cost: &Cost) {
        self.change(|at| {
            at.there += 1;
            at.longest = at.longest.max(after);
            at.lowest = lower(&at.lowest, cost);
        });
    }

    /// All that joined are there.
    pub(super) async fn all_there(&self) -> Result<(), Stop> {
        let all = |at: &At| match &at.failed {
            Some(failed) => Some(Err(failed.clone())),
            None => (at.there == at.joined.len()).then_some(Ok(())),
        };
        self.until(all).await
    }
}

/// The lower value of each pair.
pub(super) fn lower(one: &Cost, other: &Cost) -> Cost {
    let lower = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
    Cost {
        heap_handshake: lower(one.heap_handshake, other.heap_handshake),
        heap_connected: lower(one.heap_connected, other.heap_connected),
        ..Cost::default()
    }
}
