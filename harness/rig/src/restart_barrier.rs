//! Where boards meet that share a broker which is to be restarted: a restart happens when every board
//! that may need the broker waits for it.

use std::cell::Cell;

use tokio::sync::Notify;

/// The meeting of a run's boards.
#[derive(Default)]
pub struct Meeting {
    seats: Cell<usize>,
    here: Cell<usize>,
    round: Cell<u64>,
    news: Notify,
}

/// A board's seat, from the start of its path to the end. A board that has left needs the broker no
/// more.
pub struct Seat<'a>(&'a Meeting);

/// A board that waits. One that is cut off is not counted any more.
struct Here<'a> {
    meeting: &'a Meeting,
    round: u64,
}

impl Meeting {
    /// A seat for one more board.
    pub fn seat(&self) -> Seat<'_> {
        self.seats.set(self.seats.get() + 1);
        Seat(self)
    }

    /// Resolves when every board that may need the broker waits for its restart.
    pub async fn all_here(&self) {
        self.until(|| self.here.get() > 0 && self.here.get() == self.seats.get()).await;
    }

    /// The restart is done.
    pub fn go_on(&self) {
        self.round.set(self.round.get() + 1);
        self.here.set(0);
        self.news.notify_waiters();
    }

    async fn until(&self, done: impl Fn() -> bool) {
        loop {
            let news = self.news.notified();
            if done() {
                return;
            }
            news.await;
        }
    }
}

impl Seat<'_> {
    /// Waits until the broker was restarted.
    pub async fn broker_restarted(&self) {
        let meeting = self.0;
        let here = Here { meeting, round: meeting.round.get() };
        meeting.here.set(meeting.here.get() + 1);
        meeting.news.notify_waiters();
        meeting.until(|| meeting.round.get() > here.round).await;
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.seats.set(self.0.seats.get() - 1);
        self.0.news.notify_waiters();
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        if self.meeting.round.get() == self.round {
            self.meeting.here.set(self.meeting.here.get() - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_restart_waits_for_all_and_for_nobody_who_left() {
        let meeting = Meeting::default();
        let restarts = Cell::new(0);
        let broker = async {
            loop {
                meeting.all_here().await;
                restarts.set(restarts.get() + 1);
                meeting.go_on();
            }
        };
        let second = Duration::from_secs(1);
        let (a, b, c) = (meeting.seat(), meeting.seat(), meeting.seat());
        let boards = async {
            tokio::join!(
                async {
                    for _ in 0..5 {
                        a.broker_restarted().await;
                    }
                    drop(a);
                },
                async {
                    tokio::time::sleep(second).await;
                    assert_eq!(restarts.get(), 0, "one of them waits");
                    for _ in 0..2 {
                        b.broker_restarted().await;
                    }
                    assert_eq!(restarts.get(), 2);
                    tokio::time::sleep(second).await;
                    assert_eq!(restarts.get(), 2, "it may need the broker still");
                    drop(b);
                },
                async {
                    // Cut off while it waits, and goes on with something else.
                    let cut = tokio::time::timeout(second / 2, c.broker_restarted()).await;
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
