//! The TCP port on which a board's web server is reached.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

use tokio::net::TcpSocket;

use crate::error::VirtualError;

/// Outside of the range from which systems give ports to outgoing connections (32768 on).
const PORTS: RangeInclusive<u16> = 20_000..=32_767;

/// A port that stays the board's: bound here while QEMU does not have it. It is not listened on,
/// so that a connection to a board without power is refused.
#[derive(Debug)]
pub struct HttpPort {
    address: SocketAddr,
    held: Option<TcpSocket>,
}

impl HttpPort {
    /// Takes a free one. Where the search begins differs from board to board and from process to
    /// process, so that few meet.
    pub fn take(seed: u64) -> Result<HttpPort, VirtualError> {
        let spread =
            (seed ^ u64::from(std::process::id()) << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let count = PORTS.end() - PORTS.start() + 1;
        HttpPort::search(PORTS.start() + ((spread >> 32) % u64::from(count)) as u16)
    }

    /// Takes another, because QEMU could not have this one.
    pub fn next(&mut self) -> Result<(), VirtualError> {
        *self = HttpPort::search(self.address.port().wrapping_add(1))?;
        Ok(())
    }

    fn search(from: u16) -> Result<HttpPort, VirtualError> {
        let (first, last) = PORTS.into_inner();
        let from = from.clamp(first, last);
        for port in (from..=last).chain(first..from) {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            // Without SO_REUSEADDR, so that a port that anybody else holds is refused.
            if let Ok(socket) = TcpSocket::new_v4()
                && socket.bind(address).is_ok()
            {
                return Ok(HttpPort { address, held: Some(socket) });
            }
        }
        Err(VirtualError::NoPort { first, last })
    }

    /// Where the board's web server is reached.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets QEMU have it.
    pub fn release(&mut self) {
        self.held = None;
    }

    /// Takes it back from a QEMU that has ended. Where that fails the port is only less protected.
    pub fn hold(&mut self) {
        self.held = TcpSocket::new_v4()
            .and_then(|socket| {
                // QEMU's old connections linger there.
                socket.set_reuseaddr(true)?;
                socket.bind(self.address)?;
                Ok(socket)
            })
            .inspect_err(|error| tracing::debug!(%error, address = %self.address, "port not held"))
            .ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_held_port_is_nobody_elses_and_refuses_connections() {
        let mut mine = HttpPort::take(1).unwrap();
        let address = mine.address();
        let mut other = HttpPort::search(address.port()).unwrap();
        assert_ne!(other.address(), address);
        assert!(std::net::TcpListener::bind(address).is_err());
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
        mine.release();
        let listener = std::net::TcpListener::bind(address).unwrap();
        let before = other.address();
        other.next().unwrap();
        assert_ne!(other.address(), before);
        drop(listener);
        mine.hold();
        assert_ne!(HttpPort::search(address.port()).unwrap().address(), address);
    }
}
