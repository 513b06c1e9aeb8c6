//! Ports of this machine.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Below the ports that Linux uses for outgoing connections (32768 and up), so that a port that is free now does not
/// become the port of an outgoing connection a moment later.
const RANGE: std::ops::Range<u16> = 14000..20000;

/// Ports of 127.0.0.1 that are free at this moment, each once. The start depends on `run` alone: runs at the same
/// time search different ranges, and nothing random is added to a run.
pub(crate) fn free(run: &str) -> impl Iterator<Item = u16> + use<> {
    let count = u64::from(RANGE.end - RANGE.start);
    let mut hasher = DefaultHasher::new();
    run.hash(&mut hasher);
    let first = hasher.finish() % count;
    (0..count)
        .map(move |n| RANGE.start + ((first + n) % count) as u16)
        .filter(|port| taken(*port).is_none())
}

/// Why a port of 127.0.0.1 cannot be used to listen; `None` if it can.
pub(crate) fn taken(port: u16) -> Option<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let error = TcpListener::bind(address).err()?;
    if error.kind() != io::ErrorKind::AddrInUse {
        return Some(error.to_string());
    }
    Some(match TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
        Ok(_) => "another program listens there".into(),
        Err(_) => error.to_string(),
    })
}
