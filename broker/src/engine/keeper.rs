//! The thread that looks after a broker.
//!
//! Whatever it is, a container or a process, one thread with a runtime of its own looks after it
//! from the first step to the last. So a start that is given up halfway is still taken back
//! properly, dropping works with and without a runtime, and the process is the child of a thread that
//! lives as long as it does, which the parent-death signal needs.

use std::io;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, watch};

use super::log_tail::LogTail;

enum Message<R, E> {
    Note(String),
    Ready(R),
    Failed(E),
}

/// The thread's end of the line. `R` is what is told of a broker that is ready, `E` why it is not.
pub(crate) struct Desk<R, E> {
    messages: mpsc::UnboundedSender<Message<R, E>>,
    stop: watch::Receiver<bool>,
    restarts: watch::Receiver<u64>,
    pub log: LogTail,
}

impl<R, E> Desk<R, E> {
    /// Tells the user something.
    pub fn note(&self, text: impl Into<String>) {
        // Nobody listens any more when the start was given up.
        let _ = self.messages.send(Message::Note(text.into()));
    }

    /// The broker answers.
    pub fn ready(&self, ready: R) {
        let _ = self.messages.send(Message::Ready(ready));
    }

    /// Resolves when the broker is to be stopped.
    pub fn stopped(&self) -> impl Future<Output = ()> + use<R, E> {
        let mut stop = self.stop.clone();
        async move {
            // The other end being gone means the same.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    /// Resolves when the broker is to be stopped and started anew.
    pub fn restart_asked(&self) -> impl Future<Output = ()> + use<R, E> {
        let mut restarts = self.restarts.clone();
        async move {
            if restarts.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// The broker is started anew now.
    pub fn starts_anew(&mut self) {
        self.restarts.mark_unchanged();
        self.log.starts_anew();
    }
}

/// The other end: the thread, and what ends it. Dropping ends the broker and waits for that.
pub(crate) struct Keeper<R, E> {
    stop: watch::Sender<bool>,
    restarts: watch::Sender<u64>,
    /// Closed when the thread is through; holds what was found if the broker ended by itself.
    gone: watch::Receiver<Option<String>>,
    inbox: mpsc::UnboundedReceiver<Message<R, E>>,
    thread: Option<JoinHandle<()>>,
    pub log: LogTail,
}

impl<R: Send + 'static, E: Send + 'static> Keeper<R, E> {
    /// Starts the thread. `work` keeps a broker until its end, and returns what was found if that was
    /// not asked for.
    ///
    /// # Errors
    /// If the system has no thread or no runtime.
    pub fn start<W>(log: LogTail, work: W) -> io::Result<Keeper<R, E>>
    where
        W: AsyncFnOnce(&mut Desk<R, E>) -> Result<Option<String>, E> + Send + 'static,
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
                let _ = desk.messages.send(Message::Failed(error));
            }
        };
        let thread = std::thread::Builder::new().name("broker".into()).spawn(body)?;
        Ok(Keeper { stop, restarts, gone, inbox, thread: Some(thread), log })
    }
}

impl<R, E> Keeper<R, E> {
    /// Waits until the broker is ready, and hands on what is told meanwhile. `None` if the thread ended
    /// without a word.
    pub async fn ready(&mut self, notes: &mut dyn FnMut(String)) -> Option<Result<R, E>> {
        loop {
            match self.inbox.recv().await? {
                Message::Note(text) => notes(text),
                Message::Failed(error) => return Some(Err(error)),
                Message::Ready(ready) => return Some(Ok(ready)),
            }
        }
    }

    /// Has the broker started anew; [`ready`](Keeper::ready) tells when it is.
    pub fn restart(&self) {
        self.restarts.send_modify(|restarts| *restarts += 1);
    }

    /// Resolves with what was found when the broker ends by itself. Never does if it is stopped.
    pub fn gone(&self) -> impl Future<Output = String> + use<R, E> {
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

impl<R, E> Drop for Keeper<R, E> {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.join();
    }
}
