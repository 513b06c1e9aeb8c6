//! The limits of the process.

use hilrig_core::plural::counted;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Error;

/// Open files of a run, without those of its boards.
const FILES: u64 = 64;
/// Open files of a board: port, lock, logs, sockets, and the pipes of a virtual board.
const FILES_OF_BOARD: u64 = 24;

/// Open files that a run with this many boards may need.
pub fn files_of(boards: usize) -> u64 {
    FILES + FILES_OF_BOARD * boards as u64
}

/// Raises this process's limit of open files to the maximum that the user may set.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // If that fails, the run is checked against the current limit.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

/// Refuses a run that would run out of open files.
///
/// # Errors
/// The limit is too low for this many boards.
pub fn enough_files(boards: usize) -> Result<(), Error> {
    let need = files_of(boards);
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < need => Err(Error::rig(format!(
            "{} may need {need} open files, and this process may open {limit}. Raise the limit (`ulimit -Hn` prints the maximum; in a service LimitNOFILE=), or run fewer boards at a time",
            counted(boards, "board")
        ))),
        _ => Ok(()),
    }
}
