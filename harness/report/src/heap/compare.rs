//! Two sets of heap figures side by side.

use std::collections::{BTreeMap, BTreeSet};

use hilrig_core::heap::HeapPhase;

use super::baseline::Baseline;
use super::figures::{Boots, HeapFigure, Key, Metric, PhaseFigures};
use crate::model::RunModel;

/// So many spreads of the baseline are noise.
const SPREADS: u64 = 3;

/// What came of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureJudgement {
    /// Within the noise.
    Same,
    /// Better than it was, by more than the noise.
    Better,
    /// Worse than it was, by more than the noise.
    Worse,
    /// It was measured before and is not now.
    NotMeasured,
    /// It was not measured before.
    New,
}

impl FigureJudgement {
    /// The name, as in files.
    pub fn name(self) -> &'static str {
        match self {
            FigureJudgement::Same => "same",
            FigureJudgement::Better => "better",
            FigureJudgement::Worse => "worse",
            FigureJudgement::NotMeasured => "not_measured",
            FigureJudgement::New => "new",
        }
    }
}

/// One figure, before and now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which phase.
    pub phase: HeapPhase,
    /// Which figure.
    pub metric: Metric,
    /// Before.
    pub before: Option<HeapFigure>,
    /// Now.
    pub now: Option<HeapFigure>,
    /// What came of it.
    pub judged: FigureJudgement,
}

impl Change {
    /// How much more than before (negative: less), where both were measured.
    pub fn difference(&self) -> Option<i64> {
        Some(self.now?.median as i64 - self.before?.median as i64)
    }

    /// The largest difference for the worse that is not reported; none where the figure is not judged.
    pub fn allowed(&self) -> Option<i64> {
        let allowed = i64::try_from(allowed(self.metric, self.before?)?).unwrap_or(i64::MAX);
        Some(if self.metric.more_is_worse() { allowed } else { -allowed })
    }

    /// What came of it, for tables; nothing where it is the same.
    pub fn words(&self) -> &'static str {
        match (self.judged, self.metric) {
            (FigureJudgement::Same, _) => "",
            (FigureJudgement::Better, Metric::Stack) => "less stack",
            (FigureJudgement::Better, _) => "more free",
            (FigureJudgement::Worse, Metric::Stack) => "more stack",
            (FigureJudgement::Worse, _) => "less free",
            (FigureJudgement::NotMeasured, _) => "not measured",
            (FigureJudgement::New, _) => "new",
        }
    }
}

/// All figures of one key, before and now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// In the order of phases.
    pub changes: Vec<Change>,
}

impl Comparison {
    /// Whether nothing got worse and nothing that was measured is missing.
    pub fn holds(&self) -> bool {
        !self
            .changes
            .iter()
            .any(|c| matches!(c.judged, FigureJudgement::Worse | FigureJudgement::NotMeasured))
    }

    /// Whether something got better by more than the noise: the baseline should be accepted again.
    pub fn better(&self) -> bool {
        self.changes.iter().any(|change| change.judged == FigureJudgement::Better)
    }
}

fn allowed(metric: Metric, before: HeapFigure) -> Option<u64> {
    Some(metric.least_reported()?.max(SPREADS.saturating_mul(before.spread)))
}

fn judged(metric: Metric, before: HeapFigure, now: HeapFigure) -> FigureJudgement {
    let (more, less) =
        (now.median.saturating_sub(before.median), before.median.saturating_sub(now.median));
    let (worse, better) = if metric.more_is_worse() { (more, less) } else { (less, more) };
    match allowed(metric, before) {
        Some(allowed) if worse > allowed => FigureJudgement::Worse,
        Some(allowed) if better > allowed => FigureJudgement::Better,
        _ => FigureJudgement::Same,
    }
}

/// A run beside a baseline: what both have figures for.
pub fn against(baseline: &Baseline, run: &RunModel) -> Vec<(Key, Comparison)> {
    let boots = Boots::of([run]);
    let common = boots.iter().filter_map(|(key, boots)| {
        let entry = baseline.entries.get(key)?;
        Some((key.clone(), compare(&entry.figures, &boots.figures())))
    });
    common.collect()
}

/// Compares phase by phase.
pub fn compare(
    before: &BTreeMap<HeapPhase, PhaseFigures>,
    now: &BTreeMap<HeapPhase, PhaseFigures>,
) -> Comparison {
    let named = |all: &BTreeMap<HeapPhase, PhaseFigures>| {
        all.iter()
            .flat_map(|(phase, f)| f.keys().map(|metric| (*phase, *metric)))
            .collect::<Vec<_>>()
    };
    let all: BTreeSet<_> = named(before).into_iter().chain(named(now)).collect();
    let changes = all.into_iter().map(|(phase, metric)| {
        let figure = |of: &BTreeMap<HeapPhase, PhaseFigures>| of.get(&phase)?.get(&metric).copied();
        let (before, now) = (figure(before), figure(now));
        let judged = match (before, now) {
            (None, _) => FigureJudgement::New,
            (Some(_), None) => FigureJudgement::NotMeasured,
            (Some(was), Some(is)) => judged(metric, was, is),
        };
        Change { phase, metric, before, now, judged }
    });
    Comparison { changes: changes.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(median: u64, spread: u64) -> BTreeMap<HeapPhase, PhaseFigures> {
        of_metric(Metric::LowestFree, median, spread)
    }

    fn of_metric(metric: Metric, median: u64, spread: u64) -> BTreeMap<HeapPhase, PhaseFigures> {
        let figures = [(metric, HeapFigure { median, spread })].into();
        [(HeapPhase::Handshake, figures)].into()
    }

    fn judged(before: (u64, u64), now: u64) -> FigureJudgement {
        compare(&of(before.0, before.1), &of(now, 0)).changes[0].judged
    }

    #[test]
    fn growth_is_reported_beyond_the_larger_of_256_bytes_and_three_spreads() {
        assert_eq!(judged((40_000, 0), 40_000 - 256), FigureJudgement::Same);
        assert_eq!(judged((40_000, 0), 40_000 - 257), FigureJudgement::Worse);
        assert_eq!(judged((40_000, 100), 40_000 - 300), FigureJudgement::Same);
        assert_eq!(judged((40_000, 100), 40_000 - 301), FigureJudgement::Worse);
        assert_eq!(judged((40_000, 0), 40_512), FigureJudgement::Better);
    }

    #[test]
    fn fragmentation_is_shown_and_not_judged() {
        let of = |median| of_metric(Metric::Fragmentation, median, 0);
        for (before, now) in [(10, 90), (90, 10)] {
            let change = compare(&of(before), &of(now)).changes.remove(0);
            assert_eq!((change.judged, change.allowed()), (FigureJudgement::Same, None));
            assert_eq!(change.difference(), Some(now as i64 - before as i64));
        }
        let lost = compare(&of(10), &BTreeMap::new()).changes.remove(0);
        assert_eq!(lost.judged, FigureJudgement::NotMeasured);
    }

    #[test]
    fn what_is_no_longer_measured_does_not_hold() {
        let none = BTreeMap::new();
        let lost = compare(&of(1, 0), &none);
        assert_eq!(lost.changes[0].judged, FigureJudgement::NotMeasured);
        assert!(!lost.holds());
        let new = compare(&none, &of(1, 0));
        assert_eq!(new.changes[0].judged, FigureJudgement::New);
        assert!(new.holds());
    }
}
