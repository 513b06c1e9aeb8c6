//! What is worth a second look in a board's log, line by line: heap figures, crash text, starts.

use hilrig_core::heap::HeapSample;
use regex::Regex;

use crate::clean::clean;
use crate::crash_line::{CrashLine, without_logger};
use crate::start::RomStart;

/// What a line is beside its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// Heap figures.
    Heap(HeapSample),
    /// Crash text.
    Crash(CrashLine),
    /// The ROM starts.
    Start(RomStart),
}

/// Looks at lines.
#[derive(Clone, Debug, Default)]
pub struct Classifier {
    heap: Option<Regex>,
}

impl Classifier {
    /// `heap` is the contract's heap line: groups `phase` and `lowest`, and where there are some `free`,
    /// `lowest_ever`, `largest`, `failed`, all in bytes but the last, which is a count.
    pub fn new(heap: Option<Regex>) -> Classifier {
        Classifier { heap }
    }

    /// What `line` is, if it is one of these. Without its line end, any bytes.
    pub fn look(&self, line: &[u8]) -> Option<Sighting> {
        let cleaned = clean(line);
        let inner = || CrashLine::read(without_logger(cleaned.trim())?.as_bytes());
        if let Some(crash) = CrashLine::read(cleaned.as_bytes()).or_else(inner) {
            return Some(Sighting::Crash(crash));
        }
        if let Some(start) = RomStart::read(line) {
            return Some(Sighting::Start(start));
        }
        self.heap(std::str::from_utf8(line).ok()?).map(Sighting::Heap)
    }

    fn heap(&self, line: &str) -> Option<HeapSample> {
        let groups = self.heap.as_ref()?.captures(line)?;
        HeapSample::of_line(|name| groups.name(name).map(|group| group.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use hilrig_core::heap::HeapPhase;

    use super::*;

    fn classifier() -> Classifier {
        let heap = r"^Heap (?P<phase>\w+): free (?P<free>\d+) lowest (?P<lowest>\d+)$";
        Classifier::new(Some(Regex::new(heap).unwrap()))
    }

    #[test]
    fn each_kind_is_distinguished() {
        let looked = |line: &str| classifier().look(line.as_bytes());
        match looked("Heap handshake: free 43000 lowest 25712") {
            Some(Sighting::Heap(sample)) => {
                assert_eq!(sample.phase, HeapPhase::Handshake);
                assert_eq!((sample.lowest_free, sample.free), (25712, Some(43000)));
                assert_eq!(sample.largest, None);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(
            looked("Exception (9):"),
            Some(Sighting::Crash(CrashLine::Exception { cause: 9, fatal: false }))
        );
        assert_eq!(
            looked("\x1b[0;31m[00:00:01.234] Abort called\x1b[0m\r"),
            Some(Sighting::Crash(CrashLine::Abort { at: None }))
        );
        assert!(matches!(
            looked(" ets Jan  8 2013,rst cause:2, boot mode:(3,6)"),
            Some(Sighting::Start(_))
        ));
        assert_eq!(looked("IP address: 10.0.2.15"), None);
    }

    #[test]
    fn a_figure_that_no_board_can_have_is_no_heap_line() {
        assert_eq!(classifier().look(b"Heap boot: free 1 lowest 99999999999999999999999"), None);
        assert_eq!(classifier().look(b"Heap lunch: free 1 lowest 1"), None);
        assert_eq!(classifier().look(b"Heap boot: free 1 lowest 1\xff"), None);
    }
}
