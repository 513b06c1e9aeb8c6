//! The rig's own time server: SNTP (RFC 4330), server mode, answers from this machine's clock, or as
//! if it were another time.
//!
//! The boards check certificate dates, a bench has no route to a public time server, and the rig
//! must know the time that a board received.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::net::UdpSocket;

/// Seconds from 1900-01-01, where NTP's era 0 begins, to 1970-01-01.
const UNIX_IN_NTP: u64 = 2_208_988_800;

/// A packet without extensions, bytes.
const PACKET: usize = 48;

/// Client addresses that are kept. More than a bench has boards.
const MOST_ASKERS: usize = 1024;

/// A bound time server.
pub struct TimeServer {
    socket: UdpSocket,
    port: u16,
    served: Cell<(ServedTime, Instant)>,
    /// Requests by source address.
    requests: RefCell<BTreeMap<IpAddr, u64>>,
}

/// The time that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServedTime {
    /// This machine's.
    Now,
    /// So many seconds after 1970, running on from there.
    At(i64),
}

impl TimeServer {
    /// Binds to any free port.
    pub async fn bind(address: IpAddr) -> std::io::Result<TimeServer> {
        let socket = UdpSocket::bind((address, 0)).await?;
        let port = socket.local_addr()?.port();
        let served = Cell::new((ServedTime::Now, Instant::now()));
        Ok(TimeServer { socket, port, served, requests: RefCell::default() })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Requests for the time that came from this address so far.
    pub fn requests_from(&self, address: IpAddr) -> u64 {
        self.requests.borrow().get(&address).copied().unwrap_or_default()
    }

    /// Serves this time from now on.
    pub fn set(&self, time: ServedTime) {
        self.served.set((time, Instant::now()));
    }

    /// The time to serve, since 1970.
    fn now(&self) -> Duration {
        match self.served.get() {
            (ServedTime::Now, _) => {
                SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
            }
            (ServedTime::At(then), since) => {
                Duration::from_secs(u64::try_from(then).unwrap_or(0)) + since.elapsed()
            }
        }
    }

    fn count(&self, from: IpAddr) {
        let mut requests = self.requests.borrow_mut();
        if requests.len() < MOST_ASKERS || requests.contains_key(&from) {
            *requests.entry(from).or_default() += 1;
        }
    }

    /// Answers until dropped. Ignores packets that are not time requests.
    pub async fn serve(&self) -> std::io::Error {
        let mut request = [0; 128];
        loop {
            // An error here is about an earlier answer that was not received; the next request is
            // not affected.
            let Ok((length, from)) = self.socket.recv_from(&mut request).await else {
                if let Err(error) = self.socket.readable().await {
                    return error;
                }
                continue;
            };
            if let Some(reply) = answer(&request[..length], self.now()) {
                self.count(from.ip());
                let _ = self.socket.send_to(&reply, from).await;
            }
        }
    }
}

/// The answer to a request that came at `now` (since 1970).
fn answer(request: &[u8], now: Duration) -> Option<[u8; PACKET]> {
    let first = *request.first().filter(|_| request.len() >= PACKET)?;
    let (version, mode) = (first >> 3 & 7, first & 7);
    if mode != 3 || !(1..=4).contains(&version) {
        return None;
    }
    let mut reply = [0; PACKET];
    reply[0] = version << 3 | 4; // no leap warning, server
    reply[1] = 2; // stratum: a clock that is set from another
    reply[2] = request[2]; // poll interval, as asked
    reply[3] = (-20i8) as u8; // precision: about a microsecond
    reply[12..16].copy_from_slice(b"RIG\0");
    let now = ntp(now);
    reply[16..24].copy_from_slice(&now); // reference
    reply[24..32].copy_from_slice(&request[40..48]); // originate: the client's transmit time
    reply[32..40].copy_from_slice(&now); // receive
    reply[40..48].copy_from_slice(&now); // transmit
    Some(reply)
}

/// 32 bits of seconds (the era is implied), 32 bits of fraction.
fn ntp(since_1970: Duration) -> [u8; 8] {
    let seconds = (since_1970.as_secs() + UNIX_IN_NTP) as u32;
    let fraction = ((u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000) as u32;
    let mut out = [0; 8];
    out[..4].copy_from_slice(&seconds.to_be_bytes());
    out[4..].copy_from_slice(&fraction.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_client_gets_its_own_time_back_and_ours() {
        let mut request = [0; PACKET];
        request[0] = 0x23; // version 4, client
        request[40..48].copy_from_slice(b"transmit");
        // 2020-01-01T00:00:00.5Z; 0xE1B65F80 is that second in NTP's era 0.
        let reply = answer(&request, Duration::from_millis(1_577_836_800_500)).unwrap();
        assert_eq!(reply[0], 0x24);
        assert_eq!(&reply[24..32], b"transmit");
        assert_eq!(&reply[40..48], &[0xe1, 0xb6, 0x5f, 0x80, 0x80, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn only_a_request_is_answered(bytes: Vec<u8>) {
            if let Some(reply) = answer(&bytes, Duration::from_secs(1)) {
                prop_assert!(bytes.len() >= PACKET && bytes[0] & 7 == 3);
                prop_assert_eq!(reply[0] & 7, 4);
            }
        }
    }
}
