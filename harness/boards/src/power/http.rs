//! One GET to a relay on the bench's network. Plain HTTP only: such relays have no TLS, and a gateway with
//! TLS is better switched by a command.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hilrig_core::units::Span;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Uri;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HOST};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::login::RelayLogin;

/// The most bytes of an answer.
const LARGEST: usize = 16 * 1024;

/// An answer.
pub struct HttpAnswer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Sends the request, with `basic` as HTTP's Basic authentication. The error says what was found.
pub async fn get(
    url: &str,
    basic: Option<&RelayLogin>,
    deadline: Duration,
) -> Result<HttpAnswer, String> {
    match tokio::time::timeout(deadline, exchange(url, basic)).await {
        Ok(done) => done,
        Err(_) => Err(format!("no answer within {}", Span(deadline))),
    }
}

/// The address without its query, which may have a password.
pub fn shown(url: &str) -> &str {
    url.split_once('?').map_or(url, |(address, _)| address)
}

async fn exchange(url: &str, basic: Option<&RelayLogin>) -> Result<HttpAnswer, String> {
    let url: Uri = url.parse().map_err(|error| format!("it is no address: {error}"))?;
    let host = url.host().ok_or("there is no host in the address")?;
    let port = url.port_u16().unwrap_or(80);
    let authority = url.authority().map_or_else(String::new, ToString::to_string);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port))
        .await
        .map_err(|error| format!("cannot connect: {error}"))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(causes)?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut request = hyper::Request::builder().uri(path).header(HOST, authority);
    if let Some(RelayLogin { user, password }) = basic {
        let token = STANDARD.encode(format!("{user}:{password}"));
        request = request.header(AUTHORIZATION, format!("Basic {token}"));
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(causes)?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LARGEST).collect().await.map_err(|error| {
            format!("the answer broke off, or is larger than {LARGEST} B: {error}")
        })?;
        Ok(HttpAnswer { status, body: body.to_bytes().to_vec() })
    };
    // The connection has to be polled with the request; one that ends has given the sender the reason.
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        _ = connection => answer.await,
    }
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
