//! The line between boards and a broker: a relay for each case.

use std::net::{Ipv4Addr, SocketAddr};

use crate::Seen;
use hilrig_core::certify::Line;
use hilrig_wire::Relay;

/// The line. It is down between two cases.
pub struct BoardLine {
    listen: Ipv4Addr,
    upstream: SocketAddr,
    relay: Option<Relay>,
    /// What was seen on a line that is down.
    seen: Seen,
}

impl BoardLine {
    /// A line from `listen` to `upstream`; the port is not open yet.
    pub fn new(listen: Ipv4Addr, upstream: SocketAddr) -> BoardLine {
        BoardLine { listen, upstream, relay: None, seen: Seen::default() }
    }

    /// Its upstream address.
    pub fn upstream(&self) -> SocketAddr {
        self.upstream
    }

    /// Starts a new relay and returns its port.
    pub async fn begin(&mut self, line: Line) -> Result<u16, String> {
        self.relay = None;
        self.seen = Seen::default();
        let relay = Relay::start(self.listen, self.upstream).await;
        let relay = relay.map_err(|error| format!("a relay on {}: {error}", self.listen))?;
        relay.set_line(line);
        Ok(self.relay.insert(relay).port())
    }

    /// Cuts the open connections.
    pub fn cut(&self) {
        if let Some(relay) = &self.relay {
            relay.cut();
        }
    }

    /// Takes it down. What was seen on it is kept until the next relay starts.
    pub fn hang_up(&mut self) {
        self.seen = self.seen();
        self.relay = None;
    }

    /// What was seen on it.
    pub fn seen(&self) -> Seen {
        match &self.relay {
            Some(relay) => Seen { connections: relay.connections(), wire: relay.seen() },
            None => self.seen.clone(),
        }
    }
}
