//! Compares two runs, commits or files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hilrig_report::heap::{CallerChanges, Entry, Key, KeyComparison, compare_callers};

use super::Notices;
use super::measure::{MeasureRequest, Measurement};
use super::sides::{NamedSide, Side, Sources};
use crate::{Error, StopRequest};

/// Which two sides to compare.
#[derive(Clone, Debug)]
pub struct DiffRequest {
    /// A record's folder, a baseline (.toml), a run's id (or `latest`), or a commit.
    pub before: PathBuf,
    /// The other side, likewise.
    pub after: PathBuf,
    /// The configuration file, by which runs and commits are found.
    pub config: PathBuf,
    /// How a commit without figures is measured; left out, none is.
    pub measure: Option<MeasureRequest>,
}

/// Two sides with what they have in common.
pub struct HeapDiff {
    /// The first.
    pub before: Side,
    /// The second.
    pub after: Side,
    /// The figures of the keys that both have.
    pub compared: Vec<KeyComparison>,
    /// The functions that allocate more or less.
    pub callers: CallerChanges,
}

/// Compares both sides.
///
/// # Errors
/// One of the two is not found or cannot be measured, or they have no key in common.
pub async fn diff(
    request: &DiffRequest,
    stop: &StopRequest,
    notices: &Notices<'_>,
) -> Result<HeapDiff, Error> {
    let [before, after] = sides(request, stop, notices).await?;
    let common: Vec<&Key> =
        before.entries.keys().filter(|key| after.entries.contains_key(key)).collect();
    if common.is_empty() {
        let list = |of: &BTreeMap<Key, Entry>| {
            of.keys().map(|key| format!("  {key}\n")).collect::<String>()
        };
        return Err(Error::usage(format!(
            "the two sides have nothing in common to compare. {} has:\n{}{} has:\n{}sources\n{}{}",
            request.before.display(),
            list(&before.entries),
            request.after.display(),
            list(&after.entries),
            before.words("before", &request.before),
            after.words("after", &request.after),
        )));
    }
    let compared: Vec<KeyComparison> = common
        .iter()
        .map(|key| KeyComparison::of((*key).clone(), &before.entries[*key], &after.entries[*key]))
        .collect();
    let changes = |key: &&Key| {
        let (before, after) = (before.callers.get(*key)?, after.callers.get(*key)?);
        Some(((*key).clone(), compare_callers(before, after)))
    };
    let callers: CallerChanges = common.iter().filter_map(changes).collect();
    Ok(HeapDiff { before, after, compared, callers })
}

/// Finds both before anything is measured: a typo in the second does not cost boots of the first.
async fn sides(
    request: &DiffRequest,
    stop: &StopRequest,
    notices: &Notices<'_>,
) -> Result<[Side; 2], Error> {
    let arguments = [&request.before, &request.after];
    let Some(sources) = sources(request, arguments, notices).await? else {
        return Ok([Side::of_file(&request.before)?, Side::of_file(&request.after)?]);
    };
    let mut found = Vec::new();
    for argument in arguments {
        let (named, others) = sources.named(argument).await?;
        let side = sources.side(&named).await.map_err(|error| {
            let message = [&[error.message().to_owned()], &*others].concat().join("; ");
            error.reworded(message)
        });
        let mut side = side?;
        side.from.extend(others);
        found.push((argument, named, side));
    }
    let has_callers = |(_, named, side): &(_, NamedSide, Side)| {
        matches!(named, NamedSide::Commit(_)) || !side.callers.is_empty()
    };
    let callers = request.measure.is_some() && found.iter().all(has_callers);
    let mut sides = Vec::new();
    for (argument, named, mut side) in found {
        if let NamedSide::Commit(hash) = &named {
            if let Some(how) = &request.measure {
                let measurement = Measurement { request: how, sources: &sources, stop };
                measurement.add(hash, &mut side, callers).await?;
            } else if side.entries.is_empty() {
                return Err(Error::usage(format!(
                    "`{}` (commit {}) has no heap figures: {}. `hilrig heap diff {} {} --measure` builds and boots it in a separate working tree",
                    argument.display(),
                    &hash[..12],
                    side.from.join("; "),
                    request.before.display(),
                    request.after.display()
                )));
            }
            side.from.insert(0, format!("commit {}", &hash[..12]));
        }
        sides.push(side);
    }
    sides.try_into().map_err(|_| Error::internal("a diff has two sides"))
}

/// What runs and commits are found by. Two files need no configuration.
async fn sources<'a>(
    request: &DiffRequest,
    all: [&PathBuf; 2],
    notices: &'a Notices<'a>,
) -> Result<Option<Sources<'a>>, Error> {
    match (Sources::of(&request.config, notices).await, all.iter().find(|path| !path.exists())) {
        (Ok(sources), _) => Ok(Some(sources)),
        (Err(_), None) => Ok(None),
        (Err(error), Some(path)) => {
            let why = format!(
                "`{}` is no file or folder; runs and commits are found by the configuration, and {}",
                path.display(),
                error.message()
            );
            Err(error.reworded(why))
        }
    }
}
