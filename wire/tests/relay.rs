//! The relay between two ends of TCP: what goes through, and what trouble it makes.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use hilrig_core::certify::{Ended, HandshakeAt, Line, Side};
use hilrig_wire::Relay;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// For anything that is waited for; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(30);

async fn soon<T>(what: &str, waited: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, waited).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// A relay, and the broker's listener behind it.
async fn relay() -> (Relay, TcpListener) {
    let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let relay = Relay::start(Ipv4Addr::LOCALHOST, broker.local_addr().unwrap()).await.unwrap();
    (relay, broker)
}

/// The ends of a connection through it: the board's and the broker's.
async fn ends(relay: &Relay, broker: &TcpListener) -> (TcpStream, TcpStream) {
    let board = soon("connecting", TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port())));
    let board = board.await.unwrap();
    let (broker, _) = soon("accepting", broker.accept()).await.unwrap();
    (board, broker)
}

/// All that comes until the end, and whether that was a reset.
async fn rest(stream: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    match soon("the end of the stream", stream.read_to_end(&mut all)).await {
        Ok(_) => (all, false),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => (all, true),
        Err(error) => panic!("{error}"),
    }
}

async fn ended(relay: &Relay, count: u32) {
    soon("the connection's end", relay.until(|progress| progress.ended == count)).await;
}

/// Bytes that are in no order that a fault could leave as it is.
fn noise(length: usize, mut seed: u32) -> Vec<u8> {
    let next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// One record of TLS 1.2.
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = (content.len() as u16).to_be_bytes();
    [&[kind, 3, 3, high, low], content].concat()
}

/// A handshake as far as it can be made up without keys: who sends what, and what that ends with.
fn handshake() -> Vec<(Side, Vec<u8>, &'static [HandshakeAt])> {
    use HandshakeAt::*;
    let hello = [&[2, 0, 0, 38, 3, 3][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat();
    let certificates = [&[11, 0, 0, 16, 0, 0, 13, 0, 0, 10][..], &[9; 10]].concat();
    // All of the broker's in one record, so that a cut is in the middle of it.
    let broker = [&hello[..], &certificates, &[14, 0, 0, 0]].concat();
    let change = record(20, &[1]);
    let finished = record(22, &[9; 40]);
    let key = record(22, &[16, 0, 0, 2, 5, 5]);
    vec![
        (Side::Board, record(22, &[1, 0, 0, 2, 3, 3]), &[ClientHello]),
        (Side::Broker, record(22, &broker), &[ServerHello, Certificate, ServerHelloDone]),
        (
            Side::Board,
            [&key[..], &change, &finished].concat(),
            &[ClientKeyExchange, ClientFinished],
        ),
        (Side::Broker, [change, finished, record(23, b"behind")].concat(), &[ServerFinished]),
    ]
}

#[tokio::test]
async fn megabytes_go_both_ways_at_once_complete_and_in_order() {
    let (relay, listener) = relay().await;
    let (board, broker) = ends(&relay, &listener).await;
    let (up, down) = (noise(6_000_000, 1), noise(5_000_000, 2));
    let send = async |mut stream: TcpStream, bytes: &[u8], expected: &[u8]| {
        let (mut from, mut to) = stream.split();
        let mut came = Vec::new();
        let (sent, received) = tokio::join!(
            async {
                to.write_all(bytes).await?;
                to.shutdown().await
            },
            from.read_to_end(&mut came)
        );
        sent.unwrap();
        received.unwrap();
        assert!(came == expected, "{} of {} bytes came as they were", came.len(), expected.len());
    };
    soon("the floods", async {
        tokio::join!(send(board, &up, &down), send(broker, &down, &up));
    })
    .await;
    ended(&relay, 1).await;
    let seen = &relay.seen()[0];
    assert_eq!((seen.bytes_from_board, seen.bytes_from_broker), (6_000_000, 5_000_000));
    assert!(seen.not_tls.is_some());
}

#[tokio::test]
async fn a_side_that_has_closed_still_gets_what_the_other_sends() {
    for first in [Side::Board, Side::Broker] {
        let (relay, listener) = relay().await;
        let (mut one, mut other) = ends(&relay, &listener).await;
        if first == Side::Broker {
            std::mem::swap(&mut one, &mut other);
        }
        one.write_all(b"question").await.unwrap();
        one.shutdown().await.unwrap();
        assert_eq!(rest(&mut other).await, (b"question".to_vec(), false));
        assert_eq!(relay.progress().ended, 0);
        other.write_all(b"answer").await.unwrap();
        drop(other);
        assert_eq!(rest(&mut one).await, (b"answer".to_vec(), false));
        ended(&relay, 1).await;
        assert_eq!(relay.seen()[0].ended, Some(Ended::Closed(first)));
    }
}

#[tokio::test]
async fn an_alert_behind_the_other_side_s_end_breaks_nothing_off() {
    let alert = record(21, &[2, 40]);
    for first in [Side::Board, Side::Broker] {
        for closes in [true, false] {
            let (relay, listener) = relay().await;
            let (mut one, mut other) = ends(&relay, &listener).await;
            if first == Side::Broker {
                std::mem::swap(&mut one, &mut other);
            }
            // Closed without a word, or with one.
            if !closes {
                one.write_all(&alert).await.unwrap();
            }
            one.shutdown().await.unwrap();
            rest(&mut other).await;
            other.write_all(&alert).await.unwrap();
            drop(other);
            assert_eq!(rest(&mut one).await, (alert.clone(), false));
            ended(&relay, 1).await;
            let seen = &relay.seen()[0];
            assert_eq!(seen.broke_off, Some(first), "{seen:?}");
            assert!(seen.alerts.iter().any(|alert| alert.from != first), "{seen:?}");
        }
    }
    let (relay, listener) = relay().await;
    let (_board, mut broker) = ends(&relay, &listener).await;
    relay.cut();
    rest(&mut broker).await;
    drop((broker, _board));
    ended(&relay, 1).await;
    assert_eq!(relay.seen()[0].broke_off, None, "the rig cut it");
}

#[tokio::test]
async fn a_reset_goes_through_behind_what_was_sent() {
    for first in [Side::Board, Side::Broker] {
        let (relay, listener) = relay().await;
        let (mut one, mut other) = ends(&relay, &listener).await;
        if first == Side::Broker {
            std::mem::swap(&mut one, &mut other);
        }
        one.write_all(b"last words").await.unwrap();
        let mut words = [0; 10];
        soon("the last words", other.read_exact(&mut words)).await.unwrap();
        one.set_zero_linger().unwrap();
        drop(one);
        assert_eq!(rest(&mut other).await, (Vec::new(), true));
        ended(&relay, 1).await;
        assert_eq!(relay.seen()[0].ended, Some(Ended::Reset(first)));
    }
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_told_and_one_that_comes_is_found() {
    // Bound, so that nobody else gets the port, but nobody listens.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let relay = Relay::start(Ipv4Addr::LOCALHOST, nobody.local_addr().unwrap()).await.unwrap();
    let mut board = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port())).await.unwrap();
    assert_eq!(rest(&mut board).await, (Vec::new(), true));
    ended(&relay, 1).await;
    assert_eq!(relay.seen()[0].ended, Some(Ended::NoBroker));

    let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    relay.set_upstream(broker.local_addr().unwrap());
    let (mut board, broker) = ends(&relay, &broker).await;
    drop(broker);
    assert_eq!(rest(&mut board).await, (Vec::new(), false));
}

/// Plays the handshake through a line and holds what came through against `last`: everything up to it, and
/// not a byte behind it.
async fn breaks_behind(line: Line, last: HandshakeAt, reset: bool) {
    let (relay, listener) = relay().await;
    relay.set_line(line);
    let (mut board, mut broker) = ends(&relay, &listener).await;
    for (from, bytes, ends_with) in handshake() {
        let (source, sink) = match from {
            Side::Board => (&mut board, &mut broker),
            Side::Broker => (&mut broker, &mut board),
        };
        source.write_all(&bytes).await.unwrap();
        if ends_with.contains(&last) {
            let passed = passed(&bytes, last);
            let (came, was_reset) = rest(sink).await;
            assert_eq!((came.as_slice(), was_reset), (&bytes[..passed], reset), "{line:?}");
            let (came, was_reset) = rest(source).await;
            assert_eq!((came.as_slice(), was_reset), (&[][..], reset), "{line:?}");
            break;
        }
        let mut came = vec![0; bytes.len()];
        soon("what goes before", sink.read_exact(&mut came)).await.unwrap();
        assert_eq!(came, bytes);
    }
    ended(&relay, 1).await;
    let seen = &relay.seen()[0];
    assert_eq!(seen.ended, Some(Ended::Cut), "{line:?}");
    assert_eq!(seen.finished, last == HandshakeAt::ServerFinished, "{line:?}");
}

/// Bytes of a side's piece of [`handshake`] up to the end of a message.
fn passed(bytes: &[u8], last: HandshakeAt) -> usize {
    match last {
        HandshakeAt::ServerHello => 5 + 42,
        HandshakeAt::Certificate => 5 + 42 + 20,
        HandshakeAt::ClientKeyExchange => 5 + 6,
        HandshakeAt::ServerFinished => 6 + 45,
        _ => bytes.len(),
    }
}

const MESSAGES: [HandshakeAt; 7] = [
    HandshakeAt::ClientHello,
    HandshakeAt::ServerHello,
    HandshakeAt::Certificate,
    HandshakeAt::ServerHelloDone,
    HandshakeAt::ClientKeyExchange,
    HandshakeAt::ClientFinished,
    HandshakeAt::ServerFinished,
];

#[tokio::test]
async fn the_line_breaks_behind_each_message_and_nothing_behind_it_goes_through() {
    for last in MESSAGES {
        breaks_behind(Line::CutAfter(last), last, false).await;
    }
}

#[tokio::test]
async fn the_line_is_reset_behind_each_message() {
    for last in MESSAGES {
        breaks_behind(Line::ResetAfter(last), last, true).await;
    }
}

#[tokio::test]
async fn a_cut_ends_what_stands_and_not_what_comes() {
    let (relay, listener) = relay().await;
    let (mut board, mut broker) = ends(&relay, &listener).await;
    board.write_all(b"unread by anybody").await.unwrap();
    relay.cut();
    assert!(!rest(&mut board).await.1);
    let (came, reset) = rest(&mut broker).await;
    assert!(b"unread by anybody".starts_with(&came) && !reset);
    ended(&relay, 1).await;
    assert_eq!(relay.seen()[0].ended, Some(Ended::Cut));

    let (mut board, mut broker) = ends(&relay, &listener).await;
    board.write_all(b"on").await.unwrap();
    let mut came = [0; 2];
    soon("the next connection", broker.read_exact(&mut came)).await.unwrap();
    assert_eq!(relay.progress().ended, 1);
    assert_eq!(relay.seen()[1].ended, None);
}

#[tokio::test]
async fn a_delayed_line_is_late_each_way_keeps_the_order_and_can_be_made_quick_again() {
    const DELAY: Duration = Duration::from_millis(40);
    let (relay, listener) = relay().await;
    let (mut board, mut broker) = ends(&relay, &listener).await;
    relay.set_line(Line::Delay(DELAY));
    let flood = noise(1_000_000, 3);
    let since = Instant::now();
    let (mut from_board, mut to_board) = board.split();
    let (mut from_broker, mut to_broker) = broker.split();
    let (mut at_broker, mut at_board) = (vec![0; flood.len()], vec![0; flood.len()]);
    soon("the floods", async {
        let (a, b, c, d) = tokio::join!(
            to_board.write_all(&flood),
            to_broker.write_all(&flood),
            from_broker.read_exact(&mut at_broker),
            from_board.read_exact(&mut at_board),
        );
        (a.unwrap(), b.unwrap(), c.unwrap(), d.unwrap())
    })
    .await;
    assert!(since.elapsed() >= DELAY);
    assert!(at_broker == flood && at_board == flood);

    // The end is as late as the rest, and behind it.
    to_board.write_all(b"end").await.unwrap();
    to_board.shutdown().await.unwrap();
    let since = Instant::now();
    assert_eq!(rest(&mut broker).await, (b"end".to_vec(), false));
    assert!(since.elapsed() >= DELAY);

    relay.set_line(Line::Clean);
    broker.write_all(b"quick").await.unwrap();
    drop(broker);
    assert_eq!(rest(&mut board).await, (b"quick".to_vec(), false));
}

#[tokio::test]
async fn byte_by_byte_all_comes() {
    let (relay, listener) = relay().await;
    relay.set_line(Line::ByteByByte);
    let (mut board, mut broker) = ends(&relay, &listener).await;
    let sent = noise(20_000, 4);
    let reading = async {
        let (mut all, mut reads) = (Vec::new(), 0);
        let mut buffer = vec![0; sent.len()];
        loop {
            match board.read(&mut buffer).await.unwrap() {
                0 => return (all, reads),
                count => all.extend_from_slice(&buffer[..count]),
            }
            reads += 1;
        }
    };
    let writing = async {
        broker.write_all(&sent).await.unwrap();
        broker.shutdown().await.unwrap();
    };
    let ((all, reads), ()) = soon("all bytes", async { tokio::join!(reading, writing) }).await;
    assert!(all == sent);
    // Without it 20,000 bytes come in two pieces.
    assert!(reads > sent.len() / 10, "{reads} reads");
}

#[tokio::test]
async fn of_many_connections_the_first_and_the_last_are_kept() {
    let (relay, listener) = relay().await;
    let echo = async {
        loop {
            let (mut broker, _) = listener.accept().await.unwrap();
            let mut one = [0];
            broker.read_exact(&mut one).await.unwrap();
            broker.write_all(&one).await.unwrap();
        }
    };
    let boards = async {
        // More than are carried at once: the last ones wait for their turn.
        let mut all = Vec::new();
        for n in 0..300u32 {
            let mut board = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port())).await.unwrap();
            board.write_all(&vec![b'x'; 1 + n as usize]).await.unwrap();
            all.push(board);
        }
        for board in &mut all {
            let mut one = [0];
            soon("an echo", board.read_exact(&mut one)).await.unwrap();
            board.shutdown().await.unwrap();
        }
        drop(all);
        ended(&relay, 300).await;
    };
    tokio::select! {
        () = echo => unreachable!("it serves for ever"),
        () = boards => {}
    }
    let sent: Vec<u64> = relay.seen().iter().map(|seen| seen.bytes_from_board).collect();
    assert_eq!(sent[..8], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(sent[8..], [293, 294, 295, 296, 297, 298, 299, 300]);
    assert_eq!(relay.connections(), 300);
}

#[tokio::test]
async fn a_relay_that_is_dropped_ends_everything() {
    let (relay, listener) = relay().await;
    let port = relay.port();
    let (mut board, mut broker) = ends(&relay, &listener).await;
    drop(relay);
    assert_eq!(rest(&mut board).await.0, b"");
    assert_eq!(rest(&mut broker).await.0, b"");
    let gone = async { while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {} };
    soon("the port's end", gone).await;
}
