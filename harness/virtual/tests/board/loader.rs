//! The loader on a real port, with clients that do things wrong.

use hilrig_virtual::BoardState;

use crate::bench::{BoardFolders, Client, DEADLINE};

#[tokio::test]
async fn a_blank_board_waits_in_the_loader_and_says_so() {
    let bench = BoardFolders::new();
    let board = bench.blank("a").await;
    let said = board.client(|mut client| client.expect("boot mode:(1,6)\r\n\r\n")).await;
    assert_eq!(said, "\r\n ets Jan  8 2013,rst cause:1, boot mode:(1,6)\r\n\r\n");
    assert_eq!(board.control.status().await.unwrap().state, BoardState::Loader);
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn errors_cost_their_command_and_nothing_else() {
    let bench = BoardFolders::new();
    let board = bench.blank("a").await;
    board
        .client(|mut client| {
            let block = [0x5A; 0x400];
            assert_eq!(client.ask(3, &[0x400, 0, 0, 0], &block).1, 6, "DATA before BEGIN");
            assert_eq!(client.ask(2, &[0x1000, 1, 0x400, 0x40_0000], &[]).1, 6, "behind 4 MiB");
            assert_eq!(client.ask(2, &[0x1000, 4, 0x400, 0x1000], &[]).1, 0);
            client.send(&Client::request(3, &[0x400, 0, 0, 0], &block, 0));
            assert_eq!(client.reply(3).1, 7, "checksum");
            // A frame that is cut short, then noise, then the same frame whole.
            let whole = Client::request(3, &[0x400, 0, 0, 0], &block, 0xEF);
            client.send(&whole[..500]);
            client.send(b"\xc0noise\xff\x00");
            client.send(&whole);
            assert_eq!(client.reply(3).1, 5, "the one that was cut");
            assert_eq!(client.reply(3).1, 0, "the one that was whole");
            assert_eq!(client.ask(0x0A, &[0x4000_1000], &[]), (0xFFF0_C101, 0));
        })
        .await;
    let flash = board.flash();
    assert_eq!(flash.len(), 4 * 1024 * 1024);
    assert!(flash[0x1000..0x1400].iter().all(|byte| *byte == 0x5A));
    assert!(flash[0x1400..].iter().chain(&flash[..0x1000]).all(|byte| *byte == 0xFF));
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn two_clients_at_once_end_in_no_harm() {
    let bench = BoardFolders::new();
    let board = bench.blank("a").await;
    // Both write whole frames; which of them reads a reply is chance, as on a real port.
    let port = board.serving.ready().port.clone();
    let clients = [1, 2].map(|_| {
        let mut client = Client::open(&port);
        tokio::task::spawn_blocking(move || {
            for _ in 0..200 {
                client.send(&Client::request(0x0A, &[0x4000_1000], &[], 0));
            }
        })
    });
    for client in clients {
        client.await.unwrap();
    }
    let value = board
        .client(|mut client| {
            for _ in 0..400 {
                assert_eq!(client.reply(0x0A), (0xFFF0_C101, 0));
            }
            client.ask(0x0A, &[0x4000_1000], &[])
        })
        .await;
    assert_eq!(value, (0xFFF0_C101, 0));
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_port_that_nobody_reads_loses_bytes_and_does_not_stop_the_board() {
    let bench = BoardFolders::new();
    let board = bench.blank("a").await;
    let mut client = Client::open(&board.serving.ready().port);
    let sent = tokio::task::spawn_blocking(move || {
        let request = Client::request(0x0A, &[0x4000_1000], &[], 0);
        for _ in 0..20_000 {
            client.send(&request);
        }
        client
    });
    let client = sent.await.unwrap();
    let status = board.control.status().await.unwrap();
    assert!(status.lost_to_port > 0, "{status:?}");
    drop(client);
    board.serving.stop().await.unwrap();
}

/// Most serial tools open the port exclusively (TIOCEXCL), which its last close ends.
#[tokio::test]
async fn exclusive_use_ends_with_the_client() {
    let bench = BoardFolders::new();
    let board = bench.blank("a").await;
    let first = Client::open(&board.serving.ready().port);
    rustix::termios::ioctl_tiocexcl(first.port()).unwrap();
    assert!(is_exclusive(first.port()));
    drop(first);
    // Root may open it in any case.
    let second = Client::open(&board.serving.ready().port);
    let until = std::time::Instant::now() + DEADLINE;
    while is_exclusive(second.port()) {
        assert!(std::time::Instant::now() < until, "still exclusive after {DEADLINE:?}");
        tokio::task::yield_now().await;
    }
    board.serving.stop().await.unwrap();
}

fn is_exclusive(port: &std::fs::File) -> bool {
    const TIOCGEXCL: rustix::ioctl::Opcode = rustix::ioctl::opcode::read::<i32>(b'T', 0x40);
    // SAFETY: this request writes one int.
    let get = unsafe { rustix::ioctl::Getter::<TIOCGEXCL, i32>::new() };
    // SAFETY: as above.
    unsafe { rustix::ioctl::ioctl(port, get) }.unwrap() != 0
}

/// The benchmarks measure the speed; here only that nothing is lost.
#[tokio::test]
async fn a_large_image_arrives_byte_for_byte() {
    let bench = BoardFolders::new();
    let board = bench.blank("a").await;
    let image: Vec<u8> = (0..200 * 1024u32).map(|at| ((at * 31) >> 3) as u8).collect();
    let sent = image.clone();
    let time = board
        .client(move |mut client| {
            let start = std::time::Instant::now();
            client.flash(0, &sent);
            start.elapsed()
        })
        .await;
    eprintln!("200 KiB flashed in {time:?}");
    let flash = board.flash();
    assert!(flash[..image.len()] == image);
    assert!(flash[image.len()..].iter().all(|byte| *byte == 0xFF));
    board.serving.stop().await.unwrap();
}
