//! One figure of one boot, as a history has it.

use std::collections::BTreeMap;

use hilrig_core::heap::HeapPhase;

use crate::heap::{Boots, Key, Metric, is_measured};
use crate::model::RunModel;

/// One figure of one boot.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct HistoryRow {
    /// The run's id.
    pub run: String,
    /// When it started, RFC 3339, UTC.
    pub started: String,
    /// Commit, with a `+` where files were changed.
    pub commit: Option<String>,
    /// The firmware's build id.
    pub build: Option<String>,
    /// The board's name.
    pub board: String,
    /// Its kind.
    pub kind: String,
    /// The firmware's settings.
    pub configuration: String,
    /// What it met at the broker.
    pub tls: String,
    /// The verdict on the board.
    pub verdict: Option<String>,
    /// The firmware's phase.
    pub phase: HeapPhase,
    /// Which figure.
    pub metric: Metric,
    /// Its value, in the figure's unit.
    pub value: u64,
}

impl HistoryRow {
    /// The figures of a run's [measured](is_measured) boots, as its history reports them.
    pub fn of(run: &RunModel) -> Vec<HistoryRow> {
        let Some(started) = &run.started else { return Vec::new() };
        let mut rows = Vec::new();
        for board in run.boards.iter().filter(|board| is_measured(board)) {
            // A board that was never had has no figures; its verdict is in the record.
            let Some(key) = Boots::key(run, board) else { continue };
            let firmware = started.firmware.iter().find(|firmware| firmware.kind == key.kind);
            for (phase, low) in board.heap.iter() {
                for metric in Metric::ALL {
                    let Some(value) = metric.of(low) else { continue };
                    rows.push(HistoryRow {
                        run: started.run.clone(),
                        started: started.started.clone(),
                        commit: started.commit.clone(),
                        build: firmware.and_then(|firmware| firmware.build.clone()),
                        board: board.name.clone(),
                        kind: key.kind.clone(),
                        configuration: key.configuration.clone(),
                        tls: key.tls.clone(),
                        verdict: board.verdict().map(|verdict| verdict.word().to_owned()),
                        phase,
                        metric,
                        value,
                    });
                }
            }
        }
        rows
    }

    /// What it can be compared by.
    pub fn key(&self) -> Key {
        Key {
            kind: self.kind.clone(),
            configuration: self.configuration.clone(),
            tls: self.tls.clone(),
        }
    }
}

impl Boots {
    /// The boots of a history, by what they can be compared by. Rows of one boot are
    /// adjacent, as [`History::rows`](crate::History::rows) has them. A history has no static memory.
    pub fn of_rows(rows: &[HistoryRow]) -> BTreeMap<Key, Boots> {
        let mut all: BTreeMap<Key, Boots> = BTreeMap::new();
        for boot in rows.chunk_by(|a, b| (&a.run, &a.board) == (&b.run, &b.board)) {
            let boots = all.entry(boot[0].key()).or_default();
            boots.boots += 1;
            boots.commits.extend(boot[0].commit.clone());
            boots.builds.extend(boot[0].build.clone());
            for row in boot {
                boots.values.entry((row.phase, row.metric)).or_default().push(row.value);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use hilrig_core::phase::{Phase, PhaseOutcome};
    use hilrig_core::verdict::Verdict;

    use super::*;
    use crate::heap::Entry;
    use crate::heap::tests::run;
    use crate::model::{BoardEnd, PhaseRun};

    #[test]
    fn boots_of_a_history_come_to_what_the_runs_come_to() {
        let mut runs = [
            run(&[(HeapPhase::Boot, 500, 400), (HeapPhase::Page, 300, 200)]),
            run(&[(HeapPhase::Boot, 510, 400)]),
        ];
        runs[1].started.as_mut().unwrap().run = "s".into();
        let rows: Vec<HistoryRow> = runs.iter().flat_map(HistoryRow::of).collect();
        let come_to = |all: BTreeMap<Key, Boots>| -> Vec<_> {
            all.into_iter().map(|(key, boots)| (key, Entry::of(&boots))).collect()
        };
        assert_eq!(come_to(Boots::of_rows(&rows)), come_to(Boots::of(&runs)));
        assert!(Boots::of_rows(&[]).is_empty());
    }

    #[test]
    fn a_boot_that_was_cut_off_is_no_measurement() {
        let of = |verdict, phase, outcome| {
            let mut run = run(&[(HeapPhase::Boot, 500, 400)]);
            let board = &mut run.boards[0];
            board.end = verdict;
            let (seconds, waited) = (1.0, 1.0);
            board.phases = vec![PhaseRun { phase, outcome, seconds, waited, why: None }];
            (Boots::of([&run]).len(), HistoryRow::of(&run).len())
        };
        let end = |verdict| Some(BoardEnd { verdict, seconds: 1.0, why: None });
        let (back, done) = (Phase::SwitchBack, PhaseOutcome::Done);
        assert_eq!(of(end(Verdict::Passed), back, done), (1, 3));
        // A floor that was not kept, after the whole path.
        assert_eq!(of(end(Verdict::Failed), back, done), (1, 3));
        // A crash in the handshake.
        assert_eq!(of(end(Verdict::Failed), Phase::Switch, PhaseOutcome::Failed), (0, 0));
        assert_eq!(of(end(Verdict::Failed), back, PhaseOutcome::RigFault), (0, 0));
        for verdict in [end(Verdict::RigFault), end(Verdict::Skipped), None] {
            assert_eq!(of(verdict, back, done), (0, 0));
        }
    }
}
