//! A request to stop what runs.

use tokio::sync::watch;

/// Stops a run early on request. All clones see the same request.
#[derive(Clone, Debug)]
pub struct StopRequest(watch::Receiver<Option<String>>);

impl StopRequest {
    /// A request that never comes.
    pub fn never() -> StopRequest {
        StopRequest(watch::channel(None).1)
    }

    /// Stops when `asked` resolves, with its reason, such as "stopped by SIGINT". Must be called in
    /// a tokio runtime.
    pub fn when(asked: impl Future<Output = String> + Send + 'static) -> StopRequest {
        let (sender, receiver) = watch::channel(None);
        tokio::spawn(async move {
            let reason = asked.await;
            let _ = sender.send(Some(reason));
            // Later callers still find the reason.
            sender.closed().await;
        });
        StopRequest(receiver)
    }

    /// The reason, if a stop was requested.
    pub fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Resolves with the reason once a stop is requested.
    pub async fn requested(&self) -> String {
        let mut reason = self.0.clone();
        match reason.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(reason)) => reason.clone(),
            // The request can no longer come.
            _ => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_clones_see_the_request() {
        let (ask, asked) = tokio::sync::oneshot::channel();
        let stop = StopRequest::when(async { asked.await.unwrap() });
        let other = stop.clone();
        assert_eq!(stop.reason(), None);
        ask.send("stopped by SIGINT".to_owned()).unwrap();
        assert_eq!(other.requested().await, "stopped by SIGINT");
        assert_eq!(stop.requested().await, "stopped by SIGINT");
        assert_eq!(stop.reason().as_deref(), Some("stopped by SIGINT"));
    }
}
