//! The debugger's side of QEMU's gdbstub: runs and stops the CPU, reads and writes its registers, and
//! writes its flash, for which there is no other way.
//!
//! QEMU 7.2 stops a running CPU at *any* byte that it gets, and loses that byte's packet. So while the CPU
//! runs, only the byte is sent that stops it; memory is read by [`super::qtest`]. The protocol: <https://sourceware.org/gdb/current/onlinedocs/gdb/Remote-Protocol.html>.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::ANSWER;

/// Bytes of memory in one packet; QEMU accepts packets of 4096 characters, two a byte.
const PIECE: usize = 1024;
/// The longest answer of QEMU, bytes.
const ANSWER_MOST: usize = 64 * 1024;

/// The connection to one QEMU's gdbstub. Blocks, each time for [`ANSWER`] at most.
#[derive(Debug)]
pub struct GdbClient {
    stream: UnixStream,
    /// Bytes that were read and belong to no answer yet.
    read: Vec<u8>,
    running: bool,
}

/// Why the CPU stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// On request.
    Asked,
    /// At a breakpoint, or after a step.
    Trap,
}

impl GdbClient {
    /// To a QEMU that was started with `-S`.
    pub fn new(stream: UnixStream) -> io::Result<GdbClient> {
        stream.set_write_timeout(Some(ANSWER))?;
        let mut gdb = GdbClient { stream, read: Vec::new(), running: false };
        // QEMU answers no register before its list of registers was read.
        gdb.ask("qXfer:features:read:target.xml:0,ffb")?;
        Ok(gdb)
    }

    /// Whether the CPU runs, as of the last [`GdbClient::poll`].
    pub fn running(&self) -> bool {
        self.running
    }

    /// Checks whether a running CPU has stopped by itself.
    pub fn poll(&mut self) -> io::Result<Option<StopReason>> {
        if !self.running {
            return Ok(None);
        }
        let Some(packet) = self.packet(Duration::ZERO)? else { return Ok(None) };
        self.stopped(&packet).map(Some)
    }

    /// Stops a running CPU.
    pub fn stop(&mut self) -> io::Result<Option<StopReason>> {
        if !self.running {
            return Ok(None);
        }
        self.stream.write_all(&[3])?;
        let answer = self.answer()?;
        self.stopped(&answer).map(Some)
    }

    /// Lets it run.
    pub fn run(&mut self) -> io::Result<()> {
        if !self.running {
            self.send("c")?;
            self.running = true;
        }
        Ok(())
    }

    /// Runs one instruction, without interrupts. A CPU that sleeps runs it when it wakes, and its
    /// time stops; after `patience` it stays where it was.
    pub fn step(&mut self, patience: Duration) -> io::Result<()> {
        self.send("s")?;
        self.running = true;
        match self.packet(patience)? {
            Some(packet) => self.stopped(&packet).map(|_| ()),
            None => self.stop().map(|_| ()),
        }
    }

    /// Resets the machine, which stays stopped, with the CPU at its reset vector.
    pub fn reset(&mut self) -> io::Result<()> {
        // QEMU resets before it reads the next packet.
        self.done("qRcmd,73797374656d5f7265736574")
    }

    /// Reads a register by QEMU's number.
    pub fn register(&mut self, number: u32) -> io::Result<u32> {
        let answer = self.ask(&format!("p{number:x}"))?;
        let bytes = unhex(&answer).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_le_bytes).ok_or_else(|| strange("a register", &answer))
    }

    /// Writes a register by QEMU's number.
    pub fn set_register(&mut self, number: u32, value: u32) -> io::Result<()> {
        self.done(&format!("P{number:x}={}", hex(&value.to_le_bytes())))
    }

    /// Writes memory, flash included.
    pub fn write(&mut self, address: u32, data: &[u8]) -> io::Result<()> {
        for (number, piece) in data.chunks(PIECE).enumerate() {
            let at = address as usize + number * PIECE;
            self.done(&format!("M{at:x},{:x}:{}", piece.len(), hex(piece)))?;
        }
        Ok(())
    }

    /// Sets a breakpoint.
    pub fn set_breakpoint(&mut self, address: u32) -> io::Result<()> {
        self.done(&format!("Z1,{address:x},2"))
    }

    /// Takes one away.
    pub fn clear_breakpoint(&mut self, address: u32) -> io::Result<()> {
        self.done(&format!("z1,{address:x},2"))
    }

    fn stopped(&mut self, packet: &[u8]) -> io::Result<StopReason> {
        self.running = false;
        match packet.get(..3) {
            Some(b"T02") => Ok(StopReason::Asked),
            Some(b"T05") => Ok(StopReason::Trap),
            _ => Err(strange("why the CPU stopped", packet)),
        }
    }

    fn done(&mut self, request: &str) -> io::Result<()> {
        match self.ask(request)?.as_slice() {
            b"OK" => Ok(()),
            answer => Err(strange(request.get(..12).unwrap_or(request), answer)),
        }
    }

    fn ask(&mut self, request: &str) -> io::Result<Vec<u8>> {
        self.send(request)?;
        self.answer()
    }

    fn send(&mut self, request: &str) -> io::Result<()> {
        let sum = request.bytes().fold(0u8, u8::wrapping_add);
        self.stream.write_all(format!("${request}#{sum:02x}").as_bytes())
    }

    fn answer(&mut self) -> io::Result<Vec<u8>> {
        self.packet(ANSWER)?.ok_or_else(|| {
            let found = format!("QEMU's gdbstub did not answer within {ANSWER:?}");
            io::Error::new(io::ErrorKind::TimedOut, found)
        })
    }

    /// The next packet, without its frame, if it comes within that time.
    fn packet(&mut self, patience: Duration) -> io::Result<Option<Vec<u8>>> {
        let until = Instant::now() + patience;
        loop {
            if let Some(packet) = take_packet(&mut self.read) {
                // QEMU treats it as the acknowledgement of its last packet, so it stops nothing.
                self.stream.write_all(b"+")?;
                return Ok(Some(packet));
            }
            let left = until.saturating_duration_since(Instant::now());
            let tv_nsec = i64::from(left.subsec_nanos());
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec };
            let mut fds = [PollFd::new(&self.stream, PollFlags::IN)];
            match poll(&mut fds, Some(&left)) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                got => self.read.extend_from_slice(&piece[..got]),
            }
            if self.read.len() > ANSWER_MOST {
                return Err(io::Error::other("QEMU's gdbstub sent an endless packet"));
            }
        }
    }
}

/// Removes the first whole packet from the bytes that were read, and everything before it.
fn take_packet(read: &mut Vec<u8>) -> Option<Vec<u8>> {
    let start = read.iter().position(|byte| *byte == b'$')?;
    let length = read[start..].iter().position(|byte| *byte == b'#')?;
    let end = start + length + 3;
    if read.len() < end {
        return None;
    }
    let packet = read[start + 1..start + length].to_vec();
    read.drain(..end);
    Some(packet)
}

fn strange(asked: &str, answer: &[u8]) -> io::Error {
    let shown = &answer[..answer.len().min(80)];
    io::Error::other(format!("QEMU's gdbstub answered `{}` to `{asked}`", shown.escape_ascii()))
}

/// Two digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The other way round.
pub fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    text.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_taken_whole_and_in_order() {
        let mut read = b"++$T05thread:01;#07$OK#9".to_vec();
        assert_eq!(take_packet(&mut read).unwrap(), b"T05thread:01;");
        assert_eq!(take_packet(&mut read), None);
        read.push(b'a');
        assert_eq!(take_packet(&mut read).unwrap(), b"OK");
        assert_eq!((take_packet(&mut read), read.len()), (None, 0));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_left(mut bytes: Vec<u8>) {
            let before = bytes.len();
            while let Some(packet) = take_packet(&mut bytes) {
                let _ = unhex(&packet);
            }
            proptest::prop_assert!(bytes.len() <= before);
        }

        #[test]
        fn hex_is_read_back(bytes: Vec<u8>) {
            proptest::prop_assert_eq!(unhex(hex(&bytes).as_bytes()), Some(bytes));
        }
    }
}
