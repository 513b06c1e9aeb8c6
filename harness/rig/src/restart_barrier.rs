//! The barrier for restarts of a broker that several boards share: the broker restarts when every board
//! that may need it waits at the barrier.

use std::cell::Cell;

use tokio::sync::Notify;

/// The barrier of a run's boards.
#[derive(Default)]
pub struct RestartBarrier {
    participants: Cell<usize>,
    waiting: Cell<usize>,
    round: Cell<u64>,
    changed: Notify,
}

/// One board at the barrier, from the start of its job to the end. A board whose job has ended does not need the
/// broker any more.
pub struct Participant<'a> {
    barrier: &'a RestartBarrier,
    left: Cell<bool>,
}

/// A board that waits. Dropping it ends the wait.
struct Waiting<'a> {
    barrier: &'a RestartBarrier,
    round: u64,
}

impl RestartBarrier {
    /// One more board that may need the broker.
    pub fn join(&self) -> Participant<'_> {
        self.participants.set(self.participants.get() + 1);
        Participant { barrier: self, left: Cell::new(false) }
    }

    /// Resolves when every board that may need the broker waits for its restart.
    pub async fn all_waiting(&self) {
        self.until(|| self.waiting.get() > 0 && self.waiting.get() == self.participants.get())
            .await;
    }

    /// The restart is complete.
    pub fn release(&self) {
        self.round.set(self.round.get() + 1);
        self.waiting.set(0);
        self.changed.notify_waiters();
    }

    async fn until(&self, done: impl Fn() -> bool) {
        loop {
            let changed = self.changed.notified();
            if done() {
                return;
            }
            changed.await;
        }
    }
}

impl Participant<'_> {
    /// The board does not need the broker any more.
    pub fn leave(&self) {
        if !self.left.replace(true) {
            self.barrier.participants.set(self.barrier.participants.get() - 1);
            self.barrier.changed.notify_waiters();
        }
    }

    /// Waits until the broker was restarted.
    pub async fn wait_for_restart(&self) {
        let barrier = self.barrier;
        let waiting = Waiting { barrier, round: barrier.round.get() };
        barrier.waiting.set(barrier.waiting.get() + 1);
        barrier.changed.notify_waiters();
        barrier.until(|| barrier.round.get() > waiting.round).await;
    }
}

impl Drop for Participant<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.barrier.round.get() == self.round {
            self.barrier.waiting.set(self.barrier.waiting.get() - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_restart_waits_for_all_boards_except_those_that_left() {
        let barrier = RestartBarrier::default();
        let restarts = Cell::new(0);
        let broker = async {
            loop {
                barrier.all_waiting().await;
                restarts.set(restarts.get() + 1);
                barrier.release();
            }
        };
        let second = Duration::from_secs(1);
        let (a, b, c) = (barrier.join(), barrier.join(), barrier.join());
        let boards = async {
            tokio::join!(
                async {
                    for _ in 0..5 {
                        a.wait_for_restart().await;
                    }
                    drop(a);
                },
                async {
                    tokio::time::sleep(second).await;
                    assert_eq!(restarts.get(), 0, "one of them waits");
                    for _ in 0..2 {
                        b.wait_for_restart().await;
                    }
                    assert_eq!(restarts.get(), 2);
                    tokio::time::sleep(second).await;
                    assert_eq!(restarts.get(), 2, "it may need the broker still");
                    drop(b);
                },
                async {
                    // Cancelled while it waits, and continues with another step.
                    let cut = tokio::time::timeout(second / 2, c.wait_for_restart()).await;
                    assert!(cut.is_err());
                    tokio::time::sleep(second / 4).await;
                    drop(c);
                },
            );
        };
        tokio::select! {
            () = broker => unreachable!(),
            () = boards => {}
        }
        assert_eq!(restarts.get(), 5);
    }
}
