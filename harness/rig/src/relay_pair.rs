//! The wire between one board and the broker of a pool: a relay in front of each of the broker's listeners, so the
//! rig sees what arrives from the board.

use std::net::{IpAddr, SocketAddr};

use hilrig_core::certify::{Ended, Side, WireSeen};
use hilrig_core::plural::counted;
use hilrig_wire::Relay;

use crate::BrokerEndpoint;

/// The relays of one board.
#[derive(Debug)]
pub(crate) struct RelayPair {
    broker: Relay,
    impostor: Relay,
}

impl RelayPair {
    /// Starts both relays on `listen`, each on any free port, in front of the broker at `endpoint`.
    ///
    /// # Errors
    /// The broker's address cannot be looked up, or a relay gets no port.
    pub async fn start(listen: IpAddr, endpoint: &BrokerEndpoint) -> Result<RelayPair, String> {
        Ok(RelayPair {
            broker: relay(listen, &endpoint.host, endpoint.port).await?,
            impostor: relay(listen, &endpoint.host, endpoint.impostor_port).await?,
        })
    }

    /// Port that leads to the broker.
    pub fn port(&self) -> u16 {
        self.broker.port()
    }

    /// Port that leads to the listener whose certificate another CA signed.
    pub fn impostor_port(&self) -> u16 {
        self.impostor.port()
    }

    /// TCP connections that arrived from the board, at either port.
    pub fn connections(&self) -> u32 {
        self.broker.connections() + self.impostor.connections()
    }

    /// What arrived, as text.
    pub fn words(&self) -> String {
        let each = [(&self.broker, "the broker"), (&self.impostor, "the broker of another CA")];
        let each = each.into_iter().filter_map(|(relay, to)| {
            let (peer, seen) = relay.last()?;
            let connections = counted(relay.connections() as usize, "connection");
            Some(format!("{connections} to {to}, the last from {peer}: {}", words(&seen)))
        });
        let each: Vec<String> = each.collect();
        match each.is_empty() {
            true => "no connection from the board reached the rig".into(),
            false => format!("from the board the rig saw {}", each.join("; ")),
        }
    }
}

async fn relay(listen: IpAddr, host: &str, port: u16) -> Result<Relay, String> {
    let tried = || format!("starting a relay on {listen} to the broker at {host}:{port}");
    let found = tokio::net::lookup_host((host, port)).await;
    let found = found.map_err(|error| format!("{}: {error}", tried()))?.next();
    let upstream: SocketAddr = found.ok_or_else(|| format!("{}: no address", tried()))?;
    Relay::start(listen, upstream).await.map_err(|error| format!("{}: {error}", tried()))
}

/// How far a connection came, and how it ended.
fn words(seen: &WireSeen) -> String {
    let far = match (&seen.offered, &seen.taken, seen.finished) {
        (_, _, true) => "the TLS handshake was finished",
        (_, Some(_), false) => "the TLS handshake was not finished",
        (Some(_), None, false) => "the broker did not answer its ClientHello",
        (None, None, false) if seen.bytes_from_board > 0 => "it sent no ClientHello",
        (None, None, false) => "it sent nothing",
    };
    let side = |side: &Side| match side {
        Side::Board => "the board",
        Side::Broker => "the broker",
    };
    match &seen.ended {
        None => format!("{far}, and it is still open"),
        Some(Ended::Closed(by)) => format!("{far}, and {} closed it", side(by)),
        Some(Ended::Reset(by)) => format!("{far}, and {} reset it", side(by)),
        Some(Ended::Cut) => format!("{far}, and the rig cut it"),
        Some(Ended::NoBroker) => "the broker did not accept it".into(),
    }
}

#[cfg(test)]
mod tests {
    use hilrig_core::certify::{Offered, Taken};

    use super::*;

    #[test]
    fn it_is_said_how_far_a_connection_came() {
        let (offered, taken) = (Some(Offered::default()), Some(Taken::default()));
        let none = WireSeen { ended: Some(Ended::Closed(Side::Board)), ..WireSeen::default() };
        let hello = WireSeen { offered: offered.clone(), bytes_from_board: 200, ..none.clone() };
        let refused = WireSeen { taken: taken.clone(), ..hello.clone() };
        let open = WireSeen { finished: true, ended: None, ..refused.clone() };
        assert_eq!(words(&none), "it sent nothing, and the board closed it");
        assert_eq!(
            words(&hello),
            "the broker did not answer its ClientHello, and the board closed it"
        );
        assert_eq!(words(&refused), "the TLS handshake was not finished, and the board closed it");
        assert_eq!(words(&open), "the TLS handshake was finished, and it is still open");
    }
}
