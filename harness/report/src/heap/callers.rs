//! The heap by function, and how two snapshots compare.

use std::collections::{BTreeMap, BTreeSet};

use hilrig_core::callers::{HeapCaller, HeapCallers};
use hilrig_core::heap::HeapPhase;

use crate::model::BoardModel;

/// Callers that are listed one by one.
pub const MOST_CALLERS: usize = 10;

/// A row of the table of the heap by function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerRow {
    /// The function, its address, or words for what is left.
    pub name: String,
    /// Where it is in the source; empty where that is not known.
    pub place: String,
    /// Bytes that it has allocated.
    pub bytes: u64,
    /// Its blocks, if the board reports them.
    pub blocks: Option<u64>,
}

/// The rows: the first callers, all others, and what the board did not report.
pub fn caller_rows(snapshot: &HeapCallers) -> Vec<CallerRow> {
    let (first, more) = snapshot.callers.split_at(snapshot.callers.len().min(MOST_CALLERS));
    let mut rows: Vec<CallerRow> = first
        .iter()
        .map(|caller| CallerRow {
            name: caller.name(),
            place: caller.place().unwrap_or_default(),
            bytes: caller.bytes,
            blocks: Some(caller.blocks),
        })
        .collect();
    let rest = |name: &str, bytes, blocks| CallerRow {
        name: name.into(),
        place: String::new(),
        bytes,
        blocks,
    };
    if !more.is_empty() {
        let sum = |of: fn(&HeapCaller) -> u64| more.iter().map(of).fold(0, u64::saturating_add);
        rows.push(rest("(others)", sum(|c| c.bytes), Some(sum(|c| c.blocks))));
    }
    rows.extend(snapshot.not_logged().map(|bytes| rest("(not reported)", bytes, None)));
    rows
}

/// In words: in which phase, and how much was free.
pub fn at_lowest(snapshot: &HeapCallers) -> String {
    let of = snapshot.heap.map_or(String::new(), |heap| format!(" of {heap}"));
    format!("{}, lowest free {}{of} B", snapshot.phase.name(), snapshot.lowest_free)
}

/// A function's share before and now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerChange {
    /// The function; an address where it is not known.
    pub name: String,
    /// Bytes that it had allocated before.
    pub before: u64,
    /// Bytes that it has allocated now.
    pub now: u64,
}

impl CallerChange {
    /// How much more than before (negative: less), bytes.
    pub fn difference(&self) -> i64 {
        i64::try_from(self.now)
            .unwrap_or(i64::MAX)
            .saturating_sub(i64::try_from(self.before).unwrap_or(i64::MAX))
    }
}

/// In each phase that both have callers of, the functions whose share changed: those
/// that grew come first, the most first.
pub fn compare_callers(
    before: &BTreeMap<HeapPhase, HeapCallers>,
    now: &BTreeMap<HeapPhase, HeapCallers>,
) -> BTreeMap<HeapPhase, Vec<CallerChange>> {
    let common = now.iter().filter_map(|(phase, now)| {
        let before = by_function(before.get(phase)?);
        let now = by_function(now);
        let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let bytes = |of: &BTreeMap<String, u64>, name: &str| of.get(name).copied().unwrap_or(0);
        let mut changes: Vec<CallerChange> = names
            .into_iter()
            .map(|name| CallerChange {
                name: name.clone(),
                before: bytes(&before, name),
                now: bytes(&now, name),
            })
            .filter(|change| change.before != change.now)
            .collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.difference()));
        Some((*phase, changes))
    });
    common.collect()
}

/// The phase at whose lowest point least was free, of those with callers.
pub fn lowest(board: &BoardModel) -> Option<&HeapCallers> {
    board.callers.values().min_by_key(|snapshot| snapshot.lowest_free)
}

fn by_function(snapshot: &HeapCallers) -> BTreeMap<String, u64> {
    let mut bytes_of: BTreeMap<String, u64> = BTreeMap::new();
    for caller in &snapshot.callers {
        let bytes = bytes_of.entry(caller.name()).or_default();
        *bytes = bytes.saturating_add(caller.bytes);
    }
    bytes_of
}

#[cfg(test)]
mod tests {
    use hilrig_core::crash::Hex;

    use super::*;

    fn at_handshake(callers: &[(u32, Option<&str>, u64)]) -> BTreeMap<HeapPhase, HeapCallers> {
        let callers = callers.iter().map(|(address, function, bytes)| HeapCaller {
            address: Some(Hex(*address)),
            bytes: *bytes,
            blocks: 1,
            function: function.map(str::to_owned),
            file: None,
            line: None,
        });
        let phase = HeapPhase::Handshake;
        let callers = HeapCallers { phase, lowest_free: 1, heap: None, callers: callers.collect() };
        [(phase, callers)].into()
    }

    #[test]
    fn functions_compare_by_name_wherever_the_linker_put_them() {
        let before =
            at_handshake(&[(16, Some("prepare"), 100), (32, Some("start"), 50), (48, None, 8)]);
        let now = at_handshake(&[
            (64, Some("prepare"), 100),
            (68, Some("prepare"), 512),
            (80, Some("start"), 20),
            (48, None, 8),
            (96, Some("new"), 24),
        ]);
        let changes = compare_callers(&before, &now).remove(&HeapPhase::Handshake).unwrap();
        let found: Vec<_> =
            changes.iter().map(|c| (c.name.as_str(), c.before, c.now, c.difference())).collect();
        assert_eq!(found, [("prepare", 100, 612, 512), ("new", 0, 24, 24), ("start", 50, 20, -30)]);
        assert!(compare_callers(&BTreeMap::new(), &now).is_empty());
    }
}
