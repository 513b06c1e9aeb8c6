//! Processes that a broker started and left: some start a session of their own, where no signal to the broker or to
//! its group reaches them. A broker that is started by a script can be one itself.
//!
//! Each broker has the path of its folder in its environment, and its children inherit it. No other process has it. A
//! process that clears its environment is found as a descendant while the broker lives.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The environment variable with the folder.
pub(crate) const MARK: &str = "HILRIG_BROKER_DIR";

/// Time limit for a process to end after SIGKILL.
const TO_GO: Duration = Duration::from_secs(5);
/// A process may start another one before it ends; the search is repeated so many times.
const ROUNDS: usize = 5;

/// A process and its descendants, each by a descriptor: a descriptor never refers to another process.
pub(crate) struct Descendants(Vec<OwnedFd>);

impl Descendants {
    /// The current descendants of `ancestor`.
    pub fn of(ancestor: Pid) -> Descendants {
        let parents: Vec<(Pid, i32)> =
            processes().filter_map(|pid| Some((pid, parent(pid)?))).collect();
        let mut family = vec![ancestor.as_raw_nonzero().get()];
        let mut at = 0;
        while let Some(one) = family.get(at).copied() {
            family.extend(
                parents
                    .iter()
                    .filter(|(_, of)| *of == one)
                    .map(|(pid, _)| pid.as_raw_nonzero().get()),
            );
            at += 1;
        }
        let opened = family.into_iter().skip(1).filter_map(|pid| {
            let pid = Pid::from_raw(pid)?;
            let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
            // The pid may belong to another process by now.
            parent(pid).is_some().then_some(process)
        });
        Descendants(opened.collect())
    }

    /// Kills those that still run.
    pub fn end(self) {
        self.0.iter().for_each(kill);
    }
}

/// Its parent's pid: field 4 of proc(5)'s `stat`, after the name in parentheses.
fn parent(pid: Pid) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn kill(process: &OwnedFd) {
    if pidfd_send_signal(process, Signal::KILL).is_ok() {
        let mut events = [PollFd::new(process, PollFlags::IN)];
        let _ = poll(&mut events, Timespec::try_from(TO_GO).ok().as_ref());
    }
}

/// Kills every process that has this folder, or one below it, as its mark, and waits for its end.
pub(crate) fn end(dir: &Path) {
    for _ in 0..ROUNDS {
        let found = find(dir);
        if found.is_empty() {
            return;
        }
        for pid in found {
            // A descriptor of the process, because the pid may be reused.
            let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            if !is_marked(pid, dir) {
                continue;
            }
            kill(&process);
        }
    }
    tracing::warn!("processes of the broker in {} are left", dir.display());
}

/// Pids of the processes with this mark. Other users' processes cannot be read.
fn find(dir: &Path) -> Vec<Pid> {
    processes().filter(|pid| is_marked(*pid, dir)).collect()
}

/// All visible processes.
fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

fn is_marked(pid: Pid, dir: &Path) -> bool {
    // A zombie's environment is empty.
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
    // Where the system forks by vfork(2), it returns shortly before the environment can be read.
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
