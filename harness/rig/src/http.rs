//! The rig's side of the board's web server: one request a connection, every one with a deadline,
//! every answer bounded.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The largest answer, bytes. A board of this class serves a few kilobytes.
const LARGEST: usize = 256 * 1024;

/// How long a board that announces a close may take.
const TO_CLOSE: Duration = Duration::from_secs(1);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// The result of a request that may be refused.
#[derive(Debug)]
pub enum Tried {
    /// An answer.
    Answered(Answer),
    /// No connection, or one that ended without a byte; how, as text.
    Refused(String),
}

/// Why an exchange failed.
enum Ended {
    /// Before a byte of the answer.
    Before(String),
    /// In the middle of the answer.
    Within(String),
}

/// No answer, as text: what was tried, what was found.
pub type NoAnswer = String;

/// GET.
pub async fn get(to: SocketAddr, path: &str, deadline: Duration) -> Result<Answer, NoAnswer> {
    ask(to, hyper::Method::GET, path, Vec::new(), deadline).await
}

/// POST.
pub async fn post(
    to: SocketAddr,
    path: &str,
    body: Vec<u8>,
    deadline: Duration,
) -> Result<Answer, NoAnswer> {
    ask(to, hyper::Method::POST, path, body, deadline).await
}

/// DELETE.
pub async fn delete(to: SocketAddr, path: &str, deadline: Duration) -> Result<Answer, NoAnswer> {
    ask(to, hyper::Method::DELETE, path, Vec::new(), deadline).await
}

/// GET from a board that may have no memory for one more connection.
pub async fn try_get(to: SocketAddr, path: &str, deadline: Duration) -> Result<Tried, NoAnswer> {
    let shown = shown(&hyper::Method::GET, to, path);
    let exchange = exchange(to, hyper::Method::GET, path, Vec::new());
    match tokio::time::timeout(deadline, exchange).await {
        Ok(Ok(answer)) => Ok(Tried::Answered(answer)),
        Ok(Err(Ended::Before(found))) => Ok(Tried::Refused(found)),
        Ok(Err(Ended::Within(found))) => Err(format!("{shown}: {found}")),
        Err(_) => Err(format!("{shown}: no answer within {}", hilrig_core::units::Span(deadline))),
    }
}

/// The query can contain a password, so messages leave it out.
fn shown(method: &hyper::Method, to: SocketAddr, path: &str) -> String {
    format!("{method} http://{to}{}", path.split_once('?').map_or(path, |(path, _)| path))
}

async fn ask(
    to: SocketAddr,
    method: hyper::Method,
    path: &str,
    body: Vec<u8>,
    deadline: Duration,
) -> Result<Answer, NoAnswer> {
    let shown = shown(&method, to, path);
    match tokio::time::timeout(deadline, exchange(to, method, path, body)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Ended::Before(found) | Ended::Within(found))) => Err(format!("{shown}: {found}")),
        Err(_) => Err(format!("{shown}: no answer within {}", hilrig_core::units::Span(deadline))),
    }
}

async fn exchange(
    to: SocketAddr,
    method: hyper::Method,
    path: &str,
    body: Vec<u8>,
) -> Result<Answer, Ended> {
    let stream =
        TcpStream::connect(to).await.map_err(|e| Ended::Before(format!("cannot connect: {e}")))?;
    let (mut sender, mut connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| Ended::Before(e.to_string()))?;
    let mut request =
        hyper::Request::builder().method(method).uri(path).header(HOST, to.to_string());
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/octet-stream");
    }
    let request =
        request.body(Full::new(Bytes::from(body))).map_err(|e| Ended::Before(e.to_string()))?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(|e| Ended::Before(causes(e)))?;
        let status = answer.status().as_u16();
        let closes = answer.headers().get(CONNECTION).is_some_and(|value| value == "close");
        let body = Limited::new(answer.into_body(), LARGEST).collect().await.map_err(|e| {
            let why = format!("the answer broke off, or is larger than {LARGEST} B: {e}");
            Ended::Within(why)
        })?;
        Ok::<_, Ended>((Answer { status, body: body.to_bytes().to_vec() }, closes))
    };
    // The connection must be polled together with the request; it ends when the answer is complete.
    tokio::pin!(answer);
    let (answer, closes) = tokio::select! {
        answer = &mut answer => answer?,
        ended = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => match ended {
            // A board that closes after its answer: the answer has arrived and is in the sender's buffer.
            Ok(()) => answer.await?,
            Err(e) => answer.await.map_err(|ended| match ended {
                Ended::Before(_) => Ended::Before(causes(e)),
                within => within,
            })?,
        },
    };
    if closes {
        let mut stream = connection.into_parts().io.into_inner();
        // A board that does not close as announced has answered all the same.
        let _ = tokio::time::timeout(TO_CLOSE, until_closed(&mut stream)).await;
    }
    Ok(answer)
}

/// Waits for a board that announces a close. If the next request were sent before, the heap that the board has
/// allocated for this one might count against the next, depending on timing.
async fn until_closed(stream: &mut TcpStream) {
    let mut rest = [0; 512];
    while matches!(stream.read(&mut rest).await, Ok(more) if more > 0) {}
}

/// hyper's errors have the cause only in their source.
fn causes(error: hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// A value for a query: everything but unreserved characters (RFC 3986) as `%XX`.
pub fn query_value(value: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte as char)
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    async fn served(answer: &'static [u8]) -> Result<Answer, NoAnswer> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            stream.write_all(answer).await.unwrap();
        };
        tokio::join!(get(to, "/x?secret=1", Duration::from_secs(5)), server).0
    }

    #[tokio::test]
    async fn an_answer_that_ends_with_the_connection_is_whole() {
        let answer = served(b"HTTP/1.1 200 OK\r\n\r\nhello").await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello"[..]));
    }

    #[tokio::test]
    async fn what_is_no_http_is_said_so_without_the_query() {
        for garbage in
            [&b"\x00\xff\r\n\r\n"[..], b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"]
        {
            let error = served(garbage).await.unwrap_err();
            assert!(error.contains("GET http://127.0.0.1") && !error.contains("secret"), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_meets_the_deadline() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let error = get(to, "/", Duration::from_secs(3)).await.unwrap_err();
        assert!(error.ends_with("no answer within 3 s"), "{error}");
    }

    #[test]
    fn query_values_are_escaped() {
        assert_eq!(query_value("a b&c=\u{e9}"), "a%20b%26c%3D%C3%A9");
    }
}
