//! Decoding what a board prints while it prints it, at any rate.
//!
//! Most lines have nothing to do with a crash, and decoding costs more than finding out. So
//! a program that searches the stream anyway (a run, for all that it waits for) searches for
//! [`SIGNS`](crate::SIGNS) too, and only the lines near one are decoded.

use std::collections::VecDeque;

use regex::Regex;

use crate::decoder::DecoderState;
use crate::finding::Finding;
use crate::judge::LoopRule;
use crate::lines;

/// Lines after a sign that are decoded: those of a crash that is not known as one yet, and, after
/// a start, enough to see whether the firmware speaks. An open crash is followed to its end.
const AFTER: u32 = 64;

/// Lines in front of a sign that are decoded: garbage there is a sign of a brownout, and what is in
/// front of each of them is no part of a crash's own line.
const BEFORE: usize = crate::prefix::BACK;

/// The most of one line that is looked at, bytes; as a [`Decoder`](crate::Decoder) does.
const MOST: usize = lines::MOST;

/// A decoder that gets the places where there is something to decode.
#[derive(Debug)]
pub struct LiveDecoder {
    state: DecoderState,
    /// Lines that are still to be decoded whatever they say.
    awake: u32,
    /// The number of the next line that the decoder has not seen.
    next: u64,
    /// The last lines that were passed over.
    before: VecDeque<Vec<u8>>,
}

impl LiveDecoder {
    /// Boot loops are judged by `rule`. Lines that match its `up` are signs, too.
    pub fn new(rule: LoopRule) -> LiveDecoder {
        LiveDecoder { state: DecoderState::new(rule), awake: 0, next: 1, before: VecDeque::new() }
    }

    /// The same, with the pattern of the line that names the build (group 1) by the firmware's contract. Lines
    /// that match it are signs, too.
    #[must_use]
    pub fn with_build(mut self, in_log: Regex) -> LiveDecoder {
        self.state.build_line = Some(in_log);
        self
    }

    /// Takes whole lines, the first of which has the number `first`, in which no sign was found.
    pub fn plain(&mut self, first: u64, mut text: &[u8], mut found: impl FnMut(Finding)) {
        let mut number = first;
        while !text.is_empty() && (self.awake > 0 || self.state.is_open()) {
            let end = memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1);
            self.line(number, &text[..end], &mut found);
            self.awake = self.awake.saturating_sub(1);
            number += 1;
            text = &text[end..];
        }
        // Kept from the back: what is far before a sign is of no interest.
        let mut kept: VecDeque<Vec<u8>> = VecDeque::with_capacity(BEFORE);
        while !text.is_empty() && kept.len() < BEFORE {
            let body = text.strip_suffix(b"\n").unwrap_or(text);
            let start = memchr::memrchr(b'\n', body).map_or(0, |at| at + 1);
            let line = &text[start..];
            kept.push_front(line[..line.len().min(MOST)].to_vec());
            text = &text[..start];
        }
        let stale = (self.before.len() + kept.len()).saturating_sub(BEFORE);
        self.before.drain(..stale.min(self.before.len()));
        self.before.append(&mut kept);
    }

    /// Takes the line `number`, in which a sign was found.
    pub fn sign(&mut self, number: u64, line: &[u8], mut found: impl FnMut(Finding)) {
        let before = std::mem::take(&mut self.before);
        let seen = number.saturating_sub(before.len() as u64);
        self.state.pass(seen.saturating_sub(self.next));
        for (number, line) in (seen..).zip(before) {
            self.line(number, &line, &mut found);
        }
        self.line(number, line, &mut found);
        self.awake = AFTER;
    }

    fn line(&mut self, number: u64, line: &[u8], found: &mut dyn FnMut(Finding)) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        for line in lines::within(line) {
            self.state.line(number, &line[..line.len().min(MOST)], found);
        }
        self.next = number + 1;
    }

    /// The crash whose dump is still coming.
    pub fn open(&self) -> Option<&Finding> {
        self.state.coming()
    }

    /// The rig is about to reset the board: the start that follows shows nothing of the firmware.
    pub fn reset_asked(&mut self) {
        self.state.reset_asked();
    }

    /// The stream has ended, or is of no more interest: what is open is complete.
    pub fn finish(&mut self, mut found: impl FnMut(Finding)) {
        self.state.end(&mut found);
    }
}

#[cfg(test)]
pub mod tests;
