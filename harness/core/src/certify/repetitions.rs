//! A case that runs several times (`hilrig certify --repeat N`): one result, with the differences.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::certificate::{CaseResult, Outcome, Verdict};
use super::{Cost, Tally};

/// The combined result of a case's repetitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Repetitions {
    /// The number of repetitions.
    pub runs: u32,
    /// The number of repetitions per outcome.
    pub tally: Tally,
    /// The repetitions differ: the result is the worst of them.
    pub unstable: bool,
    /// The spread of each cost.
    #[serde(default)]
    pub spread: Spread,
}

/// The spread of each cost over the repetitions that measured it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spread {
    /// Spread of [`Cost::heap_handshake`], bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heap_handshake: Option<Range<u64>>,
    /// Spread of [`Cost::heap_connected`], bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heap_connected: Option<Range<u64>>,
    /// Spread of [`Cost::heap_after_message`], bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heap_after_message: Option<Range<u64>>,
    /// Spread of [`Cost::handshake_seconds`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_seconds: Option<Range<f64>>,
    /// Spread of [`Cost::handshake_bytes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_bytes: Option<Range<u64>>,
}

/// The range from the lowest to the highest value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range<T> {
    /// The lowest.
    pub lowest: T,
    /// The highest.
    pub highest: T,
    /// The number of repetitions that measured it.
    pub measured: u32,
}

impl<T: PartialOrd + Copy> Range<T> {
    /// The spread of these values; `None` if there are none.
    pub fn of(figures: impl IntoIterator<Item = T>) -> Option<Range<T>> {
        let mut figures = figures.into_iter();
        let first = figures.next()?;
        let mut range = Range { lowest: first, highest: first, measured: 1 };
        for figure in figures {
            if figure < range.lowest {
                range.lowest = figure;
            }
            if figure > range.highest {
                range.highest = figure;
            }
            range.measured += 1;
        }
        Some(range)
    }
}

impl CaseResult {
    /// Combines the repetitions of a case into one result: the worst outcome and the worst of each cost. A
    /// repetition that was not measured does not count if another was. `None` if there are none.
    pub fn of_repetitions(all: &[CaseResult]) -> Option<CaseResult> {
        let measured = || all.iter().filter(|one| one.verdict != Verdict::NotRun);
        let worst = |one: &&CaseResult| (rank(one), resumed(one), Reverse(largest(one)));
        let shown = measured().min_by_key(worst).or_else(|| {
            all.iter().find(|one| one.outcome == Outcome::Broken).or_else(|| all.first())
        })?;
        // A case that the bench never runs has no repetitions.
        if all.len() < 2 || all.iter().all(|one| one.outcome == Outcome::NotRun) {
            return Some(shown.clone());
        }
        let unstable = measured().any(|one| {
            one.verdict != shown.verdict
                || (one.verdict == Verdict::Reported
                    && (one.outcome, resumed(one)) != (shown.outcome, resumed(shown)))
        });
        let spread = Spread::of(measured().map(|one| one.cost));
        Some(CaseResult {
            cost: spread.worst(),
            seconds: all.iter().map(|one| one.seconds).sum(),
            repetitions: Some(Repetitions {
                runs: u32::try_from(all.len()).unwrap_or(u32::MAX),
                tally: Tally::of(all),
                unstable,
                spread,
            }),
            ..shown.clone()
        })
    }

    /// Whether its repetitions differ.
    pub fn unstable(&self) -> bool {
        self.repetitions.is_some_and(|repetitions| repetitions.unstable)
    }
}

/// Rank of a measured result; the worst is the lowest.
fn rank(one: &CaseResult) -> u8 {
    match (one.verdict, one.outcome) {
        (Verdict::NotHeld, Outcome::Broken) => 0,
        (Verdict::NotHeld, _) => 1,
        (_, Outcome::Broken) => 2,
        (Verdict::Reported, Outcome::Refused) => 3,
        _ => 4,
    }
}

/// Whether a session was resumed.
fn resumed(one: &CaseResult) -> bool {
    one.evidence.wire.iter().any(|seen| seen.resumed)
}

/// The largest record that the broker sent.
fn largest(one: &CaseResult) -> u32 {
    one.evidence.wire.iter().map(|seen| seen.largest_from_broker).max().unwrap_or(0)
}

impl Spread {
    /// The spread of these costs.
    pub fn of(costs: impl Iterator<Item = Cost> + Clone) -> Spread {
        let bytes = |of: fn(&Cost) -> Option<u64>| Range::of(costs.clone().filter_map(|c| of(&c)));
        Spread {
            heap_handshake: bytes(|cost| cost.heap_handshake),
            heap_connected: bytes(|cost| cost.heap_connected),
            heap_after_message: bytes(|cost| cost.heap_after_message),
            handshake_seconds: Range::of(costs.clone().filter_map(|cost| cost.handshake_seconds)),
            handshake_bytes: bytes(|cost| cost.handshake_bytes),
        }
    }

    /// The worst value of each: the least heap, the longest handshake.
    pub fn worst(&self) -> Cost {
        Cost {
            heap_handshake: self.heap_handshake.map(|range| range.lowest),
            heap_connected: self.heap_connected.map(|range| range.lowest),
            heap_after_message: self.heap_after_message.map(|range| range.lowest),
            handshake_seconds: self.handshake_seconds.map(|range| range.highest),
            handshake_bytes: self.handshake_bytes.map(|range| range.highest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certify::Case;

    fn result(outcome: Outcome, verdict: Verdict, heap: Option<u64>) -> CaseResult {
        let case = Case::named("control").unwrap();
        CaseResult {
            id: case.id.into(),
            row: case.row,
            title: case.title.into(),
            proves: case.proves.into(),
            seen: case.seen.into(),
            expected: case.expected.to_string(),
            outcome,
            verdict,
            reason: None,
            why: None,
            board: None,
            set_up: case.set_up(),
            evidence: Default::default(),
            cost: Cost {
                heap_handshake: heap,
                handshake_bytes: heap.map(|heap| heap / 10),
                ..Cost::default()
            },
            repetitions: None,
            seconds: 1.0,
        }
    }

    fn merged(all: &[CaseResult]) -> (CaseResult, Repetitions) {
        let one = CaseResult::of_repetitions(all).unwrap();
        let repetitions = one.repetitions.expect("it was repeated");
        (one, repetitions)
    }

    #[test]
    fn the_costs_of_repetitions_are_the_worst_with_their_spread() {
        let held = |heap| result(Outcome::Connected, Verdict::Held, Some(heap));
        let (one, repetitions) = merged(&[held(2000), held(1000), held(3000)]);
        assert_eq!(
            (one.verdict, repetitions.unstable, repetitions.runs),
            (Verdict::Held, false, 3)
        );
        assert_eq!((one.cost.heap_handshake, one.cost.handshake_bytes), (Some(1000), Some(300)));
        let spread = Range { lowest: 1000, highest: 3000, measured: 3 };
        assert_eq!(repetitions.spread.heap_handshake, Some(spread));
        assert_eq!(repetitions.spread.heap_connected, None);
        assert_eq!(one.seconds, 3.0);
    }

    #[test]
    fn a_verdict_that_flips_is_unstable_and_never_passed() {
        let held = result(Outcome::Connected, Verdict::Held, Some(1000));
        let not = result(Outcome::Refused, Verdict::NotHeld, None);
        for all in [[held.clone(), not.clone()], [not.clone(), held.clone()]] {
            let (one, repetitions) = merged(&all);
            assert_eq!((one.verdict, repetitions.unstable), (Verdict::NotHeld, true));
            assert_eq!((repetitions.tally.held, repetitions.tally.not_held), (1, 1));
        }
        let connected = result(Outcome::Connected, Verdict::Reported, Some(1000));
        let refused = result(Outcome::Refused, Verdict::Reported, None);
        let (one, repetitions) = merged(&[connected.clone(), refused]);
        assert_eq!((one.outcome, repetitions.unstable), (Outcome::Refused, true));
        let (_, repetitions) = merged(&[connected.clone(), connected]);
        assert!(!repetitions.unstable);
    }

    #[test]
    fn what_the_bench_broke_counts_for_nothing_beside_what_was_measured() {
        let held = result(Outcome::Connected, Verdict::Held, Some(1000));
        let broken = result(Outcome::Broken, Verdict::NotRun, None);
        let (one, repetitions) = merged(&[broken.clone(), held]);
        assert_eq!((one.verdict, repetitions.unstable), (Verdict::Held, false));
        assert_eq!(repetitions.tally.not_run, 1);
        let (one, _) = merged(&[broken.clone(), broken]);
        assert_eq!((one.verdict, one.outcome), (Verdict::NotRun, Outcome::Broken));
        let left_out = result(Outcome::NotRun, Verdict::NotRun, None);
        let one = CaseResult::of_repetitions(&[left_out.clone(), left_out]).unwrap();
        assert_eq!(one.repetitions, None);
        assert_eq!(CaseResult::of_repetitions(&[]), None);
    }
}
