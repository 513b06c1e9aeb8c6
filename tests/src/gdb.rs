//! A debugger of a virtual board's CPU, as far as a test needs one: breakpoints, memory, and the program
//! counter, over QEMU's GDB server. The protocol:
//! <https://sourceware.org/gdb/current/onlinedocs/gdb/Remote-Protocol.html>.
//!
//! QEMU 7.2 stops a running CPU on any byte that it gets, so nothing is sent while it runs.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::PATIENCE;

/// Bytes of memory in one packet; QEMU sends packets of at most 4096 characters, two a byte.
const PIECE: usize = 2040;

/// The connection to one QEMU, whose CPU is stopped at first.
pub struct Gdb {
    stream: UnixStream,
    read: Vec<u8>,
}

impl Gdb {
    /// Connects, which stops a CPU that runs.
    pub fn connect(socket: &Path) -> io::Result<Gdb> {
        let stream = UnixStream::connect(socket)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Gdb { stream, read: Vec::new() })
    }

    /// Stops the CPU each time it reaches this address.
    pub fn break_at(&mut self, address: u32) -> io::Result<()> {
        match self.ask(&format!("Z1,{address:x},2"))?.as_str() {
            "OK" => Ok(()),
            answer => Err(io::Error::other(format!("a breakpoint was answered `{answer}`"))),
        }
    }

    /// Lets it run until it stops again. An error, `UnexpectedEof`, where QEMU ends before.
    pub fn run(&mut self) -> io::Result<()> {
        // A step passes the breakpoint that it is at.
        for request in ["s", "c"] {
            let answer = self.ask(request)?;
            if !answer.starts_with("T05") {
                return Err(io::Error::other(format!("`{request}` was answered `{answer}`")));
            }
        }
        Ok(())
    }

    /// Where it is: what QEMU sends after an lx106's a0 to a15. (It sends single registers only to a client that has
    /// read a description that it does not have of this CPU.)
    pub fn at(&mut self) -> io::Result<u32> {
        let answer = self.ask("g")?;
        let counter = answer.get(16 * 8..17 * 8).ok_or_else(|| strange("g", &answer))?;
        let bytes = unhex(counter)?.try_into();
        bytes.map(u32::from_le_bytes).map_err(|_| strange("g", &answer))
    }

    /// What is in memory.
    pub fn memory(&mut self, address: u32, length: usize) -> io::Result<Vec<u8>> {
        let mut memory = Vec::with_capacity(length);
        while memory.len() < length {
            let at = address as usize + memory.len();
            let piece = PIECE.min(length - memory.len());
            let answer = self.ask(&format!("m{at:x},{piece:x}"))?;
            let bytes = unhex(&answer)?;
            if bytes.len() != piece {
                return Err(strange("m", &answer));
            }
            memory.extend(bytes);
        }
        Ok(memory)
    }

    fn ask(&mut self, request: &str) -> io::Result<String> {
        let sum = request.bytes().fold(0u8, u8::wrapping_add);
        self.stream.write_all(format!("${request}#{sum:02x}").as_bytes())?;
        loop {
            if let Some(answer) = self.take_packet() {
                self.stream.write_all(b"+")?;
                return Ok(answer);
            }
            let mut piece = [0; 8192];
            match self.stream.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                got => self.read.extend_from_slice(&piece[..got]),
            }
        }
    }

    fn take_packet(&mut self) -> Option<String> {
        let start = self.read.iter().position(|byte| *byte == b'$')?;
        let length = self.read[start..].iter().position(|byte| *byte == b'#')?;
        let end = start + length + 3;
        if self.read.len() < end {
            return None;
        }
        let answer = String::from_utf8_lossy(&self.read[start + 1..start + length]).into_owned();
        self.read.drain(..end);
        Some(answer)
    }
}

fn unhex(text: &str) -> io::Result<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(strange("memory", text)),
    };
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for pair in text.as_bytes().chunks_exact(2) {
        bytes.push(digit(pair[0])? << 4 | digit(pair[1])?);
    }
    Ok(bytes)
}

fn strange(asked: &str, answer: &str) -> io::Error {
    let shown: String = answer.chars().take(80).collect();
    io::Error::other(format!("QEMU's GDB server answered `{shown}` to `{asked}`"))
}
