//! The heap figures of many boots.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hilrig_core::heap::{HeapLow, HeapPhase};
use hilrig_core::phase::{Phase, PhaseOutcome};
use hilrig_core::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::model::{BoardModel, RunModel};

/// In a key's configuration: the image tracks the callers of the heap.
const CALLERS: &str = "image=callers";

/// What two boots must have in common for their heap to be compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// The kind of board, which implies the chip and the firmware's port.
    pub kind: String,
    /// The firmware's settings, as `field=value` in the fields' order.
    pub configuration: String,
    /// What the board meets at the broker.
    pub tls: String,
}

impl Key {
    /// Whether the image tracks the callers of the heap, which may take of it.
    pub fn keeps_callers(&self) -> bool {
        self.configuration.split(' ').any(|word| word == CALLERS)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}", self.kind, or(&self.configuration, "default settings"), self.tls)
    }
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

/// A figure that is followed, one for each phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Lowest free heap, bytes.
    LowestFree,
    /// The smallest largest block, bytes.
    Largest,
    /// The highest fragmentation, percent.
    Fragmentation,
    /// The stack's high-water mark, bytes.
    Stack,
}

impl Metric {
    /// Every one, in the order of tables.
    pub const ALL: [Metric; 4] =
        [Metric::LowestFree, Metric::Largest, Metric::Fragmentation, Metric::Stack];

    /// The name, as in files.
    pub fn name(self) -> &'static str {
        match self {
            Metric::LowestFree => "lowest_free",
            Metric::Largest => "largest",
            Metric::Fragmentation => "fragmentation",
            Metric::Stack => "stack",
        }
    }

    /// The figure of this name.
    pub fn from_name(name: &str) -> Option<Metric> {
        Metric::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Its value over a phase's samples, in its [unit](Metric::unit).
    pub fn of(self, low: &HeapLow) -> Option<u64> {
        match self {
            Metric::LowestFree => Some(low.lowest_free),
            Metric::Largest => low.largest,
            Metric::Fragmentation => low.fragmentation,
            Metric::Stack => low.stack.map(|stack| stack.used),
        }
    }

    /// The words for tables.
    pub fn words(self) -> &'static str {
        match self {
            Metric::LowestFree => "lowest free",
            Metric::Largest => "largest block",
            Metric::Fragmentation => "fragmentation, %",
            Metric::Stack => "stack used",
        }
    }

    /// What it is counted in, as in the names of other tools' metrics.
    pub fn unit(self) -> &'static str {
        match self {
            Metric::LowestFree | Metric::Largest | Metric::Stack => "bytes",
            Metric::Fragmentation => "percent",
        }
    }

    /// Whether a board is worse off the more there is of it.
    pub fn more_is_worse(self) -> bool {
        matches!(self, Metric::Fragmentation | Metric::Stack)
    }

    /// A change for the worse that is never reported, however small the spread; none where the figure is shown
    /// and not judged.
    ///
    /// 256 bytes are one more small allocation with its header. Fragmentation is that of a moment, in which
    /// one segment on its way can double it: what it costs a board shows in the largest block.
    pub fn least_reported(self) -> Option<u64> {
        match self {
            Metric::LowestFree | Metric::Largest | Metric::Stack => Some(256),
            Metric::Fragmentation => None,
        }
    }
}

/// One figure over many boots, in the unit of its [`Metric`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeapFigure {
    /// The middle one; of an even number the lower of the two, so that it is one that was measured.
    pub median: u64,
    /// The greatest distance of any from the median.
    pub spread: u64,
}

impl HeapFigure {
    /// Of these values; `None` of none.
    pub fn of(mut values: Vec<u64>) -> Option<HeapFigure> {
        values.sort_unstable();
        let (first, last) = (*values.first()?, *values.last()?);
        let median = values[(values.len() - 1) / 2];
        Some(HeapFigure { median, spread: (median - first).max(last - median) })
    }
}

impl fmt::Display for HeapFigure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.spread {
            0 => self.median.to_string(),
            spread => format!("{} ± {spread}", self.median),
        };
        f.pad(&text)
    }
}

/// Whether the board's figures are those of a whole boot: it passed, or it failed a check after it went
/// the whole path. A path that the bench or somebody cut off was not in all phases, or not for as long.
pub fn is_measured(board: &BoardModel) -> bool {
    let to_the_end = || {
        board.phases.last().is_some_and(|last| {
            (last.phase, last.outcome) == (Phase::SwitchBack, PhaseOutcome::Done)
        })
    };
    match board.verdict() {
        Some(Verdict::Passed) => true,
        Some(Verdict::Failed) => to_the_end(),
        Some(Verdict::RigFault | Verdict::Skipped) | None => false,
    }
}

/// The figures of one phase.
pub type PhaseFigures = BTreeMap<Metric, HeapFigure>;

/// The figures of the boots of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boots {
    /// How many boots there were: a board in a run is one.
    pub boots: usize,
    /// Commits that the runs were of.
    pub commits: BTreeSet<String>,
    /// Builds of the firmware.
    pub builds: BTreeSet<String>,
    /// Static memory of the last of them: sections with their sizes, bytes.
    pub sections: BTreeMap<String, u64>,
    pub(crate) values: BTreeMap<(HeapPhase, Metric), Vec<u64>>,
}

impl Boots {
    /// The [measured](is_measured) boots in these runs, by what they can be compared by. Boards that
    /// reported no heap figure are in it, with no value: not measured is not left out.
    pub fn of<'a>(runs: impl IntoIterator<Item = &'a RunModel>) -> BTreeMap<Key, Boots> {
        let mut all: BTreeMap<Key, Boots> = BTreeMap::new();
        for run in runs {
            let Some(started) = &run.started else { continue };
            for board in run.boards.iter().filter(|board| is_measured(board)) {
                let Some(key) = Boots::key(run, board) else { continue };
                let firmware = started.firmware.iter().find(|f| f.kind == key.kind);
                let builds = firmware.and_then(|f| f.build.clone());
                let boots = all.entry(key).or_default();
                boots.boots += 1;
                boots.commits.extend(started.commit.clone());
                boots.builds.extend(builds);
                let sections = firmware.map_or(&[][..], |firmware| &firmware.sections);
                boots.sections = sections.iter().map(|s| (s.name.clone(), s.bytes)).collect();
                for (phase, low) in board.heap.iter() {
                    for metric in Metric::ALL {
                        let values = boots.values.entry((phase, metric)).or_default();
                        values.extend(metric.of(low));
                    }
                }
            }
        }
        all
    }

    /// What a board of a run can be compared by; `None` where the board was never had, or there was no
    /// broker to connect to.
    pub fn key(run: &RunModel, board: &BoardModel) -> Option<Key> {
        let started = run.started.as_ref()?;
        let settings = started.settings.iter().map(|(k, v)| format!("{k}={v}"));
        // A board that was put through more is in its phases for longer.
        let settings = settings.chain(started.scenarios.iter().map(|s| format!("scenario={s}")));
        // What keeps who holds the heap may take of it.
        let kind = &board.facts.as_ref()?.kind;
        let keeps = started.firmware.iter().any(|f| f.kind == *kind && f.keeps_callers);
        let callers = keeps.then(|| CALLERS.to_owned()).into_iter();
        Some(Key {
            kind: board.facts.as_ref()?.kind.clone(),
            configuration: callers.chain(settings).collect::<Vec<_>>().join(" "),
            tls: run.broker.as_ref()?.tls.clone()?,
        })
    }

    /// Their figures, phase by phase. A figure that a boot did not report is left out: what is
    /// measured now and then is not measured.
    pub fn figures(&self) -> BTreeMap<HeapPhase, PhaseFigures> {
        let mut figures: BTreeMap<HeapPhase, PhaseFigures> = BTreeMap::new();
        for ((phase, metric), values) in &self.values {
            if values.len() == self.boots
                && let Some(figure) = HeapFigure::of(values.clone())
            {
                figures.entry(*phase).or_default().insert(*metric, figure);
            }
        }
        figures
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use hilrig_core::event::{BoardFacts, BrokerFacts, RunStarted};
    use hilrig_core::heap::{HeapLows, HeapSample, HeapSource};

    use super::*;
    use crate::model::BoardEnd;

    /// A run of one board with these lowest figures.
    pub fn run(lows: &[(HeapPhase, u64, u64)]) -> RunModel {
        let mut heap = HeapLows::default();
        for (phase, lowest_free, largest) in lows {
            heap.add(&HeapSample {
                phase: *phase,
                lowest_free: *lowest_free,
                free: None,
                lowest_ever: None,
                largest: Some(*largest),
                fragmentation: Some(3),
                failures: None,
                stack: None,
                source: HeapSource::Log,
            });
        }
        let facts = BoardFacts { kind: "virtual".into(), port: "p".into(), mac: None };
        RunModel {
            started: Some(RunStarted {
                schema: 1,
                hilrig: "0.1.0".into(),
                run: "r".into(),
                started: "2026-11-22T10:00:00Z".into(),
                seed: 1,
                commit: Some("0123456789ab".into()),
                firmware: Vec::new(),
                settings: [("tls_mfl".to_owned(), "512".to_owned())].into(),
                scenarios: Vec::new(),
                floors: BTreeMap::new(),
                boards: vec!["b".into()],
            }),
            broker: Some(BrokerFacts {
                kind: "process".into(),
                software: "mosquitto".into(),
                version: "2".into(),
                from: "mosquitto".into(),
                tls: Some("TLS 1.2".into()),
                port: 1,
                seconds: 0.1,
            }),
            boards: vec![BoardModel {
                name: "b".into(),
                facts: Some(facts),
                heap,
                end: Some(BoardEnd { verdict: Verdict::Passed, seconds: 1.0, why: None }),
                ..BoardModel::default()
            }],
            ..RunModel::default()
        }
    }

    #[test]
    fn the_median_is_one_that_was_measured_and_the_spread_is_the_farthest() {
        let of = |values: &[u64]| HeapFigure::of(values.to_vec()).map(|f| (f.median, f.spread));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some((7, 0)));
        assert_eq!(of(&[10, 30]), Some((10, 20)));
        assert_eq!(of(&[50, 10, 30, 32, 29]), Some((30, 20)));
    }

    #[test]
    fn what_is_measured_now_and_then_is_not_measured() {
        let runs = [
            run(&[(HeapPhase::Boot, 500, 400), (HeapPhase::Page, 300, 200)]),
            run(&[(HeapPhase::Boot, 510, 400)]),
        ];
        let all = Boots::of(&runs);
        let (key, boots) = all.first_key_value().unwrap();
        assert_eq!(key.to_string(), "virtual, tls_mfl=512, TLS 1.2");
        assert_eq!(boots.boots, 2);
        let figures = boots.figures();
        assert_eq!(
            figures[&HeapPhase::Boot][&Metric::LowestFree],
            HeapFigure { median: 500, spread: 10 }
        );
        assert!(!figures.contains_key(&HeapPhase::Page));
    }
}
