//! Carries one connection in both directions until it ends.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hilrig_core::certify::{Ended, HandshakeAt, Line, Side, WireSeen};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::control::{Control, locked};
use crate::witness::Witness;

/// Buffer size of one direction, bytes: nearly a record of maximum size.
const BUFFER: usize = 16 * 1024;

/// Maximum number of bytes a direction queues for a delay. When the queue is full, reading pauses until some of
/// it is sent.
const MOST_LATE: usize = 256 * 1024;

/// Timeout for connecting to the broker.
const CONNECT: Duration = Duration::from_secs(10);

/// Time the peers of a cut connection have to close it. Data they send meanwhile is read and discarded: closing
/// a socket with unread data sends a reset.
const LEAVE: Duration = Duration::from_secs(5);

/// A connection and what was seen of it.
#[derive(Debug)]
pub(crate) struct Connection {
    peer: SocketAddr,
    since: Instant,
    line: Line,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    witness: Witness,
    ended: Option<Ended>,
    stood: Option<Duration>,
}

/// How a direction ended.
enum End {
    /// Its source closed it, and the close was forwarded.
    Closed,
    /// Its source was reset.
    Reset,
    /// Its sink accepts no more data. The other direction has the reason.
    NotTaken,
    /// The line breaks here, as requested.
    Broken,
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, control: &Control) -> Connection {
        let line = *control.line.borrow();
        Connection { peer, since: Instant::now(), line, state: Mutex::default() }
    }

    /// Its peer address.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// What has been seen so far.
    pub(crate) fn seen(&self) -> WireSeen {
        let state = locked(&self.state);
        let stood = state.stood.unwrap_or_else(|| self.since.elapsed());
        WireSeen {
            ended: state.ended,
            seconds: stood.as_secs_f64(),
            ..state.witness.seen().clone()
        }
    }

    /// Carries it until it ends.
    pub(crate) async fn carry(self: Arc<Self>, mut board: TcpStream, control: &Control) {
        let mut cuts = control.cuts.subscribe();
        let upstream = *locked(&control.upstream);
        let connected = tokio::select! {
            connected = tokio::time::timeout(CONNECT, TcpStream::connect(upstream)) => connected,
            _ = cuts.changed() => {
                self.over(Ended::Cut, control);
                return leave(&mut board, None).await;
            }
        };
        let mut broker = match connected {
            Ok(Ok(broker)) => broker,
            failed => {
                let found = match failed {
                    Ok(Err(error)) => error.to_string(),
                    _ => format!("no answer within {} s", CONNECT.as_secs()),
                };
                tracing::debug!("connecting the relay to the broker at {upstream}: {found}");
                self.over(Ended::NoBroker, control);
                // The board's connection is open already: a reset is the closest to a refused connection.
                let _ = board.set_zero_linger();
                return;
            }
        };
        for stream in [&board, &broker] {
            // The relay adds no delay of its own: a segment received is sent as a segment.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!("TCP_NODELAY: {error}");
            }
        }
        if self.line == Line::ByteByByte {
            // The socket accepts a byte only after the previous one is sent, so each byte is a segment.
            if let Err(error) = SockRef::from(&board).set_tcp_notsent_lowat(1) {
                tracing::warn!("TCP_NOTSENT_LOWAT: {error}; bytes may share a segment");
            }
        }
        let how = tokio::select! {
            how = self.both(&mut board, &mut broker, control) => how,
            _ = cuts.changed() => How::Cut,
        };
        match how {
            How::Closed(by) => self.over(Ended::Closed(by), control),
            How::Reset(by) => {
                self.over(by, control);
                let _ = board.set_zero_linger();
                let _ = broker.set_zero_linger();
            }
            How::Cut => {
                self.over(Ended::Cut, control);
                leave(&mut board, Some(&mut broker)).await;
            }
        }
    }

    /// Runs both directions until no more data can come.
    async fn both(&self, board: &mut TcpStream, broker: &mut TcpStream, control: &Control) -> How {
        let (from_board, to_board) = board.split();
        let (from_broker, to_broker) = broker.split();
        let up = self.direction(Side::Board, from_board, to_broker, control);
        let down = self.direction(Side::Broker, from_broker, to_board, control);
        tokio::pin!(up, down);
        let (mut up_ended, mut down_ended) = (false, false);
        // The side that closed first.
        let mut closed = None;
        // A side that accepted no more data was reset, however its own direction ends.
        let mut takes_none = None;
        loop {
            let (from, to, end) = tokio::select! {
                end = &mut up, if !up_ended => {
                    up_ended = true;
                    (Side::Board, Side::Broker, end)
                }
                end = &mut down, if !down_ended => {
                    down_ended = true;
                    (Side::Broker, Side::Board, end)
                }
            };
            match end {
                End::Closed if takes_none == Some(from) => return How::Reset(Ended::Reset(from)),
                End::Closed => self.began_to_end(*closed.get_or_insert(from)),
                End::Reset => return How::Reset(Ended::Reset(from)),
                End::NotTaken => takes_none = takes_none.or(Some(to)),
                End::Broken => {
                    return match self.line {
                        Line::ResetAfter(_) => How::Reset(Ended::Cut),
                        _ => How::Cut,
                    };
                }
            }
            if up_ended && down_ended {
                return match (closed, takes_none) {
                    (Some(by), _) => How::Closed(by),
                    (None, by) => How::Reset(Ended::Reset(by.unwrap_or(from))),
                };
            }
        }
    }

    /// Carries the data sent by `from`.
    async fn direction(
        &self,
        from: Side,
        mut source: ReadHalf<'_>,
        mut sink: WriteHalf<'_>,
        control: &Control,
    ) -> End {
        let line = control.line.subscribe();
        let single = self.line == Line::ByteByByte && from == Side::Broker;
        let stop = match self.line {
            Line::CutAfter(at) | Line::ResetAfter(at) => Some(at),
            _ => None,
        };
        let mut buffer = vec![0; BUFFER];
        let mut late = Late::default();
        loop {
            tokio::select! {
                piece = late.next() => match piece {
                    Piece::Bytes(bytes) => {
                        if write(&mut sink, &bytes, single).await.is_err() {
                            return End::NotTaken;
                        }
                    }
                    Piece::End(end) => return ended(end, &mut sink).await,
                },
                read = source.read(&mut buffer), if late.has_room() => {
                    let (bytes, end) = match read {
                        Ok(0) => (&[][..], Some(End::Closed)),
                        Ok(count) => match self.saw(from, &buffer[..count], stop, control) {
                            Some(count) => (&buffer[..count], Some(End::Broken)),
                            None => (&buffer[..count], None),
                        },
                        Err(error) => {
                            tracing::debug!("{from:?} of a relayed connection: {error}");
                            (&[][..], Some(End::Reset))
                        }
                    };
                    let delay = delay(&line);
                    if delay > Duration::ZERO || !late.is_empty() {
                        late.push(Instant::now() + delay, bytes, end);
                        continue;
                    }
                    if write(&mut sink, bytes, single).await.is_err() {
                        return End::NotTaken;
                    }
                    if let Some(end) = end {
                        return ended(end, &mut sink).await;
                    }
                }
            }
        }
    }

    /// Parses data sent by `from`. Returns the offset of a requested break, if it is in this data.
    fn saw(
        &self,
        from: Side,
        bytes: &[u8],
        stop: Option<HandshakeAt>,
        control: &Control,
    ) -> Option<usize> {
        let mut state = locked(&self.state);
        let finished = state.witness.seen().finished;
        let stopped = state.witness.feed_until(from, bytes, self.since.elapsed(), stop);
        let finishes = !finished && state.witness.seen().finished;
        drop(state);
        if finishes {
            control.progress.send_modify(|progress| progress.finished += 1);
        }
        stopped
    }

    /// Records that one side closed its direction.
    fn began_to_end(&self, by: Side) {
        let mut state = locked(&self.state);
        state.ended.get_or_insert(Ended::Closed(by));
        state.witness.breaks_off(Some(by));
    }

    /// Records the end of the connection.
    fn over(&self, how: Ended, control: &Control) {
        let mut state = locked(&self.state);
        state.ended.get_or_insert(how);
        state.witness.breaks_off(match how {
            Ended::Closed(by) | Ended::Reset(by) => Some(by),
            Ended::Cut | Ended::NoBroker => None,
        });
        state.stood = Some(self.since.elapsed());
        drop(state);
        control.progress.send_modify(|progress| progress.ended += 1);
    }
}

/// How a connection ended.
enum How {
    /// Both sides closed it, this one first.
    Closed(Side),
    /// Forwarded as a reset to both sides.
    Reset(Ended),
    /// The rig closes both sides.
    Cut,
}

/// Ends a direction and signals the end to its sink.
async fn ended(end: End, sink: &mut WriteHalf<'_>) -> End {
    if matches!(end, End::Closed) && sink.shutdown().await.is_err() {
        return End::NotTaken;
    }
    end
}

async fn write(sink: &mut WriteHalf<'_>, bytes: &[u8], single: bool) -> io::Result<()> {
    if !single {
        return sink.write_all(bytes).await;
    }
    for byte in bytes.chunks(1) {
        sink.write_all(byte).await?;
        // The reader may run on this runtime.
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn delay(line: &watch::Receiver<Line>) -> Duration {
    match *line.borrow() {
        Line::Delay(delay) => delay,
        _ => Duration::ZERO,
    }
}

/// Closes both ways, then waits briefly for the peers to close.
async fn leave(board: &mut TcpStream, broker: Option<&mut TcpStream>) {
    async fn close(stream: &mut TcpStream) {
        let _ = stream.shutdown().await;
        let mut thrown = [0; 1024];
        while stream.read(&mut thrown).await.is_ok_and(|count| count > 0) {}
    }
    let both = async {
        match broker {
            Some(broker) => {
                tokio::join!(close(board), close(broker));
            }
            None => close(board).await,
        }
    };
    let _ = tokio::time::timeout(LEAVE, both).await;
}

/// Data queued for a delay, in order.
#[derive(Default)]
struct Late {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    end: Option<(Instant, End)>,
}

enum Piece {
    Bytes(Vec<u8>),
    End(End),
}

impl Late {
    fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.end.is_none()
    }

    fn has_room(&self) -> bool {
        self.end.is_none() && self.bytes < MOST_LATE
    }

    fn push(&mut self, due: Instant, bytes: &[u8], end: Option<End>) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.pieces.push_back((due, bytes.to_vec()));
        }
        self.end = end.map(|end| (due, end));
    }

    /// Waits for the next item that is due; forever if there is none.
    async fn next(&mut self) -> Piece {
        let due = self.pieces.front().map(|(due, _)| *due);
        match due.or(self.end.as_ref().map(|(due, _)| *due)) {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
        if let Some((_, bytes)) = self.pieces.pop_front() {
            self.bytes -= bytes.len();
            return Piece::Bytes(bytes);
        }
        match self.end.take() {
            Some((_, end)) => Piece::End(end),
            None => std::future::pending().await,
        }
    }
}
