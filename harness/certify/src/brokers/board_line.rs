//! The line between boards and a broker: a relay for each case.

use std::net::{Ipv4Addr, SocketAddr};

use crate::Seen;
use hilrig_core::certify::Line;
use hilrig_wire::Relay;

/// The line. Between two cases it is down.
pub struct BoardLine {
    listen: Ipv4Addr,
    upstream: SocketAddr,
    relay: Option<Relay>,
    /// What was seen on one that is down.
    seen: Seen,
}

impl BoardLine {
    /// A line from a port of `listen`, which it does not have yet, to `upstream`.
    pub fn new(listen: Ipv4Addr, upstream: SocketAddr) -> BoardLine {
        BoardLine { listen, upstream, relay: None, seen: Seen::default() }
    }

    /// Where it leads to.
    pub fn upstream(&self) -> SocketAddr {
        self.upstream
    }

    /// A new one; its port.
    pub async fn begin(&mut self, line: Line) -> Result<u16, String> {
        self.relay = None;
        self.seen = Seen::default();
        let relay = Relay::start(self.listen, self.upstream).await;
        let relay = relay.map_err(|error| format!("a relay on {}: {error}", self.listen))?;
        relay.set_line(line);
        Ok(self.relay.insert(relay).port())
    }

    /// Cuts the connections that stand.
    pub fn cut(&self) {
        if let Some(relay) = &self.relay {
            relay.cut();
        }
    }

    /// Takes it down. What was seen on it is kept until the next begins.
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
