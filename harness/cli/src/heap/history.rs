//! `hilrig heap history`.

use std::collections::BTreeSet;

use hilrig::heap::opened;
use hilrig::load;
use hilrig_report::heap::{export, history_plots, history_table};
use hilrig_report::{History, HistoryFilter};

use crate::args::{self, HeapFormat, HistoryFormat};
use crate::error::{Failure, print};

/// Prints or exports the figures of all runs.
pub fn history(args: &args::HeapHistory) -> Result<u8, Failure> {
    let records = load::config(&args.config.config)?.records;
    let history = opened(&records, &super::notices(HeapFormat::Text))?;
    known(args, &history)?;
    let wanted = HistoryFilter {
        kind: args.kind.clone(),
        board: args.board.clone(),
        last: Some(args.last.get()),
        ..HistoryFilter::default()
    };
    let rows = history.rows(&wanted).map_err(Failure::rig)?;
    print(&match args.format {
        HistoryFormat::Table if rows.is_empty() => "No run has reported heap figures yet.\n".into(),
        HistoryFormat::Table => format!("{}\n{}", history_table(&rows), history_plots(&rows)),
        HistoryFormat::Csv => export::csv(&rows),
        HistoryFormat::Json => export::json(&rows).map_err(Failure::internal)?,
        HistoryFormat::Bencher => export::bencher(&rows).map_err(Failure::internal)?,
        HistoryFormat::Openmetrics => export::open_metrics(&rows),
    })
}

/// A board or a kind that is not in the history is an error, not an empty table.
fn known(args: &args::HeapHistory, history: &History) -> Result<(), Failure> {
    let boards = history.boards().map_err(Failure::rig)?;
    let of_kind = |kind: &String| args.kind.as_ref().is_none_or(|wanted| wanted == kind);
    let list = |names: BTreeSet<&String>| match names.is_empty() {
        true => "none yet".to_owned(),
        false => names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    };
    if let Some(kind) = args.kind.as_ref().filter(|kind| !boards.iter().any(|(_, k)| k == *kind)) {
        let kinds = list(boards.iter().map(|(_, kind)| kind).collect());
        return Err(Failure::usage(format!(
            "the history has no board of the kind `{kind}`; it has the kinds: {kinds}"
        )));
    }
    let named = |name: &String| boards.iter().any(|(board, kind)| board == name && of_kind(kind));
    if let Some(board) = args.board.as_ref().filter(|board| !named(board)) {
        let of =
            args.kind.as_ref().map(|kind| format!(" of the kind `{kind}`")).unwrap_or_default();
        let known = boards.iter().filter(|(_, kind)| of_kind(kind)).map(|(board, _)| board);
        return Err(Failure::usage(format!(
            "the history has no board `{board}`{of}; it has: {}",
            list(known.collect())
        )));
    }
    Ok(())
}
