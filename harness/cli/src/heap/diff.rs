//! `hilrig heap diff`.

use std::collections::BTreeMap;
use std::path::Path;

use hilrig_core::callers::HeapCallers;
use hilrig_core::exit;
use hilrig_core::heap::HeapPhase;
use hilrig_report::heap::{Baseline, Boots, Entry, Key, compare, compare_callers};

use super::{boots, table};
use crate::args;
use crate::error::{Failure, print};

/// Puts two records or baselines side by side. What they differ by is no failure: `check` judges.
pub fn diff(args: &args::HeapDiff) -> Result<u8, Failure> {
    let (before, now) = (Side::of(&args.before)?, Side::of(&args.after)?);
    let (callers_before, callers_now) = (before.callers, now.callers);
    let (before, now) = (before.entries, now.entries);
    let common: Vec<&Key> = before.keys().filter(|key| now.contains_key(key)).collect();
    if common.is_empty() {
        let list = |of: &BTreeMap<Key, Entry>| {
            of.keys().map(|key| format!("  {key}\n")).collect::<String>()
        };
        return Err(Failure::usage(format!(
            "nothing in common can be compared. {} has:\n{}{} has:\n{}",
            args.before.display(),
            list(&before),
            args.after.display(),
            list(&now)
        )));
    }
    let mut text = String::new();
    for key in common {
        let comparison = compare(&before[key].figures, &now[key].figures);
        text.push_str(&table::comparison(key, ["before", "after"], &comparison));
        let (before, now) = (&before[key].sections, &now[key].sections);
        text.push_str(&table::static_memory(["before", "after"], before, now));
        if let (Some(before), Some(now)) = (callers_before.get(key), callers_now.get(key)) {
            text.push_str(&table::caller_changes(&compare_callers(before, now)));
        }
    }
    print(&text)?;
    Ok(exit::PASSED)
}

/// One of the two: figures, and who held the heap, of the first board of each key.
struct Side {
    entries: BTreeMap<Key, Entry>,
    callers: BTreeMap<Key, BTreeMap<HeapPhase, HeapCallers>>,
}

impl Side {
    fn of(path: &Path) -> Result<Side, Failure> {
        if path.extension().is_some_and(|extension| extension == "toml") {
            let entries = Baseline::read(path).map_err(Failure::usage)?.entries;
            return Ok(Side { entries, callers: BTreeMap::new() });
        }
        let run = boots::recorded(path)?;
        let boots = Boots::of([&run]).into_iter();
        let mut callers = BTreeMap::new();
        for board in run.boards.iter().filter(|board| !board.callers.is_empty()) {
            if let Some(key) = Boots::key(&run, board) {
                callers.entry(key).or_insert_with(|| board.callers.clone());
            }
        }
        let entries = boots.map(|(key, boots)| (key, Entry::of(&boots))).collect();
        Ok(Side { entries, callers })
    }
}
