//! Who allocated the heap, as read from the log and not reported yet.

use std::collections::{BTreeMap, VecDeque};

use hilrig_core::callers::HeapCallers;
use hilrig_core::heap::HeapPhase;

/// The maximum that is kept for a board: its log may be endless.
const MOST_REPORTED: u32 = 200;

/// The entries that are not reported yet.
#[derive(Default)]
pub struct PendingCallers {
    waiting: VecDeque<HeapCallers>,
    lowest: BTreeMap<HeapPhase, u64>,
    taken: u32,
}

impl PendingCallers {
    /// Adds the entries of a line. For each phase only a lower value than before counts.
    pub fn add(&mut self, callers: HeapCallers) {
        let lowest = self.lowest.get(&callers.phase);
        if lowest.is_some_and(|lowest| *lowest <= callers.lowest_free)
            || self.taken == MOST_REPORTED
        {
            return;
        }
        self.lowest.insert(callers.phase, callers.lowest_free);
        self.taken += 1;
        self.waiting.push_back(callers);
    }

    /// Removes and returns the oldest.
    pub fn take(&mut self) -> Option<HeapCallers> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_figures_are_reported_and_a_flood_stays_bounded() {
        let at = |lowest_free| HeapCallers {
            phase: HeapPhase::Page,
            lowest_free,
            heap: None,
            callers: Vec::new(),
        };
        let mut pending = PendingCallers::default();
        for lowest in [500, 500, 600, 499] {
            pending.add(at(lowest));
        }
        assert_eq!(pending.take().unwrap().lowest_free, 500);
        assert_eq!(pending.take().unwrap().lowest_free, 499);
        assert!(pending.take().is_none());
        for lowest in (0..u64::from(MOST_REPORTED) * 2).rev() {
            pending.add(at(lowest));
        }
        assert_eq!(pending.waiting.len(), MOST_REPORTED as usize - 2);
    }
}
