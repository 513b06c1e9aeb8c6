//! A process that is waited for by somebody who is not its parent.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A machine under load gets time.
const DEADLINE: Duration = Duration::from_secs(30);

/// A process, even when its number is somebody else's by now.
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
