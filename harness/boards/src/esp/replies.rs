//! The loader's answers, parsed from the bytes of the line.
//!
//! espflash's own reader makes two system calls a byte. With many boards on one machine that was most of
//! the cost of flashing.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use hilrig_core::slip::{FrameDecoder, Spoilt};

/// The head of an answer (direction, command, length, value) and its two status bytes.
const SHORTEST: usize = 10;
/// The longest frame that is kept, bytes. No answer to the ESP8266's commands has more than 12; the
/// longest of the ESP32 family, to an MD5, has 44.
const LONGEST: usize = 88;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// The command that it answers.
    pub command: u8,
    /// Its value; `None` where the answer has an unknown length.
    pub value: Option<u32>,
    /// 0 when the command was carried out.
    pub status: u8,
    /// Why not, where it was not.
    pub error: u8,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Reply {
    /// Whether its length field is right. The data come after eight bytes.
    pub fn is_honest(&self) -> bool {
        usize::from(u16::from_le_bytes([self.bytes[2], self.bytes[3]])) == self.bytes.len() - 8
    }
}

/// A frame that is no answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// The answers of a stream. Keeps those of one read, and one frame, at most.
#[derive(Debug)]
pub struct Replies {
    frames: FrameDecoder,
    ready: VecDeque<Result<Reply, Malformed>>,
}

impl Default for Replies {
    fn default() -> Replies {
        Replies { frames: FrameDecoder::new(LONGEST), ready: VecDeque::new() }
    }
}

impl Replies {
    /// Takes bytes that were read; only when [`Replies::next`] has nothing more.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Replies { frames, ready } = self;
        frames.feed(bytes, |frame| {
            ready.push_back(frame.map_err(|Spoilt| Malformed).and_then(parse));
            ControlFlow::<()>::Continue(())
        });
    }

    /// Forgets what came so far.
    pub fn clear(&mut self) {
        *self = Replies::default();
    }

    /// The next answer in what was read.
    pub fn next(&mut self) -> Option<Result<Reply, Malformed>> {
        self.ready.pop_front()
    }
}

fn parse(bytes: &[u8]) -> Result<Reply, Malformed> {
    let &[1, command, _, _, v0, v1, v2, v3, status, error, ..] = bytes else {
        return Err(Malformed);
    };
    // The ROM of an ESP8266 has two status bytes, those of later chips four.
    let known = bytes.len() == SHORTEST || bytes.len() == SHORTEST + 2;
    let value = known.then(|| u32::from_le_bytes([v0, v1, v2, v3]));
    Ok(Reply { command, value, status, error, bytes: bytes.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fed(bytes: &[u8]) -> Replies {
        let mut replies = Replies::default();
        replies.feed(bytes);
        replies
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
            }
            prop_assert_eq!(last.unwrap().unwrap().value, Some(0x0403_0201));
        }
    }
}
