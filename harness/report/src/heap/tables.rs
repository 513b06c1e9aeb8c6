//! Heap figures as tables.

use std::collections::{BTreeMap, BTreeSet};

use hilrig_core::callers::HeapCallers;
use hilrig_core::heap::HeapPhase;
use hilrig_core::plural::counted;

use super::{
    CallerChange, CallerChanges, CallerRow, Comparison, Entry, FigureJudgement, HeapFigure, Key,
    KeyComparison, MOST_CALLERS, Metric, at_lowest, caller_rows,
};
use crate::history::HistoryRow;
use crate::model::RunModel;
use crate::text_table::text_table;

/// Rows of a history by run and board, in their order.
pub fn by_boot(rows: &[HistoryRow]) -> impl Iterator<Item = &[HistoryRow]> {
    rows.chunk_by(|a, b| (&a.run, &a.board) == (&b.run, &b.board))
}

/// Two sides in all that they have in common.
pub fn diff_tables(compared: &[KeyComparison], callers: &CallerChanges) -> String {
    let mut text = String::new();
    for of in compared {
        let names = ["before", "after"];
        text.push_str(&comparison_table(&of.key, names, &of.comparison));
        let [before, after] = &of.sections;
        text.push_str(&static_memory_table(names, before, after));
        if let Some(changes) = callers.get(&of.key) {
            text.push_str(&caller_changes(changes));
        }
    }
    text
}

/// The figures of one key.
pub fn figures_table(key: &Key, entry: &Entry) -> String {
    let mut rows = Vec::new();
    for (phase, figures) in &entry.figures {
        let figure =
            |metric| figures.get(&metric).map_or("not reported".into(), ToString::to_string);
        rows.push(vec![
            phase.name().to_owned(),
            figure(Metric::LowestFree),
            figure(Metric::Largest),
            figure(Metric::Fragmentation),
            figure(Metric::Stack),
        ]);
    }
    format!(
        "{key} ({})\n{}\n",
        counted(entry.boots, "boot"),
        text_table(
            &["phase", "lowest free, B", "largest block, B", "fragmentation, %", "stack used, B"],
            rows
        )
    )
}

/// The history: a line for each board of each run.
pub fn history_table(rows: &[HistoryRow]) -> String {
    let lines = by_boot(rows).map(|boot| {
        let first = &boot[0];
        let mut line = vec![
            first.run.clone(),
            first.commit.clone().unwrap_or("-".into()),
            first.board.clone(),
            first.verdict.clone().unwrap_or("no verdict".into()),
        ];
        line.extend(HeapPhase::ALL.map(|phase| {
            let figure = |row: &&HistoryRow| row.phase == phase && row.metric == Metric::LowestFree;
            boot.iter().find(figure).map_or("-".into(), |row| row.value.to_string())
        }));
        line
    });
    text_table(
        &["run", "commit", "board", "verdict", "boot", "page", "handshake", "connected"],
        lines,
    )
}

/// Two sets of figures of one key.
pub fn comparison_table(key: &Key, names: [&str; 2], comparison: &Comparison) -> String {
    let rows = comparison.changes.iter().map(|change| {
        let figure = |figure: Option<HeapFigure>| {
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
                // What fails a check is in capitals.
                FigureJudgement::Worse | FigureJudgement::NotMeasured => {
                    change.words().to_uppercase()
                }
                _ => change.words().to_owned(),
            },
        ]
    });
    let heads = ["phase", "figure", names[0], names[1], "change", "allowed", ""];
    format!("{key}\n{}\n", text_table(&heads, rows))
}

/// Static memory before and now; nothing where one of the two has none.
pub fn static_memory_table(
    names: [&str; 2],
    before: &BTreeMap<String, u64>,
    now: &BTreeMap<String, u64>,
) -> String {
    if before.is_empty() || now.is_empty() {
        return String::new();
    }
    let all: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let rows = all.into_iter().map(|section| {
        let size = |of: &BTreeMap<String, u64>| of.get(section).copied().unwrap_or(0);
        let (before, now) = (size(before), size(now));
        let change = now as i64 - before as i64;
        vec![section.clone(), before.to_string(), now.to_string(), format!("{change:+}")]
    });
    let heads = ["static memory, B", names[0], names[1], "change"];
    format!("{}\n", text_table(&heads, rows))
}

/// Static memory of the images of a run.
pub fn sections_table(run: &RunModel) -> String {
    let firmware = run.started.iter().flat_map(|started| &started.firmware);
    let with = firmware.filter(|firmware| !firmware.sections.is_empty());
    let tables = with.map(|firmware| {
        let rows = firmware.sections.iter().map(|section| {
            let holds = section.holds.words().to_owned();
            vec![section.name.clone(), holds, section.bytes.to_string()]
        });
        format!("\n{}", text_table(&[&format!("{}, static", firmware.kind), "", "bytes"], rows))
    });
    tables.collect()
}

/// The heap of a board by function when it was lowest in a phase.
pub fn callers_table(board: &str, callers: &HeapCallers) -> String {
    let mut rows: Vec<Vec<String>> = caller_rows(callers)
        .into_iter()
        .map(|CallerRow { name, place, bytes, blocks }| {
            let blocks = blocks.map_or(String::new(), |blocks| blocks.to_string());
            vec![bytes.to_string(), blocks, name, place]
        })
        .collect();
    rows.push(vec![callers.logged().to_string(), String::new(), "reported in all".into()]);
    let heads = ["bytes", "blocks", "function", "place"];
    format!("{board}, {}; allocated then by\n{}", at_lowest(callers), text_table(&heads, rows))
}

/// The functions that allocate more or less than before.
fn caller_changes(changes: &BTreeMap<HeapPhase, Vec<CallerChange>>) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let rows = changes.iter().flat_map(|(phase, changes)| {
        let grown = changes.iter().filter(|change| change.difference() > 0).take(MOST_CALLERS);
        let shrunk = changes.iter().rev().filter(|change| change.difference() < 0);
        let shrunk: Vec<_> = shrunk.take(MOST_CALLERS).collect();
        grown.chain(shrunk.into_iter().rev()).map(|change| {
            vec![
                phase.name().to_owned(),
                change.name.clone(),
                change.before.to_string(),
                change.now.to_string(),
                format!("{:+}", change.difference()),
            ]
        })
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        return "no function allocates more or less than before\n\n".into();
    }
    let heads = ["phase", "allocated at the lowest, B", "before", "after", "change"];
    format!("{}\n", text_table(&heads, rows))
}
