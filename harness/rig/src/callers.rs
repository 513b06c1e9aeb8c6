//! Who held the heap, told with the functions that the ELF names.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;

use hilrig_core::callers::{HeapCaller, HeapCallers};
use hilrig_core::event::What;
use hilrig_core::heap::HeapPhase;

use crate::crashes::Elf;
use crate::journal::Journal;
use crate::log::Log;

/// So many are told of a board: its log can go on for ever.
const MOST_TOLD: u32 = 200;

/// What was read from the log and is not told yet.
#[derive(Default)]
pub struct Pending {
    waiting: VecDeque<HeapCallers>,
    lowest: BTreeMap<HeapPhase, u64>,
    taken: u32,
}

impl Pending {
    /// Takes in what a line told. Of a phase only what is lower than before is of interest.
    pub fn add(&mut self, callers: HeapCallers) {
        let lowest = self.lowest.get(&callers.phase);
        if lowest.is_some_and(|lowest| *lowest <= callers.lowest_free) || self.taken == MOST_TOLD {
            return;
        }
        self.lowest.insert(callers.phase, callers.lowest_free);
        self.taken += 1;
        self.waiting.push_back(callers);
    }

    /// The oldest; it is taken by this.
    pub fn take(&mut self) -> Option<HeapCallers> {
        self.waiting.pop_front()
    }
}

/// Tells what comes for as long as the log is fed.
pub async fn tell_all(
    journal: &Journal<'_>,
    log: &Log,
    elf: Option<&Elf>,
    wrappers: &[String],
) -> Infallible {
    loop {
        let news = log.news();
        tell(journal, elf, wrappers).await;
        news.await;
    }
}

/// Tells all that wait for it.
pub async fn tell(journal: &Journal<'_>, elf: Option<&Elf>, wrappers: &[String]) {
    while let Some(callers) = journal.take_callers() {
        let told = match elf {
            Some(elf) => with_functions(callers, elf, wrappers).await,
            None => callers,
        };
        journal.emit(What::HeapCallers(told));
    }
}

async fn with_functions(mut told: HeapCallers, elf: &Elf, wrappers: &[String]) -> HeapCallers {
    let addresses = told.callers.iter().map(|caller| caller.address.map(|hex| hex.0)).collect();
    let found = elf.calls(addresses).await;
    for (caller, places) in told.callers.iter_mut().zip(found) {
        let wrapper = |function: &Option<String>| {
            function.as_ref().is_some_and(|function| wrappers.contains(function))
        };
        let wanted = places.iter().find(|place| !wrapper(&place.function)).or(places.last());
        if let Some(place) = wanted.cloned() {
            let HeapCaller { function, file, line, .. } = caller;
            (*function, *file, *line) = (place.function, place.file, place.line);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_lower_is_not_told_and_a_flood_stays_bounded() {
        let at = |lowest_free| HeapCallers {
            phase: HeapPhase::Page,
            lowest_free,
            heap: None,
            callers: Vec::new(),
        };
        let mut pending = Pending::default();
        for lowest in [500, 500, 600, 499] {
            pending.add(at(lowest));
        }
        assert_eq!(pending.take().unwrap().lowest_free, 500);
        assert_eq!(pending.take().unwrap().lowest_free, 499);
        assert!(pending.take().is_none());
        for lowest in (0..u64::from(MOST_TOLD) * 2).rev() {
            pending.add(at(lowest));
        }
        assert_eq!(pending.waiting.len(), MOST_TOLD as usize - 2);
    }
}
