//! Closing a port whose driver may not close it at once.
//!
//! The last close of a serial port waits until the driver has sent the rest: up to 30 s on Linux
//! (`closing_wait`), and forever where a USB adapter hangs.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// The longest wait for a close. A close that works takes a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// Closes `open` on a thread of its own. False where it is not closed within a second: then the thread
/// goes on alone.
pub async fn close<T: Send + 'static>(open: T) -> bool {
    timeout(PATIENCE, spawn_blocking(move || drop(open))).await.is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Its close returns when the other end of the channel is dropped.
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
