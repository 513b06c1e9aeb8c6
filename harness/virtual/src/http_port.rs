//! The TCP port on which a board's web server is reached.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

use tokio::net::TcpSocket;

use crate::error::VirtualError;

/// Below the range of ports for outgoing connections (from 32768 on).
const PORTS: RangeInclusive<u16> = 20_000..=32_767;

/// How many ports are tried when QEMU cannot bind one.
pub const PORT_TRIES: usize = 16;

/// A port that is reserved for the board as long as this lives. It is bound here and never listened on, so
/// a connection to a board without power is refused.
///
/// QEMU binds it a second time. Linux allows that while both sockets have SO_REUSEADDR (`socket(7)`)
/// and nothing listens yet. So the port is never free between us and QEMU, and a search, which binds
/// without that option, never takes the port of a board that is just starting.
#[derive(Debug)]
pub struct HttpPort {
    address: SocketAddr,
    socket: TcpSocket,
}

impl HttpPort {
    /// Takes a free one. Each board and process starts its search at another port, so that few collide.
    pub fn take(seed: u64) -> Result<HttpPort, VirtualError> {
        let spread =
            (seed ^ u64::from(std::process::id()) << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let count = PORTS.end() - PORTS.start() + 1;
        HttpPort::search(PORTS.start() + ((spread >> 32) % u64::from(count)) as u16)
    }

    /// Takes another, because QEMU could not bind this one.
    pub fn next(&mut self) -> Result<(), VirtualError> {
        *self = HttpPort::search(self.address.port().wrapping_add(1))?;
        Ok(())
    }

    fn search(from: u16) -> Result<HttpPort, VirtualError> {
        let (first, last) = PORTS.into_inner();
        let from = from.clamp(first, last);
        for port in (from..=last).chain(first..from) {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            // Without SO_REUSEADDR, so that a port of another process is refused.
            if let Ok(socket) = TcpSocket::new_v4()
                && socket.bind(address).is_ok()
            {
                return Ok(HttpPort { address, socket });
            }
        }
        Err(VirtualError::NoPort { first, last })
    }

    /// Address of the board's web server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets QEMU bind it as well.
    pub fn share(&self) {
        self.set_shared(true);
    }

    /// Reserves it against all others: QEMU has ended.
    pub fn reserve(&self) {
        self.set_shared(false);
    }

    fn set_shared(&self, shared: bool) {
        // If this fails, QEMU reports that it cannot bind the port.
        if let Err(error) = self.socket.set_reuseaddr(shared) {
            tracing::debug!(%error, address = %self.address, shared, "port not changed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_is_nobody_elses_and_refuses_connections() {
        let mine = HttpPort::take(1).unwrap();
        let address = mine.address();
        let mut other = HttpPort::search(address.port()).unwrap();
        assert_ne!(other.address(), address);
        // The standard library's listeners have SO_REUSEADDR, as QEMU's have.
        assert!(std::net::TcpListener::bind(address).is_err());
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
        mine.share();
        assert_ne!(HttpPort::search(address.port()).unwrap().address(), address);
        let listener = std::net::TcpListener::bind(address).unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let server = listener.accept().unwrap().0;
        let before = other.address();
        other.next().unwrap();
        assert_ne!(other.address(), before);
        // The server's end stays in TIME_WAIT.
        drop((listener, server, client));
        mine.reserve();
        assert!(std::net::TcpListener::bind(address).is_err());
        assert_ne!(HttpPort::search(address.port()).unwrap().address(), address);
        mine.share();
        std::net::TcpListener::bind(address).unwrap();
    }
}
