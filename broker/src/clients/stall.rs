//! Clients that keep a broker waiting: one that sends nothing, and one that stops in the middle of its ClientHello.
//! Measures how long the broker waits, and whether other clients can connect meanwhile.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hilrig_core::certify::Outcome;
use hilrig_core::certify::certificate::OtherClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::{Ask, mfln, with_rustls};

/// When a broker closed a stalled client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// After this time.
    After(Duration),
    /// Not within this time.
    NotWithin(Duration),
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GaveUp::After(waited) => write!(f, "{:.1} s", waited.as_secs_f64()),
            GaveUp::NotWithin(waited) => write!(f, "longer than {:.0} s", waited.as_secs_f64()),
        }
    }
}

/// The results of the stalled clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stalled {
    /// The client that sent nothing.
    pub silent: GaveUp,
    /// The client that stopped in the middle of its ClientHello.
    pub halfway: GaveUp,
    /// A client that connected while both were connected.
    pub meanwhile: OtherClient,
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the broker waits {} for a client that says nothing, and {} for one that stops in its ClientHello; ",
            self.silent, self.halfway
        )?;
        match self.meanwhile.outcome {
            Outcome::Connected => f.write_str("another gets through meanwhile"),
            _ => write!(f, "another does not get through meanwhile: {}", self.meanwhile.said),
        }
    }
}

/// Opens both, lets another client connect as `ask` requests meanwhile, and waits for up to `limit`
/// after their last byte for the broker to close each.
///
/// # Errors
/// If the broker cannot be reached.
pub async fn stall(ask: &Ask<'_>, limit: Duration) -> io::Result<Stalled> {
    let hello = mfln::full(ask.server_name)?;
    let mut silent = connect(ask.address, ask.deadline).await?;
    let silent_from = Instant::now();
    let mut halfway = connect(ask.address, ask.deadline).await?;
    halfway.write_all(&hello[..hello.len() / 2]).await?;
    let halfway_from = Instant::now();
    let (silent, halfway, meanwhile) = tokio::join!(
        until_closed(&mut silent, silent_from, limit),
        until_closed(&mut halfway, halfway_from, limit),
        with_rustls(ask),
    );
    Ok(Stalled { silent, halfway, meanwhile })
}

async fn connect(address: SocketAddr, deadline: Duration) -> io::Result<TcpStream> {
    match timeout_at(Instant::now() + deadline, TcpStream::connect(address)).await {
        Ok(connected) => connected,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{address} did not take a connection within {:.1} s", deadline.as_secs_f64()),
        )),
    }
}

/// Data before the close, such as an alert, does not count.
async fn until_closed(tcp: &mut TcpStream, from: Instant, limit: Duration) -> GaveUp {
    let closed = async {
        let mut piece = [0; 1024];
        while matches!(tcp.read(&mut piece).await, Ok(1..)) {}
    };
    match timeout_at(from + limit, closed).await {
        Ok(()) => GaveUp::After(from.elapsed()),
        Err(_) => GaveUp::NotWithin(limit),
    }
}
