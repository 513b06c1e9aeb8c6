//! The thread that runs a broker.
//!
//! For a container or a process, one thread with a runtime of its own runs the broker from the first step to the
//! last. So a start that is cancelled halfway is still cleaned up, dropping works with and without a runtime, and the
//! process is the child of a thread that lives as long as it does, which the parent-death signal needs.

use std::io;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, watch};

use super::facts::InstanceFacts;
use super::log_tail::LogTail;
use crate::error::BrokerError;

/// The thread's end of the channels.
pub(crate) struct Desk {
    messages: mpsc::UnboundedSender<Result<InstanceFacts, BrokerError>>,
    stop: watch::Receiver<bool>,
    restarts: watch::Receiver<u64>,
    pub log: LogTail,
}

impl Desk {
    /// The broker answers.
    pub fn ready(&self, ready: InstanceFacts) {
        // No receiver is left if the start was cancelled.
        let _ = self.messages.send(Ok(ready));
    }

    /// Resolves when the broker is to be stopped.
    pub fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let mut stop = self.stop.clone();
        async move {
            // A closed channel means the same.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    /// Resolves when the broker is to be stopped and restarted.
    pub fn restart_asked(&self) -> impl Future<Output = ()> + use<> {
        let mut restarts = self.restarts.clone();
        async move {
            if restarts.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// The broker is restarted now.
    pub fn restarts_now(&mut self) {
        self.restarts.mark_unchanged();
        self.log.restarts_now();
    }
}

/// The other end: the thread, and what stops it. Dropping stops the broker and waits for its end.
pub(crate) struct Keeper {
    stop: watch::Sender<bool>,
    restarts: watch::Sender<u64>,
    /// Closed when the thread is done; contains the reason if the broker ended by itself.
    gone: watch::Receiver<Option<String>>,
    inbox: mpsc::UnboundedReceiver<Result<InstanceFacts, BrokerError>>,
    thread: Option<JoinHandle<()>>,
    pub log: LogTail,
}

impl Keeper {
    /// Starts the thread. `work` runs a broker until its end, and returns the reason if the end was not requested.
    ///
    /// # Errors
    /// If the system has no thread or no runtime.
    pub fn start<W>(log: LogTail, work: W) -> io::Result<Keeper>
    where
        W: AsyncFnOnce(&mut Desk) -> Result<Option<String>, BrokerError> + Send + 'static,
    {
        let (messages, inbox) = mpsc::unbounded_channel();
        let (stop, stop_seen) = watch::channel(false);
        let (restarts, restarts_seen) = watch::channel(0);
        let (gone_tell, gone) = watch::channel(None);
        let mut desk =
            Desk { messages, stop: stop_seen, restarts: restarts_seen, log: log.clone() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let body = move || match runtime.block_on(work(&mut desk)) {
            Ok(None) => {}
            Ok(found) => {
                gone_tell.send_replace(found);
            }
            Err(error) => {
                let _ = desk.messages.send(Err(error));
            }
        };
        let thread = std::thread::Builder::new().name("broker".into()).spawn(body)?;
        Ok(Keeper { stop, restarts, gone, inbox, thread: Some(thread), log })
    }
}

impl Keeper {
    /// Waits until the broker is ready. `None` if the thread ended without a result.
    pub async fn ready(&mut self) -> Option<Result<InstanceFacts, BrokerError>> {
        self.inbox.recv().await
    }

    /// Restarts the broker; [`ready`](Keeper::ready) resolves when it is up.
    pub fn restart(&self) {
        self.restarts.send_modify(|restarts| *restarts += 1);
    }

    /// Resolves with the reason when the broker ends by itself. Never resolves if it is stopped.
    pub fn gone(&self) -> impl Future<Output = String> + use<> {
        let mut gone = self.gone.clone();
        async move {
            let found = gone.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
            match found {
                Some(found) => found,
                None => std::future::pending().await,
            }
        }
    }

    /// Stops the broker and returns when nothing of it remains. A second call does nothing.
    pub async fn stop(&mut self) {
        self.stop.send_replace(true);
        // Changes until it is closed, which is the last action of the thread.
        while self.gone.changed().await.is_ok() {}
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the broker's thread panicked");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.join();
    }
}
