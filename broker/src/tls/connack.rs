//! The check that a broker is ready: a CONNACK over verified TLS. An open port or a log line is not enough.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::login::Login;

/// A broker's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Return code of the CONNACK (MQTT 3.1.1, 3.2.2.3): 0 accepted, 5 not authorised.
    pub code: u8,
    /// The TLS version, as `TLSv1_3`.
    pub tls: String,
}

/// A TLS client that trusts `ca` and nothing else.
///
/// # Errors
/// If `ca` is no certificate.
pub fn client_tls(ca: &CertificateDer<'static>) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Connects, verifies that the certificate is for `name`, sends CONNECT, waits for the CONNACK, and
/// disconnects. Has no deadline of its own.
///
/// # Errors
/// Any error of TCP, TLS or the check of the certificate; [`io::ErrorKind::InvalidData`] for an
/// answer that is no CONNACK.
pub async fn answer_over_tls(
    address: SocketAddr,
    name: &str,
    tls: Arc<ClientConfig>,
    login: Option<&Login>,
) -> io::Result<Answered> {
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    let tcp = TcpStream::connect(address).await?;
    // Otherwise the CONNECT waits 40 ms for the acknowledgement of the handshake's last flight.
    tcp.set_nodelay(true)?;
    let mut stream = TlsConnector::from(tls).connect(name, tcp).await?;
    let code = exchange(&mut stream, "hilrig-ready", login).await?;
    let tls = stream.get_ref().1.protocol_version();
    // The answer counts; a broker that refused may have closed already.
    let _ = stream.shutdown().await;
    Ok(Answered { code, tls: tls.map(|v| format!("{v:?}")).unwrap_or_default() })
}

/// Sends CONNECT, waits for the CONNACK, and disconnects if it was accepted. Returns the code.
pub(crate) async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    id: &str,
    login: Option<&Login>,
) -> io::Result<u8> {
    let code = enter(stream, id, login).await?;
    if code == 0 {
        stream.write_all(&[0xe0, 0]).await?;
        stream.flush().await?;
    }
    Ok(code)
}

/// Sends CONNECT and waits for the CONNACK. Returns the code.
pub(crate) async fn enter(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    id: &str,
    login: Option<&Login>,
) -> io::Result<u8> {
    stream.write_all(&connect(id, login)?).await?;
    stream.flush().await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    let &[0x20, 2, _, code] = &answer else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{answer:02x?} came instead of a CONNACK"),
        ));
    };
    Ok(code)
}

/// A CONNECT packet of MQTT 3.1.1 (3.1) with a clean session.
fn connect(id: &str, login: Option<&Login>) -> io::Result<Vec<u8>> {
    let flags = if login.is_some() { 0xc2 } else { 0x02 };
    let mut body = b"\0\x04MQTT\x04".to_vec();
    body.extend([flags, 0, 10]);
    let login = login.map(|login| [&login.user, &login.password]);
    for text in [id].into_iter().chain(login.into_iter().flatten().map(|s| s.as_str())) {
        let length = u16::try_from(text.len()).map_err(io::Error::other)?;
        body.extend(length.to_be_bytes());
        body.extend(text.as_bytes());
    }
    let mut packet = vec![0x10];
    let mut length = body.len();
    while length > 127 {
        packet.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    packet.push(length as u8);
    packet.extend(body);
    Ok(packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connect_packet_is_as_the_standard_has_it() {
        let plain = connect("hilrig-ready", None).unwrap();
        assert_eq!(plain, b"\x10\x18\0\x04MQTT\x04\x02\0\x0a\0\x0chilrig-ready");
        let login = Login { user: "u".into(), password: "p".repeat(200) };
        let long = connect("hilrig-ready", Some(&login)).unwrap();
        // 24 + 3 + 202 bytes: two bytes of length.
        assert_eq!(long[..3], [0x10, 0xe5, 0x01]);
        assert_eq!(long.len(), 3 + 229);
    }
}
