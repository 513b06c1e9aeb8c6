//! The loader's answers, cut out of what comes over the line.
//!
//! espflash's own reader takes a byte with each system call, two of them for each byte: with many
//! boards on one machine that was most of what flashing cost.

use std::os::fd::AsFd;

use rustix::io::Errno;

const END: u8 = 0xC0;
const ESC: u8 = 0xDB;
const ESC_END: u8 = 0xDC;
const ESC_ESC: u8 = 0xDD;

/// The head of an answer (direction, command, length, value) and its two status bytes.
const SHORTEST: usize = 10;
/// No answer to a command that is sent here is longer than 12 bytes. What is longer is garbage, and
/// so much of it is kept to be shown.
const LONGEST: usize = 88;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// The command that it is an answer to.
    pub command: u8,
    /// Its value; `None` where the answer has another length than answers have.
    pub value: Option<u32>,
    /// 0 when the command was carried out.
    pub status: u8,
    /// Why it was not.
    pub error: u8,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// A frame that is no answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// The answers of a stream. Holds one read and one frame at most.
#[derive(Default)]
pub struct Replies {
    unread: Vec<u8>,
    at: usize,
    frame: Vec<u8>,
    escaped: bool,
    spoilt: bool,
}

impl Replies {
    /// Takes what the port has; nothing is fine. Only when [`Replies::next`] has nothing more.
    pub fn read(&mut self, port: impl AsFd) -> Result<(), Errno> {
        self.unread.resize(4096, 0);
        self.at = 0;
        let read = rustix::io::read(port, &mut self.unread[..]);
        self.unread.truncate(*read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(Errno::PIPE),
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes bytes that were read elsewhere; only when [`Replies::next`] has nothing more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.at = 0;
        self.unread.clear();
        self.unread.extend_from_slice(bytes);
    }

    /// Forgets what came so far.
    pub fn clear(&mut self) {
        *self = Replies::default();
    }

    /// The next answer in what was read.
    pub fn next(&mut self) -> Option<Result<Reply, Malformed>> {
        while let Some(&byte) = self.unread.get(self.at) {
            self.at += 1;
            match byte {
                END => {
                    let frame = std::mem::take(&mut self.frame);
                    let cut = std::mem::take(&mut self.escaped);
                    match std::mem::take(&mut self.spoilt) {
                        // It was told when it was.
                        true => {}
                        false if cut => return Some(Err(Malformed)),
                        false if frame.is_empty() => {}
                        false => return Some(parse(frame)),
                    }
                }
                ESC if !self.escaped => self.escaped = true,
                byte => {
                    let plain = match (std::mem::take(&mut self.escaped), byte) {
                        (false, byte) => Some(byte),
                        (true, ESC_END) => Some(END),
                        (true, ESC_ESC) => Some(ESC),
                        (true, _) => None,
                    };
                    match plain {
                        Some(plain) if self.frame.len() < LONGEST => self.frame.push(plain),
                        // A flood without an end is told of, too.
                        _ if !std::mem::replace(&mut self.spoilt, true) => {
                            return Some(Err(Malformed));
                        }
                        _ => {}
                    }
                }
            }
        }
        None
    }
}

fn parse(bytes: Vec<u8>) -> Result<Reply, Malformed> {
    let [1, command, _, _, v0, v1, v2, v3, status, error, ..] = bytes[..] else {
        return Err(Malformed);
    };
    // The ROM of an ESP8266 has two status bytes, those of later chips four.
    let known = bytes.len() == SHORTEST || bytes.len() == SHORTEST + 2;
    let value = known.then(|| u32::from_le_bytes([v0, v1, v2, v3]));
    Ok(Reply { command, value, status, error, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fed(bytes: &[u8]) -> Replies {
        Replies { unread: bytes.to_vec(), ..Replies::default() }
    }

    #[test]
    fn answers_are_found_between_garbage() {
        let mut replies =
            fed(b"text\xc0\xc0\x01\x08\x02\0\xdb\xdc\xdb\xdd\0\0\x01\x05\xc0\xc0\x01\xdb\x00\xc0");
        assert_eq!(replies.next(), Some(Err(Malformed)));
        let reply = replies.next().unwrap().unwrap();
        assert_eq!((reply.command, reply.value), (8, Some(0xdbc0)));
        assert_eq!((reply.status, reply.error), (1, 5));
        assert_eq!(replies.next(), Some(Err(Malformed)));
        assert_eq!(replies.next(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_leave_it_able_to_read_the_next_answer(mut noise: Vec<u8>) {
            noise.extend(b"\xc0\xc0\x01\x0a\x02\0\x01\x02\x03\x04\0\0\xc0");
            let mut replies = fed(&noise);
            let mut last = None;
            while let Some(reply) = replies.next() {
                last = Some(reply);
                prop_assert!(replies.frame.len() <= LONGEST);
            }
            prop_assert_eq!(last.unwrap().unwrap().value, Some(0x0403_0201));
        }
    }
}
