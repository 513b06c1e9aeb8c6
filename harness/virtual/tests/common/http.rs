//! A board's web server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// For a machine under load; without load nothing here takes a tenth of it.
const DEADLINE: Duration = Duration::from_secs(30);

/// One request.
pub async fn get(http: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(http).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut page = Vec::new();
    stream.read_to_end(&mut page).await?;
    if page.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The board's page, as soon as there is one.
pub async fn page(http: SocketAddr) -> String {
    let until = Instant::now() + DEADLINE;
    loop {
        // QEMU's network repeats a connection's first packet only after 6 s, so one from
        // before the board is up has to be abandoned.
        match tokio::time::timeout(Duration::from_millis(250), get(http, "/config")).await {
            Ok(Ok(page)) => return page,
            other => assert!(Instant::now() < until, "no page within {DEADLINE:?}: {other:?}"),
        }
    }
}
