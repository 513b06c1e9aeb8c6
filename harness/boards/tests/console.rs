//! Reading a board's console, on ptys.

#[path = "rom/bench.rs"]
mod bench;
mod rom;

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use bench::board;
use hilrig_core::board::{Board, BoardFault, Console, ConsoleSink};

/// Keeps what came and tells when it is enough.
struct Kept<'a> {
    bytes: Vec<u8>,
    enough: usize,
    done: &'a tokio::sync::Notify,
}

impl ConsoleSink for Kept<'_> {
    fn chunk(&mut self, at: Instant, bytes: &[u8]) {
        assert!(!bytes.is_empty() && at <= Instant::now());
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= self.enough {
            self.done.notify_one();
        }
    }
}

/// Reads until `enough` bytes are there or the port is gone.
async fn read(console: &mut dyn Console, enough: usize) -> (Vec<u8>, Option<BoardFault>) {
    let done = tokio::sync::Notify::new();
    let mut kept = Kept { bytes: Vec::new(), enough, done: &done };
    let fault = tokio::select! {
        fault = console.read_into(&mut kept) => Some(fault),
        () = done.notified() => None,
        () = tokio::time::sleep(Duration::from_secs(20)) => {
            panic!("{} of {enough} bytes within 20 s", kept.bytes.len())
        }
    };
    (kept.bytes, fault)
}

fn feed(master: OwnedFd, bytes: Vec<u8>) -> std::thread::JoinHandle<File> {
    std::thread::spawn(move || {
        let mut master = File::from(master);
        master.write_all(&bytes).unwrap();
        master
    })
}

#[tokio::test]
async fn what_was_sent_before_is_there_and_every_byte_passes() {
    let folder = tempfile::tempdir().unwrap();
    let (master, port, _held) = rom::pty();
    let mut master = File::from(master);
    let all: Vec<u8> = (0..=255).collect();
    master.write_all(&all).unwrap();
    let mut board = board(&port, folder.path());
    board.lock("test", Duration::ZERO).await.unwrap();
    master.write_all(b"between").unwrap();
    let mut console = board.console().await.unwrap();
    master.write_all(b"\x03\x04\x11\x13\x1a\r\n").unwrap();
    let expected = [&all[..], b"between\x03\x04\x11\x13\x1a\r\n"].concat();
    assert_eq!(read(&mut *console, expected.len()).await.0, expected);
}

#[tokio::test]
async fn a_port_that_goes_away_is_named_and_its_last_words_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (master, port, _held) = rom::pty();
    let mut board = board(&port, folder.path());
    board.lock("test", Duration::ZERO).await.unwrap();
    let mut console = board.console().await.unwrap();
    let mut master = File::from(master);
    master.write_all(b"last words").unwrap();
    assert_eq!(read(&mut *console, 10).await.0, b"last words");
    drop(master);
    let (_, fault) = read(&mut *console, 1).await;
    let text = fault.unwrap().to_string();
    assert!(text.contains(port.to_str().unwrap()) && text.contains("gone"), "{text}");
}

#[tokio::test]
async fn a_flood_comes_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (master, port, _held) = rom::pty();
    let mut board = board(&port, folder.path());
    board.lock("test", Duration::ZERO).await.unwrap();
    let mut console = board.console().await.unwrap();
    let flood = bench::image(4 * 1024 * 1024, 7).bytes.to_vec();
    let writer = feed(master, flood.clone());
    let (got, _) = read(&mut *console, flood.len()).await;
    assert!(got == flood, "{} bytes of {}", got.len(), flood.len());
    writer.join().unwrap();
}

#[tokio::test]
async fn a_reading_that_is_dropped_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (master, port, _held) = rom::pty();
    let mut board = board(&port, folder.path());
    board.lock("test", Duration::ZERO).await.unwrap();
    let mut console = board.console().await.unwrap();
    let flood = bench::image(300_000, 9).bytes.to_vec();
    let writer = feed(master, flood.clone());
    let mut got = Vec::new();
    while got.len() < flood.len() {
        got.extend(read(&mut *console, 1000.min(flood.len() - got.len())).await.0);
    }
    assert!(got == flood, "{} bytes of {}", got.len(), flood.len());
    writer.join().unwrap();
}

#[tokio::test]
async fn a_port_that_another_program_has_is_told_with_that_program() {
    let folder = tempfile::tempdir().unwrap();
    let (_master, port, _held) = rom::pty();
    let elsewhere =
        serialport::TTYPort::open(&serialport::new(port.to_string_lossy(), 115_200)).unwrap();
    let mut board = board(&port, folder.path());
    let text = board.lock("test", Duration::ZERO).await.unwrap_err().to_string();
    assert!(text.contains("another program has it open"), "{text}");
    assert!(text.contains(&format!("(pid {})", std::process::id())), "{text}");
    drop(elsewhere);
    board.lock("test", Duration::ZERO).await.unwrap();
    let second = serialport::TTYPort::open(&serialport::new(port.to_string_lossy(), 115_200));
    assert!(second.is_err(), "an open board's port must not be opened by others");
    board.release().await;
    serialport::TTYPort::open(&serialport::new(port.to_string_lossy(), 115_200)).unwrap();
}

#[tokio::test]
async fn a_board_that_is_not_locked_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (_master, port, _held) = rom::pty();
    let mut board = board(&port, folder.path());
    let text = board.console().await.err().unwrap().to_string();
    assert!(text.contains("must be locked first"), "{text}");
    assert!(board.reset().await.is_err());
}
