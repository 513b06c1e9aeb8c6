//! Boots against the baseline: written into it, or compared with it.

use std::path::PathBuf;

use hilrig_report::heap::{
    Baseline, BaselineError, Boots, Entry, Gate, Key, Scope, UnmeasuredBoot, UnmeasuredBoots,
    unmeasured_boots,
};

use super::Notices;
use super::boots::{BootsRequest, runs};
use crate::{Error, StopRequest};

/// As a name: judge only what these boots measured.
const MEASURED: &str = "measured";

/// What was accepted into a baseline.
pub struct Accepted {
    /// The baseline.
    pub file: PathBuf,
    /// The figures, by what they are of.
    pub entries: Vec<(Key, Entry)>,
    /// Boots that were not measured, for reasons of the bench.
    pub left_out: Vec<UnmeasuredBoot>,
}

/// Writes the figures of these boots into the baseline; the entries of other boards stay.
///
/// # Errors
/// The baseline cannot be read or written, a board failed, too few boots were measured, or none reported
/// a figure.
pub async fn accept(
    request: &BootsRequest,
    stop: &StopRequest,
    notices: &Notices<'_>,
) -> Result<Accepted, Error> {
    let file = request.baseline_file();
    // A file that cannot be read is not written over.
    let mut baseline = match Baseline::read(&file) {
        Ok(baseline) => baseline,
        Err(BaselineError::Missing { .. }) => Baseline::default(),
        Err(error) => return Err(Error::usage(error)),
    };
    let made = runs(request, stop, notices).await?;
    made.enough()?;
    let scope = Scope { kinds: request.kinds(), ..Scope::default() };
    let UnmeasuredBoots { failed, left_out } = unmeasured_boots(&made.runs, &scope);
    if let Some(UnmeasuredBoot { run, board, why, .. }) = failed.first() {
        return Err(Error::usage(format!(
            "nothing is accepted: `{board}` of run {run} did not pass ({why})"
        )));
    }
    let boots = Boots::of(&made.runs).into_iter().filter(|(key, _)| scope.has(key));
    let entries: Vec<(Key, Entry)> = boots
        .map(|(key, boots)| {
            let entry = Entry::of(&boots);
            (key, entry)
        })
        .collect();
    if entries.is_empty() {
        return Err(Error::usage("nothing is accepted: no board reported a heap figure"));
    }
    baseline.entries.extend(entries.iter().cloned());
    baseline.write(&file).map_err(Error::rig)?;
    Ok(Accepted { file, entries, left_out })
}

/// Boots that were compared with a baseline.
pub struct Checked {
    /// The baseline.
    pub file: PathBuf,
    /// How many runs.
    pub runs: usize,
    /// The result.
    pub gate: Gate,
}

/// Compares these boots with the baseline. `only` are texts in the names of what is judged; `measured` among
/// them judges only what these boots measure.
///
/// # Errors
/// The baseline cannot be read or has nothing of what is judged, or nothing can be run.
pub async fn check(
    request: &BootsRequest,
    only: &[String],
    stop: &StopRequest,
    notices: &Notices<'_>,
) -> Result<Checked, Error> {
    let file = request.baseline_file();
    let baseline = Baseline::read(&file).map_err(Error::usage)?;
    let made = runs(request, stop, notices).await?;
    let (measured, only): (Vec<&String>, Vec<&String>) =
        only.iter().partition(|only| *only == MEASURED);
    let scope = Scope {
        kinds: request.kinds(),
        only: only.into_iter().cloned().collect(),
        only_measured: !measured.is_empty(),
    };
    let runs = made.runs.len();
    let gate = Gate::judge(&baseline, &made.runs, &scope, made.cut_short)
        .map_err(|none| Error::usage(format!("{} {none}", file.display())))?;
    Ok(Checked { file, runs, gate })
}
