//! Clients that keep a broker waiting: one that says nothing, and one that stops in the middle of its
//! ClientHello. How long the broker bears that, and whether others get through meanwhile.

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

/// When a broker gave a stalled client up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// After so long.
    After(Duration),
    /// Not within so long.
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

/// What stalled clients met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stalled {
    /// One that said nothing.
    pub silent: GaveUp,
    /// One that stopped in the middle of its ClientHello.
    pub halfway: GaveUp,
    /// A client that came while both were there.
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

/// Opens both, lets another client connect as `ask` says while they are there, and waits for up to
/// `limit` from their last byte on for the broker to close each.
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

/// What it says before that, such as an alert, does not count.
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
