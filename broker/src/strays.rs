//! Processes that a broker started and left: some put themselves into a session of their own, where
//! no signal to the broker or to its group reaches them.
//!
//! Each broker of a case has the folder of its files in its environment, and so has what it starts.
//! That is how they are told apart from everybody else's.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The environment variable that holds the folder.
pub(crate) const MARK: &str = "HILRIG_BROKER_DIR";

/// For a process to be gone after SIGKILL.
const TO_GO: Duration = Duration::from_secs(5);
/// What is ended may have started something meanwhile; it is looked so many times.
const ROUNDS: usize = 5;

/// Ends every process that has this folder, or one below it, for its mark, and waits for that.
pub(crate) fn end(dir: &Path) {
    for _ in 0..ROUNDS {
        let found = find(dir);
        if found.is_empty() {
            return;
        }
        for pid in found {
            // The process, whatever becomes of its number.
            let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            if !is_marked(pid, dir) {
                continue;
            }
            if pidfd_send_signal(&process, Signal::KILL).is_ok() {
                let mut events = [PollFd::new(&process, PollFlags::IN)];
                let _ = poll(&mut events, Timespec::try_from(TO_GO).ok().as_ref());
            }
        }
    }
    tracing::warn!("processes of the broker in {} are left", dir.display());
}

/// Pids of the processes with this mark. Of other users' processes nothing can be read.
fn find(dir: &Path) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .filter(|pid| is_marked(*pid, dir))
        .collect()
}

fn is_marked(pid: Pid, dir: &Path) -> bool {
    // A zombie's is empty.
    let environment = fs::read(PathBuf::from(format!("/proc/{}/environ", pid.as_raw_nonzero())));
    let environment = environment.unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| {
        let value = entry.strip_prefix(MARK.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        value.is_some_and(|value| Path::new(std::ffi::OsStr::from_bytes(value)).starts_with(dir))
    })
}

/// A process with this mark, for tests.
#[cfg(test)]
pub(crate) fn sleeper(mark: &Path) -> std::process::Child {
    let mut sleep = std::process::Command::new("sleep");
    let child = sleep.arg("60").env(MARK, mark).stdin(std::process::Stdio::null()).spawn();
    let child = child.unwrap();
    let pid = Pid::from_child(&child);
    // Where the system forks by vfork(2), it returns a moment before the environment can be read.
    while !is_marked(pid, mark) {
        std::thread::yield_now();
    }
    child
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked_is_ended_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let sibling = PathBuf::from(format!("{}x", dir.path().display()));
        let mut inside = sleeper(&dir.path().join("b"));
        let mut other = sleeper(&sibling);
        end(dir.path());
        assert!(inside.wait().unwrap().to_string().contains("signal: 9"));
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
