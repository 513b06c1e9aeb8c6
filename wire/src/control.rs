//! How a relay steers its connections, and how far they are.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hilrig_core::certify::Line;
use tokio::sync::watch;

/// How far the connections are. Numbers only rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Accepted.
    pub connections: u32,
    /// Both sides have sent Finished.
    pub finished: u32,
    /// Ended.
    pub ended: u32,
}

/// What a relay's connections read of it.
#[derive(Debug)]
pub(crate) struct Control {
    /// The trouble on the line.
    pub line: watch::Sender<Line>,
    /// Counts how often connections were cut.
    pub cuts: watch::Sender<u32>,
    pub progress: watch::Sender<Progress>,
    /// Where the broker is.
    pub upstream: Mutex<SocketAddr>,
}

impl Control {
    pub fn new(upstream: SocketAddr) -> Control {
        Control {
            line: watch::Sender::new(Line::Clean),
            cuts: watch::Sender::new(0),
            progress: watch::Sender::new(Progress::default()),
            upstream: Mutex::new(upstream),
        }
    }
}

/// A panic while it is locked is one of the reader's, which must not take the others along.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
