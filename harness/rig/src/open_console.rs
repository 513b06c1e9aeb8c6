//! The console of a board between the job, which opens and closes it, and the pool, which reads it.

use std::cell::RefCell;

use hilrig_core::board::Console;
use tokio::sync::Notify;

/// The state of a board's console.
#[derive(Default)]
enum State {
    #[default]
    Closed,
    /// Open, and no task reads it yet.
    Opened(Box<dyn Console>),
    Reading,
    /// The reader is to close it.
    Closing,
}

/// The console of one board.
#[derive(Default)]
pub(crate) struct OpenConsole {
    state: RefCell<State>,
    changed: Notify,
}

impl OpenConsole {
    /// The console is open: the pool reads it from now on.
    pub(crate) fn open(&self, console: Box<dyn Console>) {
        self.set(State::Opened(console));
    }

    /// Closes the console, and returns when no task reads it any more.
    pub(crate) async fn close(&self) {
        let reading = matches!(&*self.state.borrow(), State::Reading);
        self.set(if reading { State::Closing } else { State::Closed });
        self.until(|state| matches!(state, State::Closed).then_some(())).await;
    }

    /// The reader has ended, and its port is closed.
    pub(crate) fn closed(&self) {
        self.set(State::Closed);
    }

    /// The console, once a job opens it. The caller reads it until [`OpenConsole::closing`].
    pub(crate) async fn opened(&self) -> Box<dyn Console> {
        self.until(|state| match std::mem::replace(state, State::Reading) {
            State::Opened(console) => Some(console),
            other => {
                *state = other;
                None
            }
        })
        .await
    }

    /// Resolves when the job wants the console closed.
    pub(crate) async fn closing(&self) {
        self.until(|state| matches!(state, State::Closing).then_some(())).await;
    }

    fn set(&self, state: State) {
        *self.state.borrow_mut() = state;
        self.changed.notify_waiters();
    }

    async fn until<T>(&self, mut found: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            if let Some(found) = found(&mut self.state.borrow_mut()) {
                return found;
            }
            changed.await;
        }
    }
}
