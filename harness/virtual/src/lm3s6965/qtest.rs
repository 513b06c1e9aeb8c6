//! QEMU's qtest socket: reads and writes memory while the CPU runs, as a debug port does.
//!
//! A request and its answer are one line each (`system/qtest.c`). It does not write the flash, as a debug
//! port does not without the flash controller.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use super::ANSWER;
use super::gdb::{hex, unhex};

/// Bytes in one request.
const PIECE: usize = 4096;
/// The longest answer: `OK 0x`, two digits a byte, the line's end.
const ANSWER_MOST: u64 = 2 * PIECE as u64 + 64;

/// The connection to one QEMU. Blocks, each time for [`ANSWER`] at most.
#[derive(Debug)]
pub struct Qtest(BufReader<UnixStream>);

impl Qtest {
    /// Over QEMU's socket.
    pub fn new(stream: UnixStream) -> io::Result<Qtest> {
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        Ok(Qtest(BufReader::new(stream)))
    }

    /// Reads a word in one access.
    pub fn read_word(&mut self, address: u32) -> io::Result<u32> {
        let answer = self.ask(&format!("readl {address:#x}\n"))?;
        let word = answer.strip_prefix("0x").and_then(|word| u64::from_str_radix(word, 16).ok());
        word.map(|word| word as u32).ok_or_else(|| strange("readl", &answer))
    }

    /// Writes a word in one access.
    pub fn write_word(&mut self, address: u32, word: u32) -> io::Result<()> {
        self.ask(&format!("writel {address:#x} {word:#x}\n")).map(|_| ())
    }

    /// Reads bytes.
    pub fn read(&mut self, address: u32, data: &mut [u8]) -> io::Result<()> {
        for (number, piece) in data.chunks_mut(PIECE).enumerate() {
            let at = address as usize + number * PIECE;
            let answer = self.ask(&format!("read {at:#x} {:#x}\n", piece.len()))?;
            let bytes = answer.strip_prefix("0x").and_then(|digits| unhex(digits.as_bytes()));
            match bytes {
                Some(bytes) if bytes.len() == piece.len() => piece.copy_from_slice(&bytes),
                _ => return Err(strange("read", &answer)),
            }
        }
        Ok(())
    }

    /// Writes bytes.
    pub fn write(&mut self, address: u32, data: &[u8]) -> io::Result<()> {
        for (number, piece) in data.chunks(PIECE).enumerate() {
            let at = address as usize + number * PIECE;
            self.ask(&format!("write {at:#x} {:#x} 0x{}\n", piece.len(), hex(piece)))?;
        }
        Ok(())
    }

    /// Sends a request; returns what comes after `OK`.
    fn ask(&mut self, request: &str) -> io::Result<String> {
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        let got = (&mut self.0).take(ANSWER_MOST).read_line(&mut line);
        match got {
            Ok(_) if line.ends_with('\n') => {}
            Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let found = format!("QEMU's qtest socket did not answer within {ANSWER:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, found));
            }
            Err(error) => return Err(error),
        }
        let command = request.split(' ').next().unwrap_or(request);
        line.trim_end()
            .strip_prefix("OK")
            .map(|rest| rest.trim_start().into())
            .ok_or_else(|| strange(command, &line))
    }
}

fn strange(command: &str, answer: &str) -> io::Error {
    let shown: String = answer.chars().take(80).collect();
    io::Error::other(format!(
        "QEMU's qtest socket answered `{}` to `{command}`",
        shown.escape_debug()
    ))
}
