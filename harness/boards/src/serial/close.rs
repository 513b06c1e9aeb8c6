//! Closing what a driver may not close at once.
//!
//! The last close of a serial port waits until the driver has sent what is left: up to 30 s on Linux
//! (`closing_wait`), and without end where a USB adapter hangs.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long a close is waited for. One that works takes a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// Closes `open` on a thread of its own. False where it is not closed within a second: the thread goes on, and
/// nobody waits for it.
pub async fn close<T: Send + 'static>(open: T) -> bool {
    timeout(PATIENCE, spawn_blocking(move || drop(open))).await.is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Its close returns when the other end of the channel is gone.
    struct Hangs(Receiver<()>);

    impl Drop for Hangs {
        fn drop(&mut self) {
            let _ = self.0.recv();
        }
    }

    #[test]
    fn a_close_that_hangs_is_left_to_its_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (sender, hangs): (Sender<()>, _) = channel();
        assert!(!runtime.block_on(close(Hangs(hangs))));
        // The end of the process does not wait for it, either.
        runtime.shutdown_background();
        drop(sender);
    }

    #[test]
    fn a_close_that_works_is_waited_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (sender, works) = channel::<()>();
        drop(sender);
        assert!(runtime.block_on(close(Hangs(works))));
    }
}
