//! The history of a folder of records.

use std::path::Path;

use hilrig_report::{EVENTS, HISTORY, History};

use super::boots::recorded;
use super::{Notice, Notices};
use crate::Error;

/// The history of a folder of records, with all that are in there.
///
/// # Errors
/// The history can neither be written nor read.
pub fn opened(records: &Path, notices: &Notices<'_>) -> Result<History, Error> {
    let file = records.join(HISTORY);
    match take_in(records, &file, notices) {
        Ok(history) => Ok(history),
        // What is there can still be shown.
        Err(error) if file.exists() => {
            notices(Notice::Warning(error.message()))?;
            History::read(&file).map_err(Error::rig)
        }
        Err(error) => Err(error),
    }
}

/// Takes in the records that the history does not have: of runs that could not write to it, and of
/// other machines.
fn take_in(records: &Path, file: &Path, notices: &Notices<'_>) -> Result<History, Error> {
    let mut history = History::open(file).map_err(Error::rig)?;
    let known = history.runs().map_err(Error::rig)?;
    for entry in std::fs::read_dir(records).into_iter().flatten().flatten() {
        let folder = entry.path();
        // `latest` is a link to one of the others.
        let linked = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let name = entry.file_name();
        if linked || known.contains(&*name.to_string_lossy()) || !folder.join(EVENTS).is_file() {
            continue;
        }
        match recorded(&folder) {
            Ok(run) => history.add(&run, &folder).map_err(Error::rig)?,
            Err(error) => notices(Notice::Warning(error.message()))?,
        }
    }
    Ok(history)
}
