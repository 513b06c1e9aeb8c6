//! The boots that figures are taken from: run now, or recorded before.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use hilrig_core::exit;
use hilrig_report::heap::{BASELINE, Scope, UnmeasuredBoot, is_measured, unmeasured_boots};
use hilrig_report::{EVENTS, RunModel, for_each_event};

use crate::args;
use crate::error::{Failure, print};
use crate::run::{self, Shown};
use crate::{bench, load, signals};

/// Where a line for each boot goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// To standard output, with the tables.
    Out,
    /// To standard error: what is on standard output is for other tools.
    Err,
    /// Nowhere.
    None,
}

impl Lines {
    /// Puts a line there.
    pub fn put(self, line: &str) -> Result<(), Failure> {
        match self {
            Lines::Out => drop(print(line)?),
            // Nothing can be done where standard error is closed.
            Lines::Err => drop(anstream::stderr().write_all(line.as_bytes())),
            Lines::None => {}
        }
        Ok(())
    }
}

/// Runs, and why there are no more of them where more were asked for.
pub struct Made {
    /// The runs.
    pub runs: Vec<RunModel>,
    /// Why they ended early.
    pub cut_short: Option<String>,
    /// The same, where it was somebody who stopped them.
    pub stopped: Option<String>,
}

impl Made {
    /// The boots that say nothing of the firmware.
    pub fn left_out(&self) -> Vec<UnmeasuredBoot> {
        unmeasured_boots(&self.runs, &Scope::default()).left_out
    }

    /// That they were not stopped, and that more than half of the boots were measured or failed.
    ///
    /// # Errors
    /// They say too little, for the bench's reasons.
    pub fn enough(&self) -> Result<(), Failure> {
        let left_out = self.left_out();
        let boots: usize = self.runs.iter().map(|run| run.boards.len()).sum();
        if let Some(why) = &self.cut_short {
            return Err(Failure::rig(why));
        }
        match left_out.first() {
            Some(UnmeasuredBoot { run, board, why, .. }) if 2 * left_out.len() >= boots => {
                Err(Failure::rig(format!(
                    "{} of {boots} boots were not measured, the first: `{board}` of run {run}, {why}",
                    left_out.len()
                )))
            }
            _ => Ok(()),
        }
    }
}

/// The baseline that is meant.
pub fn baseline_file(args: &args::HeapBoots) -> PathBuf {
    let beside = || args.config.config.with_file_name(BASELINE);
    args.baseline.clone().unwrap_or_else(beside)
}

/// The runs that `--from` names, or as many new ones as are asked for.
///
/// # Errors
/// A record cannot be read, or nothing can be run.
pub async fn runs(args: &args::HeapBoots, lines: Lines) -> Result<Made, Failure> {
    if !args.from.is_empty() {
        let runs = args.from.iter().map(|record| recorded(record)).collect::<Result<_, _>>()?;
        return Ok(Made { runs, cut_short: None, stopped: None });
    }
    let (kind, board) = chosen(args)?;
    let run = || args::Run {
        config: args.config.clone(),
        virtual_boards: args.virtual_boards,
        kind,
        board: board.clone(),
        record: None,
        flash: false,
        callers: false,
        broker: args.broker,
        seed: None,
        scenarios: args.scenarios.clone(),
    };
    many(run, args.records.as_deref(), args.boots.get(), lines).await
}

/// What `--kind` leaves of the boards: the kind of those that are started, the names of the others.
fn chosen(args: &args::HeapBoots) -> Result<(Option<args::VirtualKind>, Vec<String>), Failure> {
    if args.kind.is_empty() {
        return Ok((None, args.board.clone()));
    }
    let config = load::config(&args.config.config)?;
    if let (Some(_), [kind]) = (args.virtual_boards, &*args.kind) {
        let kind = clap::ValueEnum::from_str(kind, false).map_err(|_| {
            Failure::usage(format!("`{kind}` is no kind of virtual board (virtual, lm3s6965)"))
        })?;
        return Ok((Some(kind), Vec::new()));
    }
    let all = bench::choose(&config, args.virtual_boards.map(usize::from), None, &args.board)?;
    let of_kind = |name: &str| args.kind.iter().any(|kind| kind == name);
    let left: Vec<_> = all.iter().filter(|board| of_kind(board.kind.name())).collect();
    if left.is_empty() {
        let mut kinds: Vec<&str> = all.iter().map(|board| board.kind.name()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        return Err(Failure::usage(format!(
            "no board of this run is of the kind {}; there are: {}",
            args.kind.join(" or "),
            kinds.join(", ")
        )));
    }
    // Boards that the run starts itself are of one kind and have no name in the configuration.
    match config.boards.is_empty() || args.virtual_boards.is_some() {
        true => Ok((None, args.board.clone())),
        false => Ok((None, left.iter().map(|board| board.name.clone()).collect())),
    }
}

/// Runs that often, with a line for each. A run that meets a rig fault is one that is left out; where half of
/// them do, the others are not made.
///
/// # Errors
/// Nothing can be run.
pub async fn many(
    run: impl Fn() -> args::Run,
    records: Option<&Path>,
    boots: usize,
    lines: Lines,
) -> Result<Made, Failure> {
    let mut runs = Vec::new();
    let mut faults = 0;
    // A run listens itself; this is for the moments between two of them.
    let mut stop = std::pin::pin!(signals::told_to_stop().map_err(Failure::internal)?);
    for number in 1..=boots {
        let done = run::once(run(), records, Shown::OnlyTrouble).await?;
        let model = done.run;
        let end = model.ended.as_ref();
        let line = format!(
            "boot {number} of {boots}: {} in {:.1} s, {}\n",
            end.map_or("no verdict", |end| end.verdict.word()),
            end.map_or(model.at, |end| end.seconds),
            done.record.display(),
        );
        lines.put(&line)?;
        faults +=
            usize::from(done.code == exit::RIG_FAULT && !model.boards.iter().any(is_measured));
        runs.push(model);
        let between = tokio::select! {
            biased;
            why = &mut stop => Some(why),
            () = std::future::ready(()) => None,
        };
        let stopped = done.stopped.or(between);
        let cut_short = match &stopped {
            Some(why) => Some(format!("{why} after {number} of {boots} boots")),
            None if 2 * faults >= boots && number < boots => Some(format!(
                "{faults} of {boots} boots met a rig fault, so the others were not made"
            )),
            None => continue,
        };
        return Ok(Made { runs, cut_short, stopped });
    }
    Ok(Made { runs, cut_short: None, stopped: None })
}

/// A record's run; its folder is named, or the events in it.
pub fn recorded(record: &Path) -> Result<RunModel, Failure> {
    let file = if record.is_dir() { record.join(EVENTS) } else { record.to_owned() };
    let mut run = RunModel::default();
    for_each_event(&file, |event| run.add(&event)).map_err(Failure::usage)?;
    if run.started.is_none() {
        return Err(Failure::usage(format!("{} is the record of no run", file.display())));
    }
    Ok(run)
}
