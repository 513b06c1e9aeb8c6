//! The end of the broker's log, bounded and printable.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use hilrig_core::secrets::Ends;
use hilrig_core::text::{Secrets, printable};

/// The maximum that is kept, bytes: enough for the whole log of a usual run, and bounded for a
/// board that connects a thousand times a second.
const KEPT: usize = 256 * 1024;
/// A line longer than this is cut in two.
const LINE: usize = 2048;

/// Whether a line shows that the broker is up.
pub(crate) type Hint = Box<dyn Fn(&str) -> bool + Send>;

/// The end of a log. Clones share it.
#[derive(Clone)]
pub(crate) struct LogTail(Arc<Mutex<Tail>>);

struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: u64,
    partial: Vec<u8>,
    hint: Hint,
    up: bool,
    secrets: Secrets,
}

impl LogTail {
    /// A log tail that looks for `hint` in every line, and removes every secret.
    pub fn new(hint: Hint, secrets: Secrets) -> LogTail {
        LogTail(Arc::new(Mutex::new(Tail {
            lines: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            partial: Vec::new(),
            hint,
            up: false,
            secrets,
        })))
    }

    /// Takes the next bytes of the log. They are not trusted: they contain a client's id.
    pub fn push(&self, bytes: &[u8]) {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for piece in piece.chunks(LINE) {
                if tail.partial.len() + piece.len() > LINE {
                    tail.end_line();
                }
                tail.partial.extend_from_slice(piece);
            }
            if tail.partial.ends_with(b"\n") {
                tail.partial.pop();
                tail.end_line();
            }
        }
    }

    /// The part that is kept.
    pub fn text(&self) -> String {
        let tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::with_capacity(tail.bytes + 64);
        if tail.dropped > 0 {
            text.push_str(&format!("({} older lines are not kept)\n", tail.dropped));
        }
        for line in &tail.lines {
            text.push_str(line);
            text.push('\n');
        }
        if !tail.partial.is_empty() {
            text.push_str(&tail.shown());
        }
        text
    }

    /// The last few lines, for a message.
    pub fn last_lines(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// The next lines are from a broker that restarts and is not up yet.
    pub fn restarts_now(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).up = false;
    }

    /// A line showed that it is up.
    pub fn is_up(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).up
    }
}

impl Tail {
    /// The current line. It may be a piece of a longer one.
    fn shown(&self) -> String {
        printable(&self.secrets.mask_bytes(&self.partial, Ends::Cut))
    }

    fn end_line(&mut self) {
        let line = self.shown();
        self.partial.clear();
        self.up = self.up || (self.hint)(&line);
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.bytes > KEPT {
            let Some(line) = self.lines.pop_front() else { break };
            self.bytes -= line.len() + 1;
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_may_come_in_pieces_and_nothing_unprintable_comes_out() {
        let log = LogTail::new(Box::new(|line| line.ends_with(" running")), Secrets::default());
        log.push(b"a\x1b[2Jb");
        log.push(b"c\nmosquitto version 2.0.1");
        assert!(!log.is_up());
        log.push(b"8 running\n");
        assert_eq!(log.text(), "a\\x1b[2Jbc\nmosquitto version 2.0.18 running\n");
        assert!(log.is_up());
    }

    #[test]
    fn a_secret_is_not_kept() {
        let log = LogTail::new(Box::new(|_| false), Secrets::new(["hunter2".to_owned()]));
        log.push(b"password hunter2\nagain hunter2");
        assert_eq!(log.text(), "password ***\nagain ***");
    }

    #[test]
    fn it_stays_bounded_with_and_without_newlines() {
        let log = LogTail::new(Box::new(|_| false), Secrets::default());
        for _ in 0..1000 {
            log.push(&[b'x'; 5000]);
        }
        for _ in 0..100_000 {
            log.push(b"0123456789\n");
        }
        let text = log.text();
        assert!(text.len() <= KEPT + LINE + 64, "{}", text.len());
        assert!(text.starts_with('('), "{}", &text[..80]);
        assert!(text.ends_with("0123456789\n"));
    }
}
