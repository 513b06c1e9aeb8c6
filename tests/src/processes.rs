//! Processes of this machine: those of a bench, and waiting until one is gone.

use std::fs;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::PATIENCE;

/// The environment variable that tells a bench's processes from all others: children inherit it.
pub const MARK: &str = "HILRIG_TEST_BENCH";

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: Pid,
    /// Its command line, arguments separated by spaces.
    pub command: String,
}

/// The processes that have the mark in their environment. One that has ended has none any more.
pub fn marked(mark: &str) -> Vec<Process> {
    let wanted = format!("{MARK}={mark}");
    let entries = fs::read_dir("/proc").expect("/proc is there").flatten();
    let found = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw)?;
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let ours = environment.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes());
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned();
        ours.then_some(Process { pid, command })
    });
    found.collect()
}

/// Waits until a process has ended (it need not be waited for by its parent).
pub fn wait_gone(pid: Pid, what: &str) {
    // Without a descriptor there is no such process any more.
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let deadline = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&deadline));
    assert!(
        ready.is_ok_and(|ready| ready > 0),
        "{what}: process {} did not end within {PATIENCE:?}",
        pid.as_raw_nonzero()
    );
}
