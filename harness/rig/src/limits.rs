//! The limits that the system sets a process.

use hilrig_core::plural::counted;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Error;

/// Open files that a run takes beside those of its boards.
const FILES: u64 = 64;
/// Open files that a board takes: port, lock, logs, sockets, and the pipes of a virtual board.
const FILES_OF_BOARD: u64 = 24;

/// Open files that a run with so many boards may take.
pub fn files_of(boards: usize) -> u64 {
    FILES + FILES_OF_BOARD * boards as u64
}

/// Raises the limit of open files to the most that this user may set.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Where it cannot be raised the run counts with what there is.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

/// Refuses a run that would end in the middle for want of open files.
pub fn enough_files(boards: usize) -> Result<(), Error> {
    let need = files_of(boards);
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < need => Err(Error::rig(format!(
            "{} may take {need} open files, and this process may open {limit}. Raise the limit (`ulimit -Hn` shows the most; in a service LimitNOFILE=), or run fewer boards at a time",
            counted(boards, "board")
        ))),
        _ => Ok(()),
    }
}
