//! A storm as all of its boards see it.

use std::cell::{Ref, RefCell};
use std::time::Duration;

use hilrig_core::certify::{Case, Cost};
use tokio::sync::Notify;

use super::bench::Trust;
use hilrig::BrokerEndpoint;
use hilrig::Stop;

/// A storm, for those who join it.
pub(super) struct Storm {
    pub case: &'static Case,
    pub endpoint: BrokerEndpoint,
    pub trust: Trust,
    /// Of the leader's relay.
    pub port: u16,
    at: RefCell<At>,
    news: Notify,
}

/// How far it is.
#[derive(Default)]
pub(super) struct At {
    /// Boards that joined.
    pub joined: Vec<String>,
    /// 0 until everybody is connected for the first time.
    pub round: usize,
    /// Boards that are there, of those that joined.
    pub there: usize,
    pub longest: Duration,
    pub lowest: Cost,
    /// The first board that failed, by its name, and how.
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

    /// How far it is now.
    pub(super) fn now(&self) -> Ref<'_, At> {
        self.at.borrow()
    }

    /// Waits until `found` finds something.
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

    /// A board takes part, if it is not too late for that.
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

    /// A board that takes part is lost.
    pub(super) fn fail(&self, name: &str, stop: &Stop) {
        let stop = match stop {
            Stop::Failed(why) => Stop::Failed(format!("{name}: {why}")),
            // The leader is another board, which lives.
            Stop::Crashed(why) => Stop::Failed(format!("{name}: {why}")),
            Stop::Rig(why) | Stop::Silent(why) | Stop::Interrupted(why) => {
                Stop::Rig(format!("{name}: {why}"))
            }
        };
        self.change(|at| _ = at.failed.get_or_insert(stop));
    }

    /// A board's work ended, whether or not it takes part.
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

    /// A board that joined is there, with these lows so far.
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

/// The lower of two, each.
pub(super) fn lower(one: &Cost, other: &Cost) -> Cost {
    let lower = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
    Cost {
        heap_handshake: lower(one.heap_handshake, other.heap_handshake),
        heap_connected: lower(one.heap_connected, other.heap_connected),
        ..Cost::default()
    }
}
