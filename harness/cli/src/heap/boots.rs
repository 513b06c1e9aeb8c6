//! The boots that figures are taken from: run now, or recorded before.

use std::path::{Path, PathBuf};

use hilrig_core::exit;
use hilrig_report::heap::BASELINE;
use hilrig_report::{EVENTS, RunModel, read_events};

use crate::args;
use crate::error::{Failure, print};
use crate::run::{self, Shown};

/// The baseline that is meant.
pub fn baseline_file(args: &args::HeapBoots) -> PathBuf {
    let beside = || args.config.config.with_file_name(BASELINE);
    args.baseline.clone().unwrap_or_else(beside)
}

/// The runs that `--from` names, or as many new ones as are asked for.
///
/// # Errors
/// A record cannot be read. A run that met a rig fault ends it: its figures would not be those of
/// the firmware.
pub async fn runs(args: &args::HeapBoots) -> Result<Vec<RunModel>, Failure> {
    if !args.from.is_empty() {
        return args.from.iter().map(|record| recorded(record)).collect();
    }
    many(|| as_run(args), args.records.as_deref(), args.boots.get()).await
}

/// Runs that often, and says of each what came of it.
///
/// # Errors
/// As [`runs`].
pub async fn many(
    run: impl Fn() -> args::Run,
    records: Option<&Path>,
    boots: usize,
) -> Result<Vec<RunModel>, Failure> {
    let mut runs = Vec::new();
    for number in 1..=boots {
        let done = run::once(run(), records, Shown::OnlyTrouble).await?;
        let model = recorded(&done.record)?;
        let end = model.ended.as_ref();
        print(&format!(
            "boot {number} of {boots}: {} in {:.1} s, {}\n",
            end.map_or("no verdict", |end| end.verdict.word()),
            end.map_or(model.at, |end| end.seconds),
            done.record.display(),
        ))?;
        if done.code == exit::RIG_FAULT {
            let why = end.and_then(|end| end.why.clone());
            let why = why.or_else(|| model.boards.iter().find_map(|b| b.end.as_ref()?.why.clone()));
            return Err(Failure::rig(format!(
                "boot {number} of {boots} met a rig fault: {}. Its record: {}",
                why.unwrap_or_else(|| "no reason was told".into()),
                done.record.display()
            )));
        }
        runs.push(model);
    }
    Ok(runs)
}

/// A record's run; its folder is named, or the events in it.
pub fn recorded(record: &Path) -> Result<RunModel, Failure> {
    let file = if record.is_dir() { record.join(EVENTS) } else { record.to_owned() };
    let recorded = read_events(&file).map_err(Failure::usage)?;
    let run = RunModel::of(&recorded.events);
    if run.started.is_none() {
        return Err(Failure::usage(format!("{} is the record of no run", file.display())));
    }
    Ok(run)
}

fn as_run(args: &args::HeapBoots) -> args::Run {
    args::Run {
        config: args.config.clone(),
        virtual_boards: args.virtual_boards,
        kind: None,
        board: args.board.clone(),
        record: None,
        flash: false,
        callers: false,
        broker: args.broker,
        seed: None,
        scenarios: args.scenarios.clone(),
    }
}
