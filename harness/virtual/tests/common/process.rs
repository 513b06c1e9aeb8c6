//! Waits for a process that is no child.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// For a machine under load.
const DEADLINE: Duration = Duration::from_secs(30);

/// A process, even if another one has its number now.
pub struct ChildProcess(OwnedFd);

impl ChildProcess {
    pub fn open(pid: u32) -> ChildProcess {
        let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
        ChildProcess(
            rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap(),
        )
    }

    /// Waits until it has ended.
    pub async fn gone(self) {
        let wait = tokio::task::spawn_blocking(move || {
            let deadline = Timespec { tv_sec: DEADLINE.as_secs() as i64, tv_nsec: 0 };
            let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
            poll(&mut fds, Some(&deadline)).unwrap();
            assert!(!fds[0].revents().is_empty(), "QEMU still runs after {DEADLINE:?}");
        });
        wait.await.unwrap();
    }
}
