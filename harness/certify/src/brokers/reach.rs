//! Checks that a broker at HOST:PORT is reachable before any board is used. An unreachable one gives a one-line error.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hilrig_broker::clients::{ClientCertificate, NotSeen, look};
use hilrig_core::text::printable;
use hilrig_core::units::Span;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::certificate_view::Chain;

/// A reachable broker.
#[derive(Clone, Debug)]
pub struct Reached {
    /// The first of its addresses that accepts a connection.
    pub address: SocketAddr,
    /// The certificates that it sends, as far as the rig's own client received them.
    pub chain: Chain,
}

/// Tries each address of the name and checks, as far as possible, that it speaks TLS.
///
/// # Errors
/// What was found instead, one line.
pub async fn reach(
    host: &str,
    port: u16,
    name: &str,
    cas: &[CertificateDer<'static>],
    own: Option<ClientCertificate<'_>>,
    deadline: Duration,
) -> Result<Reached, String> {
    let looked_up = timeout(deadline, tokio::net::lookup_host((host, port))).await;
    let addresses: Vec<SocketAddr> = match looked_up {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            return Err(format!("{host} cannot be looked up: {error}. Check the name and the DNS"));
        }
        Err(_) => return Err(format!("looking up {host} took longer than {}", Span(deadline))),
    };
    let address = first_that_answers(&addresses, deadline).await?;
    let chain = match timeout(deadline, look(address, name, cas, own)).await {
        Ok(Ok(looked)) => looked.chain,
        Ok(Err(NotSeen::Failed(_))) => Chain::new(),
        Ok(Err(NotSeen::NoTls(_) | NotSeen::Closed | NotSeen::Unreachable { .. })) => {
            match no_tls(address, deadline).await {
                Some(found) => return Err(found),
                None => Chain::new(),
            }
        }
        // A silent broker may still answer a board: the control tests that.
        Err(_) => Chain::new(),
    };
    Ok(Reached { address, chain })
}

/// Most names resolve to IPv6 before IPv4, and a broker may listen on only one of them.
async fn first_that_answers(
    addresses: &[SocketAddr],
    deadline: Duration,
) -> Result<SocketAddr, String> {
    let mut found = Vec::new();
    for address in addresses {
        match timeout(deadline, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Ok(*address),
            Ok(Err(error)) => found.push(format!("{address}: {error}")),
            Err(_) => found.push(format!("{address}: no answer within {}", Span(deadline))),
        }
    }
    found.dedup();
    match found.is_empty() {
        true => Err("the name has no address".into()),
        false => Err(format!(
            "no connection ({}). Start the broker, or check HOST:PORT",
            found.join("; ")
        )),
    }
}

/// The protocol that it speaks, if not TLS.
async fn no_tls(address: SocketAddr, deadline: Duration) -> Option<String> {
    let said = timeout(deadline, answer_to_connect(address)).await;
    let said = said.ok()?.ok()?;
    match said.first()? {
        0x20 => Some(
            "it speaks MQTT without TLS. Name its port for TLS, which is 8883 with most".into(),
        ),
        // Alerts and handshake messages: TLS with nothing in common with rustls, or TLS that answers a plain CONNECT.
        0x15 | 0x16 => None,
        _ => Some(format!(
            "what it answers is not TLS: `{}`. Name the broker's port for TLS, which is 8883 with most",
            printable(&said)
        )),
    }
}

/// The first bytes received after a CONNECT (MQTT 3.1.1, 3.1) without TLS, user and password.
async fn answer_to_connect(address: SocketAddr) -> io::Result<Vec<u8>> {
    let mut tcp = TcpStream::connect(address).await?;
    tcp.write_all(b"\x10\x18\0\x04MQTT\x04\x02\0\x0a\0\x0chilrig-plain").await?;
    let mut said = vec![0; 64];
    let length = tcp.read(&mut said).await?;
    said.truncate(length);
    Ok(said)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn the_next_address_is_tried_and_all_are_named_where_none_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let gone = free.local_addr().unwrap();
        drop(free);
        let found = first_that_answers(&[gone, there], PATIENCE).await;
        assert_eq!(found, Ok(there));
        let found = first_that_answers(&[gone], PATIENCE).await.unwrap_err();
        assert!(found.contains(&gone.to_string()) && found.lines().count() == 1, "{found}");
    }
}
