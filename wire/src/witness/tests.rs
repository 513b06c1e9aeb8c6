use hilrig_core::certify::Ended;
use proptest::prelude::*;

use super::*;

/// One record.
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = (content.len() as u16).to_be_bytes();
    [&[kind, 3, 3, high, low], content].concat()
}

/// One message of the handshake.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (body.len() as u32).to_be_bytes();
    [&[kind], &length[..], body].concat()
}

/// A TLS 1.2 ServerHello that selects ECDHE-RSA-AES128-GCM-SHA256.
fn server_hello() -> Vec<u8> {
    message(2, &[&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat())
}

/// ClientHello, ServerHello, certificates and ServerHelloDone, in records of `size`.
fn broker_in_records(size: usize) -> Vec<u8> {
    let list = message(11, &[&[0, 0, 13, 0, 0, 10][..], &[9; 10]].concat());
    let all = [server_hello(), list, message(14, &[])].concat();
    all.chunks(size).flat_map(|content| record(22, content)).collect()
}

#[test]
fn messages_are_told_wherever_records_cut_them() {
    let hello = record(22, &message(1, &[3, 3]));
    let whole =
        read_recording([(Side::Board, &hello[..]), (Side::Broker, &broker_in_records(200))]);
    assert_eq!(whole.taken.as_ref().unwrap().suite, 0xc02f);
    assert_eq!(whole.certificates, [10]);
    for size in 1..100 {
        let broker = broker_in_records(size);
        let seen = read_recording([(Side::Board, &hello[..]), (Side::Broker, &broker)]);
        assert_eq!(seen.taken, whole.taken, "records of {size}");
        assert_eq!(seen.certificates, whole.certificates, "records of {size}");
        assert_eq!(seen.largest_from_broker as usize, size.min(66), "records of {size}");
    }
}

#[test]
fn it_stops_behind_the_last_byte_of_a_message() {
    // Two messages in one record, and a third in the next.
    let both = record(22, &[server_hello(), message(14, &[])].concat());
    let end = 5 + server_hello().len();
    let mut witness = Witness::default();
    let stop = Some(HandshakeAt::ServerHello);
    assert_eq!(witness.feed_until(Side::Broker, &both, Duration::ZERO, stop), Some(end));
    assert_eq!(witness.seen().bytes_from_broker, end as u64);
    let mut witness = Witness::default();
    let stop = Some(HandshakeAt::ServerHelloDone);
    for (n, byte) in both.iter().enumerate() {
        let stopped = witness.feed_until(Side::Broker, &[*byte], Duration::ZERO, stop);
        assert_eq!(stopped, (n + 1 == both.len()).then_some(1));
    }
}

#[test]
fn what_is_no_tls_is_told_from_the_first_byte_that_says_so() {
    for (bytes, shown) in [
        // A CONNACK, which is shorter than a record header; a web server; an oversized record.
        (&b"\x20\x02\0\0"[..], " \\x02\\x00\\x00"),
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP/1.1 400 Bad Request\\x0d\\x0a"),
        (b"\x16\x03\x01\x48\x01", "\\x16\\x03\\x01H\\x01"),
    ] {
        let whole = read_recording([(Side::Broker, bytes)]);
        let singles = read_recording(bytes.chunks(1).map(|byte| (Side::Broker, byte)));
        assert_eq!(whole, singles);
        assert_eq!(whole.not_tls, Some((Side::Broker, shown.to_owned())));
    }
    let two = record(21, &[1, 0]);
    assert_eq!(read_recording([(Side::Broker, &two[..])]).not_tls, None);
}

#[test]
fn alerts_in_the_clear_have_a_number_and_encrypted_ones_their_place() {
    let hello = record(22, &server_hello());
    let change = record(20, &[1]);
    let seen = read_recording([
        (Side::Broker, &hello[..]),
        (Side::Board, &record(21, &[1, 112, 2])),
        (Side::Board, &record(21, &[40])),
        (Side::Broker, &change),
        (Side::Broker, &record(21, &[9; 26])),
    ]);
    let board = |fatal, number| Alert { from: Side::Board, fatal, number: Some(number) };
    let broker = Alert { from: Side::Broker, fatal: false, number: None };
    assert_eq!(seen.alerts, [board(false, 112), board(true, 40), broker]);
    assert_eq!(seen.largest_from_broker as usize, hello.len() - 5);
}

#[test]
fn who_was_first_broke_it_off() {
    let alert = |from, level, number| (from, record(21, &[level, number]));
    let first = |pieces: &[(Side, Vec<u8>)]| {
        read_recording(pieces.iter().map(|(from, bytes)| (*from, &bytes[..]))).broke_off
    };
    let (board, broker) = (Side::Board, Side::Broker);
    assert_eq!(first(&[alert(broker, 2, 40), alert(board, 2, 80)]), Some(broker));
    assert_eq!(first(&[alert(board, 2, 48), alert(broker, 2, 40)]), Some(board));
    // A warning does not end the connection, close_notify does.
    assert_eq!(first(&[alert(broker, 1, 112), alert(board, 1, 0)]), Some(board));
    assert_eq!(first(&[alert(broker, 1, 112)]), None);
}

#[test]
fn a_session_is_resumed_where_change_cipher_spec_follows_the_hello() {
    let hello = record(22, &server_hello());
    let (change, finished) = (record(20, &[1]), record(22, &[9; 40]));
    let full = record(22, &message(14, &[]));
    let begun = [(Side::Broker, &hello[..])];
    let end = [(Side::Broker, &change[..]), (Side::Broker, &finished)];
    let board = [(Side::Board, &change[..]), (Side::Board, &finished)];
    let resumed = read_recording(begun.into_iter().chain(end).chain(board));
    assert!(resumed.resumed && resumed.finished);
    let done = [(Side::Broker, &full[..])];
    let anew = read_recording(begun.into_iter().chain(done).chain(board).chain(end));
    assert!(!anew.resumed && anew.finished);
    assert_eq!(anew.handshake_bytes, anew.bytes_from_board + anew.bytes_from_broker);
}

/// Pieces from either side: noise, and data that looks like TLS.
fn pieces() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    let noise = proptest::collection::vec(any::<u8>(), 0..80);
    let some = prop_oneof![
        noise.clone(),
        (20u8..=24, noise.clone()).prop_map(|(kind, content)| record(kind, &content)),
        (0u8..=20, noise).prop_map(|(kind, body)| record(22, &message(kind, &body))),
        Just(record(22, &server_hello())),
        Just(record(20, &[1])),
        (1usize..90).prop_map(broker_in_records),
    ];
    proptest::collection::vec((any::<bool>(), some), 0..12)
}

proptest! {
    #[test]
    fn any_stream_gives_the_same_in_any_cuts(pieces in pieces(), cut in 1usize..40) {
        let side = |board| if board { Side::Board } else { Side::Broker };
        let whole = read_recording(pieces.iter().map(|(from, bytes)| (side(*from), &bytes[..])));
        let cuts = read_recording(pieces.iter().flat_map(|(from, bytes)| {
            bytes.chunks(cut).map(|piece| (side(*from), piece))
        }));
        prop_assert_eq!(&whole, &cuts);
        prop_assert_eq!(whole.ended, None::<Ended>);
        let all: usize = pieces.iter().map(|(_, bytes)| bytes.len()).sum();
        prop_assert_eq!(whole.bytes_from_board + whole.bytes_from_broker, all as u64);
    }

    #[test]
    fn stopping_at_a_message_cuts_at_the_same_byte(pieces in pieces(), cut in 1usize..40) {
        let stops = [HandshakeAt::ServerHello, HandshakeAt::Certificate, HandshakeAt::ServerFinished];
        for stop in stops {
            let until = |size: usize| {
                let mut witness = Witness::default();
                let mut passed = 0;
                for (board, bytes) in &pieces {
                    let from = if *board { Side::Board } else { Side::Broker };
                    for piece in bytes.chunks(size.max(1)) {
                        let used = witness.feed_until(from, piece, Duration::ZERO, Some(stop));
                        passed += used.unwrap_or(piece.len());
                        if used.is_some() {
                            return (passed, witness.seen.clone());
                        }
                    }
                }
                (passed, witness.seen.clone())
            };
            let (passed, mut seen) = until(usize::MAX);
            let (same, mut cuts) = until(cut);
            seen.handshake_seconds = None;
            cuts.handshake_seconds = None;
            prop_assert_eq!((passed, seen), (same, cuts));
        }
    }
}
