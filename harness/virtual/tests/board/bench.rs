//! A bench with virtual boards, and a bare client for their ports.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hilrig_core::slip;
use hilrig_virtual::{ControlSocket, Serving, VirtualBoard, VirtualBoardConfig};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// For a machine under load; without load nothing here takes a tenth of it.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub struct BoardFolders {
    pub dir: tempfile::TempDir,
}

impl BoardFolders {
    pub fn new() -> BoardFolders {
        BoardFolders { dir: tempfile::tempdir().unwrap() }
    }

    /// For boards that do not boot.
    pub fn config(&self, name: &str) -> VirtualBoardConfig {
        let boot_rom = self.dir.path().join("none.elf");
        std::fs::write(&boot_rom, "").unwrap();
        VirtualBoardConfig {
            state_dir: self.dir.path().join(name),
            mac: None,
            seed: 1,
            qemu: "true".into(),
            boot_rom,
            gdb: false,
        }
    }

    pub async fn blank(&self, name: &str) -> TestBoard {
        TestBoard::start(self.config(name)).await
    }
}

pub struct TestBoard {
    pub serving: Serving,
    pub control: ControlSocket,
    pub flash: PathBuf,
}

impl TestBoard {
    pub async fn start(config: VirtualBoardConfig) -> TestBoard {
        let flash = config.state_dir.join("flash.bin");
        let serving = VirtualBoard::start(config).await.unwrap().serve();
        let control = ControlSocket::new(&serving.ready().control);
        TestBoard { serving, control, flash }
    }

    /// Runs a blocking client on the board's port, while the board runs here.
    pub async fn client<T: Send + 'static>(
        &self,
        client: impl FnOnce(Client) -> T + Send + 'static,
    ) -> T {
        let client_on = Client::open(&self.serving.ready().port);
        tokio::task::spawn_blocking(move || client(client_on)).await.unwrap()
    }

    pub fn flash(&self) -> Vec<u8> {
        std::fs::read(&self.flash).unwrap()
    }
}

/// A client that only knows the port.
pub struct Client {
    port: File,
    frames: slip::FrameDecoder,
    /// Further replies that were read: command, value, error.
    replies: VecDeque<(u8, u32, u8)>,
}

impl Client {
    pub fn open(port: &Path) -> Client {
        let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK;
        let port = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.bits() as i32)
            .open(port)
            .unwrap();
        Client { port, frames: slip::FrameDecoder::default(), replies: VecDeque::new() }
    }

    pub fn port(&self) -> &File {
        &self.port
    }

    pub fn send(&mut self, mut bytes: &[u8]) {
        let until = Instant::now() + DEADLINE;
        while !bytes.is_empty() {
            match self.port.write(bytes) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    assert!(self.wait(PollFlags::OUT, until), "the board takes nothing");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Reads what is there, or waits for it. Nothing at the deadline.
    pub fn read_until(&mut self, until: Instant) -> Vec<u8> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.port.read(&mut buffer) {
                Ok(got) => return buffer[..got].to_vec(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !self.wait(PollFlags::IN, until) {
                        return Vec::new();
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn wait(&self, what: PollFlags, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        poll(&mut [PollFd::new(&self.port, what)], Some(&left)).unwrap() > 0
    }

    /// Reads until the text; returns everything that was read.
    pub fn expect(&mut self, text: &str) -> String {
        let until = Instant::now() + DEADLINE;
        let mut all = Vec::new();
        loop {
            let seen = String::from_utf8_lossy(&all);
            if seen.contains(text) {
                return seen.into_owned();
            }
            let more = self.read_until(until);
            assert!(!more.is_empty(), "waited {DEADLINE:?} for `{text}`, got {seen:?}");
            all.extend(more);
        }
    }

    pub fn request(command: u8, words: &[u32], block: &[u8], checksum: u8) -> Vec<u8> {
        let mut data: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        data.extend_from_slice(block);
        let [low, high] = (data.len() as u16).to_le_bytes();
        let mut frame = vec![0, command, low, high, checksum, 0, 0, 0];
        frame.extend(data);
        let mut out = Vec::new();
        slip::encode(&frame, &mut out);
        out
    }

    /// Sends a command and returns its reply's value and error code.
    pub fn ask(&mut self, command: u8, words: &[u32], block: &[u8]) -> (u32, u8) {
        let checksum = block.iter().fold(0xEF, |sum, byte| sum ^ byte);
        let checksum = if block.is_empty() { 0 } else { checksum };
        self.send(&Client::request(command, words, block, checksum));
        self.reply(command)
    }

    /// The next reply to this command; text and other replies are skipped.
    pub fn reply(&mut self, command: u8) -> (u32, u8) {
        let until = Instant::now() + DEADLINE;
        loop {
            while let Some((echoed, value, error)) = self.replies.pop_front() {
                if echoed == command {
                    return (value, error);
                }
            }
            let bytes = self.read_until(until);
            assert!(!bytes.is_empty(), "no reply to {command:#04x} within {DEADLINE:?}");
            let Client { frames, replies, .. } = self;
            frames.feed(&bytes, |frame| {
                if let [1, echoed, 2, 0, value @ .., status, error] = frame.unwrap_or_default() {
                    assert_eq!(*status, u8::from(*error != 0));
                    let value = u32::from_le_bytes(value.try_into().unwrap());
                    replies.push_back((*echoed, value, *error));
                }
                std::ops::ControlFlow::<()>::Continue(())
            });
        }
    }

    /// Writes `bytes` to the flash as a client does that knows the erase fault.
    pub fn flash(&mut self, offset: u32, bytes: &[u8]) {
        let wanted = (bytes.len() as u32).div_ceil(0x1000);
        let head = wanted.min(16 - offset / 0x1000 % 16);
        let asked = if wanted < 2 * head { wanted.div_ceil(2) } else { wanted - head };
        let blocks = bytes.chunks(0x400);
        let count = blocks.len() as u32;
        assert_eq!(self.ask(2, &[asked * 0x1000, count, 0x400, offset], &[]).1, 0);
        for (number, block) in blocks.enumerate() {
            assert_eq!(self.ask(3, &[block.len() as u32, number as u32, 0, 0], block).1, 0);
        }
    }
}

/// The built firmware, or none, and a test that needs it is skipped.
pub fn firmware() -> Option<(PathBuf, Vec<u8>)> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware/build/virtual");
    let boot_rom = built.join("bootrom.elf");
    match (boot_rom.is_file(), std::fs::read(built.join("firmware.bin"))) {
        (true, Ok(image)) => Some((boot_rom, image)),
        _ => {
            eprintln!("skipped: no firmware in {}; build it with `make firmware`", built.display());
            None
        }
    }
}
