//! Heap figures read from memory, held against those that the firmware tells itself.
//!
//! The lowest free heap since the reset only ever falls. So one that was read must not be above
//! any that the firmware had told before, nor below one that it tells in a reply which was asked
//! for later. That holds exactly, however much is allocated between the two; a symbol of another
//! image or a figure in the wrong place breaks it at once.

use hilrig_core::heap::{HeapRead, HeapSample, HeapSource};

/// The bounds since the last reset.
#[derive(Default)]
pub struct HeapBounds {
    /// The last that the firmware told.
    told: Option<u64>,
    /// The last that was read.
    read: Option<u64>,
    /// Readings that could be held against a figure of the firmware's.
    pub held: usize,
    /// The first that does not agree, in words.
    pub wrong: Option<String>,
}

impl HeapBounds {
    /// The firmware starts anew.
    pub fn anew(&mut self) {
        (self.told, self.read) = (None, None);
    }

    /// The firmware told figures.
    pub fn told(&mut self, sample: &HeapSample) {
        let Some(told) = sample.lowest_ever else { return };
        // A line of the log may have been written before the reading and come after it.
        if let (HeapSource::Reply, Some(read)) = (sample.source, self.read) {
            self.hold(told <= read, || {
                format!("{read} B in memory, and {told} B in a reply asked for later")
            });
        }
        self.told = Some(self.told.map_or(told, |before| before.min(told)));
    }

    /// Figures were read.
    pub fn read(&mut self, read: &HeapRead) {
        let lowest = read.lowest_ever;
        if let Some(told) = self.told {
            self.hold(lowest <= told, || {
                format!("{lowest} B in memory, and the firmware had told {told} B before")
            });
        }
        self.read = Some(lowest);
    }

    fn hold(&mut self, agrees: bool, words: impl FnOnce() -> String) {
        self.held += 1;
        if !agrees && self.wrong.is_none() {
            self.wrong = Some(words());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hilrig_core::heap::HeapPhase;

    fn told(source: HeapSource, lowest: u64) -> HeapSample {
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
    fn what_falls_from_figure_to_figure_agrees() {
        let mut bounds = HeapBounds::default();
        bounds.told(&told(HeapSource::Log, 500));
        bounds.read(&read(500));
        bounds.told(&told(HeapSource::Reply, 480));
        bounds.read(&read(470));
        // Written before the reading, and heard after it.
        bounds.told(&told(HeapSource::Log, 475));
        assert_eq!((bounds.held, bounds.wrong.as_deref()), (3, None));
        // After a reset all of it counts no more.
        bounds.anew();
        bounds.read(&read(900));
        bounds.told(&told(HeapSource::Reply, 900));
        assert_eq!((bounds.held, bounds.wrong.as_deref()), (4, None));
    }

    #[test]
    fn a_figure_of_another_place_is_found_on_either_side() {
        let mut high = HeapBounds::default();
        high.told(&told(HeapSource::Log, 500));
        high.read(&read(508));
        assert!(high.wrong.unwrap().starts_with("508 B in memory"));
        let mut low = HeapBounds::default();
        low.read(&read(100));
        low.told(&told(HeapSource::Reply, 500));
        assert!(low.wrong.unwrap().contains("500 B in a reply asked for later"));
    }
}
