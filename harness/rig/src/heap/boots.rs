//! The boots that are measured: run now, or recorded before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hilrig_core::config::BoardKind;
use hilrig_core::exit;
use hilrig_report::heap::{BASELINE, Scope, UnmeasuredBoot, is_measured, unmeasured_boots};
use hilrig_report::{EVENTS, RunModel, for_each_event};

use super::{Notice, Notices};
use crate::load::{self, BoardSelection};
use crate::{Error, FinishedRun, RunRequest, StopRequest, run_recorded};

/// The runs of a measurement, and why there are fewer than were requested.
pub struct MeasuredRuns {
    /// The runs.
    pub runs: Vec<RunModel>,
    /// Why they ended early.
    pub cut_short: Option<String>,
    /// The same, if a signal stopped them.
    pub stopped: Option<String>,
}

impl MeasuredRuns {
    /// Boots that were not measured, for reasons of the bench.
    pub fn left_out(&self) -> Vec<UnmeasuredBoot> {
        unmeasured_boots(&self.runs, &Scope::default()).left_out
    }

    /// That they were not stopped, and that more than half of the boots were measured or failed.
    ///
    /// # Errors
    /// Too few boots were measured, for reasons of the bench.
    pub fn enough(&self) -> Result<(), Error> {
        let left_out = self.left_out();
        let boots: usize = self.runs.iter().map(|run| run.boards.len()).sum();
        if let Some(why) = &self.cut_short {
            return Err(Error::rig(why));
        }
        match left_out.first() {
            Some(UnmeasuredBoot { run, board, why, .. }) if 2 * left_out.len() >= boots => {
                Err(Error::rig(format!(
                    "{} of {boots} boots were not measured, the first: `{board}` of run {run}, {why}",
                    left_out.len()
                )))
            }
            _ => Ok(()),
        }
    }
}

/// Which runs are measured.
#[derive(Clone, Debug)]
pub struct BootsRequest {
    /// The run, repeated `boots` times.
    pub run: RunRequest,
    /// Only boards of these kinds, by their serialized names; empty for all.
    pub kinds: Vec<String>,
    /// How many runs.
    pub boots: usize,
    /// Records to read the figures from; nothing is run then.
    pub from: Vec<PathBuf>,
    /// The baseline. By default `heap-baseline.toml` next to the configuration.
    pub baseline: Option<PathBuf>,
}

impl BootsRequest {
    /// The baseline's file.
    pub fn baseline_file(&self) -> PathBuf {
        let beside = || self.run.config.with_file_name(BASELINE);
        self.baseline.clone().unwrap_or_else(beside)
    }

    /// The kinds of board that are judged.
    pub(super) fn kinds(&self) -> BTreeSet<String> {
        self.kinds.iter().cloned().collect()
    }
}

/// The runs of the named records, or as many new ones as are asked for.
///
/// # Errors
/// A record cannot be read, or nothing can be run.
pub async fn runs(
    request: &BootsRequest,
    stop: &StopRequest,
    notices: &Notices<'_>,
) -> Result<MeasuredRuns, Error> {
    if !request.from.is_empty() {
        let runs = request.from.iter().map(|record| recorded(record)).collect::<Result<_, _>>()?;
        return Ok(MeasuredRuns { runs, cut_short: None, stopped: None });
    }
    let run = RunRequest { boards: chosen(request)?, ..request.run.clone() };
    many(&run, request.boots, stop, notices).await
}

/// What the wanted kinds leave of the boards: the kind of those that are started, the names of the others.
fn chosen(request: &BootsRequest) -> Result<BoardSelection, Error> {
    let boards = &request.run.boards;
    if request.kinds.is_empty() {
        return Ok(boards.clone());
    }
    let config = load::config(&request.run.config)?;
    if let (Some(_), [kind]) = (boards.virtual_boards, &*request.kinds) {
        let kind = BoardKind::named(kind).filter(|kind| kind.is_virtual()).ok_or_else(|| {
            Error::usage(format!("`{kind}` is no kind of virtual board (virtual, lm3s6965)"))
        })?;
        return Ok(BoardSelection { kind: Some(kind), ..boards.clone() });
    }
    let all = load::choose(&config, boards)?;
    let of_kind = |name: &str| request.kinds.iter().any(|kind| kind == name);
    let left: Vec<_> = all.iter().filter(|board| of_kind(board.kind.name())).collect();
    if left.is_empty() {
        let mut kinds: Vec<&str> = all.iter().map(|board| board.kind.name()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        return Err(Error::usage(format!(
            "no board of this run is of the kind {}; there are: {}",
            request.kinds.join(" or "),
            kinds.join(", ")
        )));
    }
    // Boards that the run starts itself are of one kind and have no name in the configuration.
    match config.boards.is_empty() || boards.virtual_boards.is_some() {
        true => Ok(boards.clone()),
        false => {
            let names = left.iter().map(|board| board.name.clone()).collect();
            Ok(BoardSelection { names, ..boards.clone() })
        }
    }
}

/// Runs `boots` times, with a line for each. A run that ends with a rig fault is left out; if half of them do,
/// the others are not run.
///
/// # Errors
/// Nothing can be run.
pub(super) async fn many(
    run: &RunRequest,
    boots: usize,
    stop: &StopRequest,
    notices: &Notices<'_>,
) -> Result<MeasuredRuns, Error> {
    let mut runs = Vec::new();
    let mut faults = 0;
    for number in 1..=boots {
        let finished = run_recorded(run, stop).await?;
        notices_of(&finished, notices)?;
        let model = finished.run;
        let end = model.ended.as_ref();
        let line = format!(
            "boot {number} of {boots}: {} in {:.1} s, {}\n",
            end.map_or("no verdict", |end| end.verdict.word()),
            end.map_or(model.at, |end| end.seconds),
            finished.record.display(),
        );
        notices(Notice::Line(&line))?;
        faults +=
            usize::from(finished.code == exit::RIG_FAULT && !model.boards.iter().any(is_measured));
        runs.push(model);
        let stopped = finished.stopped.or_else(|| stop.reason());
        let cut_short = match &stopped {
            Some(why) => Some(format!("{why} after {number} of {boots} boots")),
            None if 2 * faults >= boots && number < boots => Some(format!(
                "{faults} of {boots} boots ended with a rig fault, so the others were not run"
            )),
            None => continue,
        };
        return Ok(MeasuredRuns { runs, cut_short, stopped });
    }
    Ok(MeasuredRuns { runs, cut_short: None, stopped: None })
}

fn notices_of(finished: &FinishedRun, notices: &Notices<'_>) -> Result<(), Error> {
    for fault in &finished.faults {
        notices(Notice::Fault(fault))?;
    }
    finished.not_in_history.iter().try_for_each(|why| notices(Notice::Warning(why)))
}

/// A record's run; its folder is named, or the events in it.
///
/// # Errors
/// There is no such record, or its events cannot be read.
pub fn recorded(record: &Path) -> Result<RunModel, Error> {
    let file = if record.is_dir() { record.join(EVENTS) } else { record.to_owned() };
    let mut run = RunModel::default();
    for_each_event(&file, |event| run.add(&event)).map_err(Error::usage)?;
    if run.started.is_none() {
        return Err(Error::usage(format!(
            "{} has no `run_started`: it is not the record of a run",
            file.display()
        )));
    }
    Ok(run)
}
