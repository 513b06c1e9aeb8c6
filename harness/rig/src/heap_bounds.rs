//! Heap figures read from memory, compared with those that the firmware reports.
//!
//! The lowest free heap since the reset never rises. So a figure from memory is at most what the firmware
//! reported before, and at least what it reports in a reply to a later request. This is exact, however much
//! is allocated in between. A symbol of another image or a figure in the wrong place breaks it at once.

use hilrig_core::heap::{HeapRead, HeapSample, HeapSource};

/// The bounds since the last reset.
#[derive(Default)]
pub struct HeapBounds {
    /// The lowest that the firmware reported, bytes.
    reported: Option<u64>,
    /// The last that was read from memory, bytes.
    read: Option<u64>,
    /// Comparisons so far.
    pub compared: usize,
    /// The first that does not agree, in words.
    pub wrong: Option<String>,
}

impl HeapBounds {
    /// The firmware starts again.
    pub fn reset(&mut self) {
        (self.reported, self.read) = (None, None);
    }

    /// The firmware reported figures.
    pub fn reported(&mut self, sample: &HeapSample) {
        let Some(reported) = sample.lowest_ever else { return };
        // A log line can be written before the memory is read, and arrive after it.
        if let (HeapSource::Reply, Some(read)) = (sample.source, self.read) {
            self.compare(reported <= read, || {
                format!("{read} B in memory, and {reported} B in a reply to a later request")
            });
        }
        self.reported = Some(self.reported.map_or(reported, |before| before.min(reported)));
    }

    /// Figures were read.
    pub fn read(&mut self, read: &HeapRead) {
        let lowest = read.lowest_ever;
        if let Some(reported) = self.reported {
            self.compare(lowest <= reported, || {
                format!("{lowest} B in memory, and the firmware reported {reported} B before")
            });
        }
        self.read = Some(lowest);
    }

    fn compare(&mut self, agrees: bool, words: impl FnOnce() -> String) {
        self.compared += 1;
        if !agrees && self.wrong.is_none() {
            self.wrong = Some(words());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilrig_core::heap::HeapPhase;

    fn reported(source: HeapSource, lowest: u64) -> HeapSample {
        HeapSample {
            phase: HeapPhase::Page,
            lowest_free: lowest,
            free: None,
            lowest_ever: Some(lowest),
            largest: None,
            fragmentation: None,
            failures: None,
            stack: None,
            source,
        }
    }

    fn read(lowest_ever: u64) -> HeapRead {
        HeapRead { free: lowest_ever, lowest_ever, failures: None }
    }

    #[test]
    fn figures_that_fall_agree() {
        let mut bounds = HeapBounds::default();
        bounds.reported(&reported(HeapSource::Log, 500));
        bounds.read(&read(500));
        bounds.reported(&reported(HeapSource::Reply, 480));
        bounds.read(&read(470));
        // Written before the reading, and read after it.
        bounds.reported(&reported(HeapSource::Log, 475));
        assert_eq!((bounds.compared, bounds.wrong.as_deref()), (3, None));
        // After a reset none of them counts.
        bounds.reset();
        bounds.read(&read(900));
        bounds.reported(&reported(HeapSource::Reply, 900));
        assert_eq!((bounds.compared, bounds.wrong.as_deref()), (4, None));
    }

    #[test]
    fn a_figure_from_a_wrong_place_is_found_on_either_side() {
        let mut high = HeapBounds::default();
        high.reported(&reported(HeapSource::Log, 500));
        high.read(&read(508));
        assert!(high.wrong.unwrap().starts_with("508 B in memory"));
        let mut low = HeapBounds::default();
        low.read(&read(100));
        low.reported(&reported(HeapSource::Reply, 500));
        assert!(low.wrong.unwrap().contains("500 B in a reply to a later request"));
    }
}
