//! The relay: its listening port and the connections it carries.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hilrig_core::certify::{Line, WireSeen};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::carry::Connection;
use crate::control::{Control, Progress, locked};

/// Number of first connections kept, and number of last connections kept.
const KEPT: usize = 8;

/// Maximum number of concurrent connections; more wait to be accepted. Each uses two file descriptors.
const MOST_AT_ONCE: usize = 256;

/// Pause after a failed accept, for example when the process has no file descriptors left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A plain TCP relay between boards and a broker, served by a runtime task. Dropping it ends the task and every
/// connection.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// State shared between the relay and its task.
#[derive(Debug)]
struct Shared {
    control: Control,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    first: Vec<Arc<Connection>>,
    last: VecDeque<Arc<Connection>>,
}

impl Relay {
    /// Listens on any free port of `listen` and forwards to `upstream`. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the address does not exist or no port is free.
    pub async fn start(listen: impl Into<IpAddr>, upstream: SocketAddr) -> io::Result<Relay> {
        let listener = TcpListener::bind((listen.into(), 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared { control: Control::new(upstream), kept: Mutex::default() });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Relay { port, shared, task })
    }

    /// The port that boards connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets the behaviour of the line. Applies to new connections; a delay, or its removal, also applies to open
    /// ones.
    pub fn set_line(&self, line: Line) {
        self.shared.control.line.send_replace(line);
    }

    /// Sets the broker's address. Applies to new connections.
    pub fn set_upstream(&self, upstream: SocketAddr) {
        *locked(&self.shared.control.upstream) = upstream;
    }

    /// Closes the open connections without an alert (FIN both ways).
    pub fn cut(&self) {
        self.shared.control.cuts.send_modify(|cuts| *cuts = cuts.wrapping_add(1));
    }

    /// Current state of the connections.
    pub fn progress(&self) -> Progress {
        *self.shared.control.progress.borrow()
    }

    /// Number of connections so far.
    pub fn connections(&self) -> u32 {
        self.progress().connections
    }

    /// Waits until the condition is true. Has no deadline of its own.
    pub async fn until(&self, holds: impl Fn(&Progress) -> bool) -> Progress {
        let mut progress = self.shared.control.progress.subscribe();
        let now = progress.wait_for(|now| holds(now)).await.map(|now| *now);
        // `self` owns the sender, so the channel stays open during the wait.
        now.unwrap_or_default()
    }

    /// The last accepted connection: its peer address and what was seen of it.
    pub fn last(&self) -> Option<(SocketAddr, WireSeen)> {
        let kept = locked(&self.shared.kept);
        let last = kept.last.back().or(kept.first.last())?;
        Some((last.peer(), last.seen()))
    }

    /// What was seen of each connection, in order. Only the first and the last ones if there were many.
    pub fn seen(&self) -> Vec<WireSeen> {
        let kept = locked(&self.shared.kept);
        kept.first.iter().chain(&kept.last).map(|connection| connection.seen()).collect()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// Registers an accepted connection.
    fn keep(&self, connection: &Arc<Connection>) {
        let mut kept = locked(&self.kept);
        if kept.first.len() < KEPT {
            kept.first.push(Arc::clone(connection));
        } else {
            if kept.last.len() == KEPT {
                kept.last.pop_front();
            }
            kept.last.push_back(Arc::clone(connection));
        }
    }
}

/// Accepts connections and carries them. Dropping the task set ends them.
async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut carried = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if carried.len() < MOST_AT_ONCE => match accepted {
                Ok((board, peer)) => {
                    let connection = Arc::new(Connection::new(peer, &shared.control));
                    shared.keep(&connection);
                    shared.control.progress.send_modify(|progress| progress.connections += 1);
                    let shared = Arc::clone(&shared);
                    carried.spawn(async move { connection.carry(board, &shared.control).await });
                }
                Err(error) => {
                    tracing::warn!("accepting a board's connection: {error}");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
            Some(ended) = carried.join_next() => {
                if let Err(error) = ended {
                    tracing::error!("carrying a board's connection: {error}");
                }
            }
        }
    }
}
