//! Processes of this machine: those of a bench, and waiting until one is gone.

use std::fs;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::PATIENCE;

/// The environment variable that marks a sandbox's processes: children inherit it.
pub const MARK: &str = "HILRIG_TEST_BENCH";

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: Pid,
    /// Its command line, arguments separated by spaces.
    pub command: String,
}

/// The processes that have the mark in their environment, and those with a file below `dir` in their command line or
/// environment: what hilrig starts inherits nothing of its environment, and has its files there. One that has ended has
/// neither any more.
pub fn marked(mark: &str, dir: &Path) -> Vec<Process> {
    let wanted = format!("{MARK}={mark}");
    let below = format!("{}/", dir.display());
    let names = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(&below);
    let entries = fs::read_dir("/proc").expect("/proc is there").flatten();
    let found = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw)?;
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let ours = environment.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes())
            || names(&environment);
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let ours = ours || names(&command);
        let command = String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned();
        ours.then_some(Process { pid, command })
    });
    found.collect()
}

impl Process {
    /// Whether it was killed and is only on its way out, which nothing can hold up any more: SIGKILL
    /// is pending (proc(5), `SigPnd` and `ShdPnd`), or was taken and the process exits
    /// (`PF_EXITING` among the flags of `stat`).
    pub fn is_dying(&self) -> bool {
        const EXITING: u32 = 4;
        let kill = 1u64 << (rustix::process::Signal::KILL.as_raw() - 1);
        let read = |name| fs::read_to_string(format!("/proc/{}/{name}", self.pid.as_raw_nonzero()));
        let (Ok(status), Ok(stat)) = (read("status"), read("stat")) else { return true };
        let pending = status.lines().filter_map(|line| {
            let set = line.strip_prefix("SigPnd:").or_else(|| line.strip_prefix("ShdPnd:"))?;
            u64::from_str_radix(set.trim(), 16).ok()
        });
        // After the name in parentheses: state, ppid, pgrp, session, tty_nr, tpgid, flags.
        let flags = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(6));
        let exiting = flags.and_then(|flags| flags.parse::<u32>().ok()).unwrap_or(0) & EXITING;
        pending.fold(0, |all, set| all | set) & kill != 0 || exiting != 0
    }
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
