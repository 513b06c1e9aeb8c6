//! The relay itself: a port, and what stands behind it.

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

/// Connections that are kept from the first on, and of the last ones.
const KEPT: usize = 8;

/// Connections that are carried at once; more wait to be accepted. Each takes two descriptors.
const MOST_AT_ONCE: usize = 256;

/// How long no connection is accepted after that has failed, as it does where a process has no
/// descriptors left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A plain TCP relay between boards and a broker. A task of the runtime serves it; dropping it ends
/// that, with every connection.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What the relay's task shares with it.
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
    /// Listens on any free port of `listen`, for what is to go to `upstream`. Needs a tokio runtime.
    ///
    /// # Errors
    /// If there is no such address or no port.
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

    /// What the line does from now on: counts for the connections that come, and a delay, or that there
    /// is none any more, for those that stand.
    pub fn set_line(&self, line: Line) {
        self.shared.control.line.send_replace(line);
    }

    /// Where the broker is now. Counts for the connections that come.
    pub fn set_upstream(&self, upstream: SocketAddr) {
        *locked(&self.shared.control.upstream) = upstream;
    }

    /// Ends the connections that stand, without a word (FIN both ways).
    pub fn cut(&self) {
        self.shared.control.cuts.send_modify(|cuts| *cuts = cuts.wrapping_add(1));
    }

    /// How far the connections are.
    pub fn progress(&self) -> Progress {
        *self.shared.control.progress.borrow()
    }

    /// Connections so far.
    pub fn connections(&self) -> u32 {
        self.progress().connections
    }

    /// Waits until this holds. Has no deadline of its own.
    pub async fn until(&self, holds: impl Fn(&Progress) -> bool) -> Progress {
        let mut progress = self.shared.control.progress.subscribe();
        let now = progress.wait_for(|now| holds(now)).await.map(|now| *now);
        // The sender is held by `self`, so that it is there as long as this waits.
        now.unwrap_or_default()
    }

    /// The last connection that was accepted: where it came from, and what was seen of it.
    pub fn last(&self) -> Option<(SocketAddr, WireSeen)> {
        let kept = locked(&self.shared.kept);
        let last = kept.last.back().or(kept.first.last())?;
        Some((last.peer(), last.seen()))
    }

    /// What was seen of each connection, in their order: of the first ones and the last, if there were
    /// many.
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
    /// A connection was accepted.
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

/// Accepts, and carries what was accepted. Dropping the set of tasks ends them.
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
