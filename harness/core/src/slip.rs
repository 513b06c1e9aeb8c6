//! SLIP framing (RFC 1055) of the ROMs' serial loaders.
//!
//! The input is untrusted. Every [`END`] is a boundary, so that a frame that was cut short, or text
//! between frames, spoils itself and nothing after it.

use std::ops::ControlFlow;

/// Before and after each frame.
pub const END: u8 = 0xC0;
const ESC: u8 = 0xDB;
const ESC_END: u8 = 0xDC;
const ESC_ESC: u8 = 0xDD;

/// The longest frame of a loader, bytes: MEM_DATA with 0x1800 bytes after a header of 24.
pub const LONGEST: usize = 0x2000;

/// A frame that is too long, cut short, or has an escape that SLIP does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoilt;

/// Cuts a stream of bytes into frames.
#[derive(Debug)]
pub struct FrameDecoder {
    longest: usize,
    frame: Vec<u8>,
    escaped: bool,
    /// The rest of this frame is dropped.
    spoilt: bool,
}

impl Default for FrameDecoder {
    fn default() -> FrameDecoder {
        FrameDecoder::new(LONGEST)
    }
}

impl FrameDecoder {
    /// A decoder that drops frames of more than `longest` bytes.
    pub fn new(longest: usize) -> FrameDecoder {
        FrameDecoder { longest, frame: Vec::new(), escaped: false, spoilt: false }
    }

    /// Takes bytes and passes on each frame that ends in them, without empty ones. A spoilt frame is
    /// passed on as such, once, as soon as it is one. Returns early with what `frame` breaks with;
    /// the bytes after that frame are dropped.
    pub fn feed<B>(
        &mut self,
        mut bytes: &[u8],
        mut frame: impl FnMut(Result<&[u8], Spoilt>) -> ControlFlow<B>,
    ) -> Option<B> {
        while let Some(&first) = bytes.first() {
            let was_spoilt = self.spoilt;
            let mut flow = ControlFlow::Continue(());
            let mut taken = 1;
            match (first, self.escaped) {
                (END, cut) => {
                    if !self.spoilt && cut {
                        flow = frame(Err(Spoilt));
                    } else if !self.spoilt && !self.frame.is_empty() {
                        flow = frame(Ok(&self.frame));
                    }
                    self.clear();
                }
                (ESC, false) => self.escaped = true,
                (byte, true) => {
                    self.escaped = false;
                    match byte {
                        ESC_END => self.push(&[END]),
                        ESC_ESC => self.push(&[ESC]),
                        _ => self.spoil(),
                    }
                }
                _ => {
                    let plain = bytes.iter().position(|byte| matches!(*byte, END | ESC));
                    taken = plain.unwrap_or(bytes.len());
                    self.push(&bytes[..taken]);
                }
            }
            if self.spoilt && !was_spoilt {
                flow = frame(Err(Spoilt));
            }
            bytes = &bytes[taken..];
            if let ControlFlow::Break(broken) = flow {
                return Some(broken);
            }
        }
        None
    }

    /// Forgets a frame that has not ended, as a reset does.
    pub fn clear(&mut self) {
        self.frame.clear();
        self.escaped = false;
        self.spoilt = false;
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.frame.len() + bytes.len() > self.longest {
            self.spoil();
        }
        if !self.spoilt {
            self.frame.extend_from_slice(bytes);
        }
    }

    fn spoil(&mut self) {
        self.spoilt = true;
        self.frame.clear();
    }
}

/// Appends `frame` to `out` between two [`END`]s.
pub fn encode(frame: &[u8], out: &mut Vec<u8>) {
    out.push(END);
    for &byte in frame {
        match byte {
            END => out.extend_from_slice(&[ESC, ESC_END]),
            ESC => out.extend_from_slice(&[ESC, ESC_ESC]),
            _ => out.push(byte),
        }
    }
    out.push(END);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut decoder = FrameDecoder::default();
        let mut out = Vec::new();
        for chunk in chunks {
            decoder.feed(chunk, |frame| {
                out.extend(frame.ok().map(<[u8]>::to_vec));
                ControlFlow::<()>::Continue(())
            });
        }
        out
    }

    #[test]
    fn a_cut_frame_and_text_between_frames_cost_only_themselves() {
        let mut stream = vec![END, 1, 2];
        encode(&[3, 4], &mut stream);
        stream.extend_from_slice(b"text");
        encode(&[5], &mut stream);
        stream.extend_from_slice(&[END, 6, ESC, 7, END, END, ESC, END]);
        encode(&[END, ESC], &mut stream);
        let text = b"text".to_vec();
        assert_eq!(frames(&[&stream]), [vec![1, 2], vec![3, 4], text, vec![5], vec![END, ESC]]);
    }

    #[test]
    fn a_frame_without_end_does_not_grow() {
        let mut decoder = FrameDecoder::default();
        let mut spoilt = 0;
        for _ in 0..100 {
            decoder.feed(&[1; 1000], |frame| {
                assert_eq!(frame, Err(Spoilt));
                spoilt += 1;
                ControlFlow::<()>::Continue(())
            });
            assert!(decoder.frame.len() <= LONGEST);
        }
        assert_eq!(spoilt, 1);
        let mut next = Vec::new();
        encode(&[9], &mut next);
        let mut seen = 0;
        decoder.feed(&next, |frame| {
            assert_eq!(frame, Ok(&[9][..]));
            seen += 1;
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(seen, 1);
    }

    proptest! {
        #[test]
        fn reads_what_it_writes_however_it_is_cut(
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
            cut in 1usize..64,
        ) {
            let mut stream = Vec::new();
            for frame in &sent {
                encode(frame, &mut stream);
            }
            let chunks: Vec<&[u8]> = stream.chunks(cut).collect();
            prop_assert_eq!(frames(&chunks), sent);
        }

        #[test]
        fn any_bytes_leave_it_able_to_read_the_next_frame(noise: Vec<u8>, cut in 1usize..64) {
            let mut stream = noise;
            stream.push(END);
            encode(b"next", &mut stream);
            let chunks: Vec<&[u8]> = stream.chunks(cut).collect();
            let found = frames(&chunks);
            prop_assert_eq!(found.last().map(Vec::as_slice), Some(b"next".as_slice()));
        }
    }
}
