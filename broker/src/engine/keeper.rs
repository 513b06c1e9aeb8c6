//! The thread that looks after a broker.
//!
//! Whatever it is, a container or a process, one thread with a runtime of its own looks after it
//! from the first step to the last. So a start that is given up halfway is still taken back
//! properly, dropping works with and without a runtime, and the process is the child of a thread that
//! lives as long as it does, which the parent-death signal needs.

use std::io;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, watch};

use super::facts::InstanceFacts;
use super::log_tail::LogTail;
use crate::error::BrokerError;

/// The thread's end of the line.
pub(crate) struct Desk {
    messages: mpsc::UnboundedSender<Result<InstanceFacts, BrokerError>>,
    stop: watch::Receiver<bool>,
    restarts: watch::Receiver<u64>,
    pub log: LogTail,
}

impl Desk {
    /// The broker answers.
    pub fn ready(&self, ready: InstanceFacts) {
        // Nobody listens any more when the start was given up.
        let _ = self.messages.send(Ok(ready));
    }

    /// Resolves when the broker is to be stopped.
    pub fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let mut stop = self.stop.clone();
        async move {
            // The other end being gone means the same.
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

/// The other end: the thread, and what ends it. Dropping ends the broker and waits for that.
pub(crate) struct Keeper {
    stop: watch::Sender<bool>,
    restarts: watch::Sender<u64>,
    /// Closed when the thread is through; holds what was found if the broker ended by itself.
    gone: watch::Receiver<Option<String>>,
    inbox: mpsc::UnboundedReceiver<Result<InstanceFacts, BrokerError>>,
    thread: Option<JoinHandle<()>>,
    pub log: LogTail,
}

impl Keeper {
    /// Starts the thread. `work` keeps a broker until its end, and returns what was found if that was
    /// not asked for.
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
    /// Waits until the broker is ready. `None` if the thread ended without a word.
    pub async fn ready(&mut self) -> Option<Result<InstanceFacts, BrokerError>> {
        self.inbox.recv().await
    }

    /// Has the broker restarted; [`ready`](Keeper::ready) tells when it is.
    pub fn restart(&self) {
        self.restarts.send_modify(|restarts| *restarts += 1);
    }

    /// Resolves with what was found when the broker ends by itself. Never does if it is stopped.
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

    /// Ends the broker and returns when nothing of it is left. A second time does nothing.
    pub async fn stop(&mut self) {
        self.stop.send_replace(true);
        // Changes until it is closed, which is the last thing that the thread does.
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
