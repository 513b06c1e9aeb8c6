//! `hilrig heap history`.

use std::collections::BTreeSet;
use std::path::Path;

use hilrig_report::{EVENTS, HISTORY, History, HistoryFilter, HistoryRow};

use super::{boots, export, plot, table};
use crate::args::{self, HistoryFormat};
use crate::error::{Failure, print, warn};
use crate::load;

/// Shows or exports the figures of the runs so far.
pub fn history(args: &args::HeapHistory) -> Result<u8, Failure> {
    let records = load::config(&args.config.config)?.records;
    let history = opened(&records)?;
    known(args, &history)?;
    let wanted = HistoryFilter {
        kind: args.kind.clone(),
        board: args.board.clone(),
        last: Some(args.last.get()),
        ..HistoryFilter::default()
    };
    let rows = history.rows(&wanted).map_err(Failure::rig)?;
    print(&match args.format {
        HistoryFormat::Table if rows.is_empty() => "No run has told heap figures yet.\n".into(),
        HistoryFormat::Table => format!("{}\n{}", table::history(&rows), plot::plots(&rows)),
        HistoryFormat::Csv => export::csv(&rows),
        HistoryFormat::Json => export::json(&rows)?,
        HistoryFormat::Bencher => export::bencher(&rows)?,
        HistoryFormat::Openmetrics => export::open_metrics(&rows),
    })
}

/// A board or a kind that the history has nothing of is a slip, and no empty table.
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

/// The history of a folder of records, with all that are in there.
pub fn opened(records: &Path) -> Result<History, Failure> {
    let file = records.join(HISTORY);
    match take_in(records, &file) {
        Ok(history) => Ok(history),
        // What is there can still be shown.
        Err(failure) if file.exists() => {
            warn(failure.message());
            History::read(&file).map_err(Failure::rig)
        }
        Err(failure) => Err(failure),
    }
}

/// Takes in the records that the history does not have: of runs that could not write to it, and of
/// other machines.
fn take_in(records: &Path, file: &Path) -> Result<History, Failure> {
    let mut history = History::open(file).map_err(Failure::rig)?;
    let known = history.runs().map_err(Failure::rig)?;
    for entry in std::fs::read_dir(records).into_iter().flatten().flatten() {
        let folder = entry.path();
        // `latest` is a link to one of the others.
        let linked = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let name = entry.file_name();
        if linked || known.contains(&*name.to_string_lossy()) || !folder.join(EVENTS).is_file() {
            continue;
        }
        match boots::recorded(&folder) {
            Ok(run) => history.add(&run, &folder).map_err(Failure::rig)?,
            Err(failure) => warn(failure.message()),
        }
    }
    Ok(history)
}

/// Rows by run and board, in their order.
pub fn by_boot(rows: &[HistoryRow]) -> impl Iterator<Item = &[HistoryRow]> {
    rows.chunk_by(|a, b| (&a.run, &a.board) == (&b.run, &b.board))
}
