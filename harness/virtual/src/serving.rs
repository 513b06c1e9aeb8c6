//! A virtual board in a task of its own.

use std::io;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::VirtualError;
use crate::ready::VirtualReady;

/// A board in a task of its own. Dropping it stops the board at once.
#[derive(Debug)]
pub struct Serving<R = VirtualReady> {
    ready: R,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<Result<(), VirtualError>>>,
}

impl<R> Serving<R> {
    /// Starts the task. `serve` runs the board until the receiver resolves, then stops it.
    pub(crate) fn start<F: Future<Output = Result<(), VirtualError>> + Send + 'static>(
        ready: R,
        serve: impl FnOnce(oneshot::Receiver<()>) -> F,
    ) -> Serving<R> {
        let (stop, stopped) = oneshot::channel();
        Serving { ready, stop: Some(stop), task: Some(tokio::spawn(serve(stopped))) }
    }

    /// Its addresses.
    pub fn ready(&self) -> &R {
        &self.ready
    }

    /// Stops the board in order. An error is what ended it before that.
    pub async fn stop(mut self) -> Result<(), VirtualError> {
        drop(self.stop.take());
        match self.task.take() {
            Some(task) => task.await.unwrap_or_else(|error| {
                Err(VirtualError::io("serving the virtual board")(io::Error::other(error)))
            }),
            None => Ok(()),
        }
    }
}

impl<R> Drop for Serving<R> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
