//! Reading a board's console, on ptys.

#[path = "rom/bench.rs"]
mod bench;
mod rom;

use std::cell::Cell;
use std::fs::File;
use std::io::Write;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bench::board;
use hilrig_boards::{LoaderDeadlines, NoLines, SerialBoard, SerialSettings};
use hilrig_core::board::{Board, BoardFault, Console, ConsoleSink, ResetLines};

/// Keeps the bytes and notifies when there are enough.
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

/// Lines of a chip that prints something at each reset.
struct Speaking {
    chip: Rc<File>,
    says: &'static [u8],
    /// The port's other side, for its rate.
    port: Rc<File>,
    at: Rc<Cell<u32>>,
}

fn rate(port: &File) -> u32 {
    rustix::termios::tcgetattr(port).unwrap().output_speed()
}

#[async_trait(?Send)]
impl ResetLines for Speaking {
    fn words(&self) -> String {
        "speaking".into()
    }

    async fn enter_loader(&mut self, _: BorrowedFd<'_>) -> Result<(), BoardFault> {
        Ok(())
    }

    async fn reset(&mut self, _: BorrowedFd<'_>) -> Result<(), BoardFault> {
        self.at.set(rate(&self.port));
        (&*self.chip).write_all(self.says).unwrap();
        Ok(())
    }
}

const BOOT: &str = "\n ets Jan  8 2013,rst cause:2, boot mode:(3,6)\r\n\r\nload 0x4010f000, len 1384, room 16 \r\n";

#[tokio::test]
async fn after_a_reset_the_port_reads_at_the_roms_rate_and_then_at_the_firmwares() {
    let to_the_end: &'static str = format!("{BOOT}~ld\r\n").leak();
    let to_the_firmware: &'static [u8] = [BOOT.as_bytes(), b"\xf1\x82"].concat().leak();
    // The last line, the firmware's first byte, and silence: after some text, and from the start on.
    for says in [to_the_end.as_bytes(), to_the_firmware, BOOT.as_bytes(), b""] {
        let folder = tempfile::tempdir().unwrap();
        let (master, port, held) = rom::pty();
        let (chip, held) = (Rc::new(File::from(master)), Rc::new(held));
        let at = Rc::new(Cell::new(0));
        let lines = Speaking { chip, says, port: Rc::clone(&held), at: Rc::clone(&at) };
        let settings = SerialSettings { rom_baud: 74_880, ..bench::settings(&port, folder.path()) };
        let mut board = SerialBoard::new(settings, Box::new(lines));
        board.lock("test", Duration::ZERO).await.unwrap();
        // Without a console nothing reads the text, and the rate stays.
        board.reset().await.unwrap();
        assert_eq!((at.get(), rate(&held)), (115_200, 115_200));
        let mut console = board.console().await.unwrap();
        let firmwares = async {
            board.reset().await.unwrap();
            assert_eq!(at.get(), 74_880);
            while rate(&held) != 115_200 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let done = tokio::sync::Notify::new();
        let mut kept = Kept { bytes: Vec::new(), enough: usize::MAX, done: &done };
        tokio::select! {
            fault = console.read_into(&mut kept) => panic!("{fault}"),
            () = firmwares => {}
            () = tokio::time::sleep(Duration::from_secs(20)) => panic!("{says:?}: no change within 20 s"),
        }
        assert_eq!(kept.bytes, [says, says].concat());
        drop(console);
        board.release().await;
    }
}

#[tokio::test]
async fn without_reset_lines_the_board_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (master, port, _held) = rom::pty();
    let mut chip = File::from(master);
    let deadlines =
        LoaderDeadlines { by_hand: Duration::from_secs(20), ..LoaderDeadlines::default() };
    let settings = SerialSettings { deadlines, ..bench::settings(&port, folder.path()) };
    let mut board = SerialBoard::new(settings, Box::new(NoLines));
    let pressed = Rc::new(tokio::sync::Notify::new());
    let told = Rc::clone(&pressed);
    board.set_notes(Box::new(move |text| {
        assert!(text.contains("waiting up to 20 s") && text.contains("RST"), "{text}");
        told.notify_one();
    }));
    board.lock("test", Duration::ZERO).await.unwrap();
    let mut console = board.console().await.unwrap();
    let done = tokio::sync::Notify::new();
    let mut kept = Kept { bytes: Vec::new(), enough: usize::MAX, done: &done };
    tokio::select! {
        fault = console.read_into(&mut kept) => panic!("{fault}"),
        (reset, ()) = async { tokio::join!(board.reset(), async {
            pressed.notified().await;
            chip.write_all(BOOT.as_bytes()).unwrap();
        }) } => reset.unwrap(),
    }
    drop(console);
    board.release().await;

    let deadlines =
        LoaderDeadlines { by_hand: Duration::from_millis(50), ..LoaderDeadlines::default() };
    let settings = SerialSettings { deadlines, ..bench::settings(&port, folder.path()) };
    let mut board = SerialBoard::new(settings, Box::new(NoLines));
    board.lock("test", Duration::ZERO).await.unwrap();
    let mut console = board.console().await.unwrap();
    let done = tokio::sync::Notify::new();
    let mut kept = Kept { bytes: Vec::new(), enough: usize::MAX, done: &done };
    tokio::select! {
        fault = console.read_into(&mut kept) => panic!("{fault}"),
        reset = board.reset() => {
            let text = reset.unwrap_err().to_string();
            assert!(text.contains("not a byte came within 0.05 s") && text.contains("RST"), "{text}");
        }
    }
    board.release().await;
}
