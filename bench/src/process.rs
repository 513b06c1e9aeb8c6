//! Runs a program and measures what it alone takes: its children's time and memory are not in it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How often memory is looked at. The peak of the resident set is kept by the kernel, so that only
/// what grows in the very last moments is missed.
const LOOK: Duration = Duration::from_millis(5);

/// What a program took.
#[derive(Debug)]
pub struct Usage {
    /// Wall clock when it was started.
    pub started: SystemTime,
    /// Seconds from before it was started to its end.
    pub wall: f64,
    /// CPU seconds of the process, user and system, all of its threads and none of its children.
    pub cpu: f64,
    /// CPU seconds of the children that it waited for.
    pub children: f64,
    /// Largest resident set, bytes, mapped files included.
    pub peak: u64,
    /// Largest anonymous part of it that was seen, bytes.
    pub anonymous: u64,
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it wrote on the standard error stream.
    pub stderr: String,
}

/// Runs `command` to its end, with its output thrown away.
pub fn measured(command: &mut Command) -> io::Result<Usage> {
    let mut stderr = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr.try_clone()?);
    let started = SystemTime::now();
    let since = Instant::now();
    let mut child = command.spawn()?;
    let pid = child.id();
    let ended = pidfd_open(
        Pid::from_raw(pid as i32).ok_or_else(|| io::Error::other("a child without an id"))?,
        PidfdFlags::empty(),
    )?;
    let (mut peak, mut anonymous) = (0, 0);
    // The descriptor gets readable when the process has ended; until it is waited for, its figures
    // stay to be read.
    let wall = loop {
        let mut fds = [PollFd::new(&ended, PollFlags::IN)];
        let look = Timespec { tv_sec: 0, tv_nsec: LOOK.subsec_nanos().into() };
        poll(&mut fds, Some(&look))?;
        if !fds[0].revents().is_empty() {
            break since.elapsed().as_secs_f64();
        }
        let (now, anon) = memory(pid);
        peak = peak.max(now);
        anonymous = anonymous.max(anon);
    };
    let (cpu, children) = cpu(pid)?;
    let code = child.wait()?.code();
    let mut text = String::new();
    stderr.rewind()?;
    File::read_to_string(&mut stderr, &mut text)?;
    Ok(Usage { started, wall, cpu, children, peak, anonymous, code, stderr: text })
}

/// `VmHWM` and `RssAnon`, bytes; 0 once the process has ended.
fn memory(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    };
    (of("VmHWM:"), of("RssAnon:"))
}

/// CPU seconds of the process and of the children that it waited for. `wait4` would return the sum
/// of both, and nothing here can take it apart again.
pub fn cpu(pid: u32) -> io::Result<(f64, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may have spaces and brackets; the fields after it do not. utime is field 14.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks: Vec<f64> =
        fields.split(' ').skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    let &[user, system, children_user, children_system] = ticks.as_slice() else {
        return Err(io::Error::other(format!("/proc/{pid}/stat reads `{stat}`")));
    };
    let second = rustix::param::clock_ticks_per_second() as f64;
    Ok(((user + system) / second, (children_user + children_system) / second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_childs_work_is_not_its_parents() {
        let spin = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let usage = measured(Command::new("sh").args(["-c", &format!("sh -c '{spin}'; exit 7")]));
        let usage = usage.unwrap();
        assert_eq!(usage.code, Some(7));
        assert!(usage.children > usage.cpu, "{usage:?}");
        assert!(usage.wall >= usage.children, "{usage:?}");
        assert!(usage.peak > 0 && usage.anonymous > 0, "{usage:?}");
    }
}
