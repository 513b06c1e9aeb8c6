//! Heap figures as tables.

use hilrig_core::heap::HeapPhase;
use hilrig_report::Row;
use hilrig_report::heap::{Comparison, Entry, Judged, Key, Metric};

use super::history::by_boot;
use crate::table::table;

/// The figures of one key.
pub fn figures(key: &Key, entry: &Entry) -> String {
    let mut rows = Vec::new();
    for (phase, figures) in &entry.figures {
        let figure = |metric| figures.get(&metric).map_or("not told".into(), ToString::to_string);
        rows.push(vec![
            phase.name().to_owned(),
            figure(Metric::LowestFree),
            figure(Metric::Largest),
            figure(Metric::Fragmentation),
        ]);
    }
    format!(
        "{key} ({} boots)\n{}\n",
        entry.boots,
        table(&["phase", "lowest free, B", "largest block, B", "fragmentation, %"], rows)
    )
}

/// The history: a line for each board of each run.
pub fn history(rows: &[Row]) -> String {
    let lines = by_boot(rows).map(|boot| {
        let first = &boot[0];
        let mut line = vec![
            first.run.clone(),
            first.commit.clone().unwrap_or("-".into()),
            first.board.clone(),
            first.verdict.clone().unwrap_or("no verdict".into()),
        ];
        line.extend(HeapPhase::ALL.map(|phase| {
            let figure = |row: &&Row| row.phase == phase && row.metric == Metric::LowestFree;
            boot.iter().find(figure).map_or("-".into(), |row| row.value.to_string())
        }));
        line
    });
    table(&["run", "commit", "board", "verdict", "boot", "page", "handshake", "connected"], lines)
}

/// Two sets of figures of one key.
pub fn comparison(key: &Key, names: [&str; 2], comparison: &Comparison) -> String {
    let rows = comparison.changes.iter().map(|change| {
        let figure = |figure: Option<hilrig_report::heap::Figure>| {
            figure.map_or("not measured".into(), |figure| figure.to_string())
        };
        vec![
            change.phase.name().to_owned(),
            change.metric.words().to_owned(),
            figure(change.before),
            figure(change.now),
            change.difference().map_or("-".into(), |more| format!("{more:+}")),
            change.allowed().map_or("-".into(), |allowed| format!("{allowed:+}")),
            match change.judged {
                // What fails a check stands out.
                Judged::Worse | Judged::NotMeasured => change.words().to_uppercase(),
                _ => change.words().to_owned(),
            },
        ]
    });
    let heads = ["phase", "figure", names[0], names[1], "change", "allowed", ""];
    format!("{key}\n{}\n", table(&heads, rows))
}
