//! The owner of a resource: the process that created it, as distinct from a later one with the same pid.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

/// A process of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// Its pid.
    pub pid: u32,
    /// The boot of the machine, and the process's start in clock ticks since then.
    pub boot: String,
    /// The machine's name and the pid namespace: containers with separate pids can share an engine
    /// or a temp folder.
    pub host: String,
    /// It keeps the file with this data locked, as long as it lives.
    #[serde(default)]
    pub locked: bool,
}

impl Owner {
    /// This process.
    pub fn me() -> Owner {
        let pid = std::process::id();
        let start = started(pid).unwrap_or_default();
        Owner { pid, boot: format!("{}/{start}", boot_id()), host: host(), locked: false }
    }

    /// It runs, or ran, in the current boot of the machine.
    pub fn is_of_this_boot(&self) -> bool {
        self.boot.split_once('/').is_some_and(|(boot, _)| !boot.is_empty() && boot == boot_id())
    }

    /// Whether the process is certainly gone. For a process that is not visible here nothing is certain.
    pub fn is_gone(&self) -> bool {
        let (Some((boot, start)), Some((name, _))) =
            (self.boot.split_once('/'), self.host.split_once('/'))
        else {
            return false;
        };
        let here = host();
        if here.split_once('/').is_none_or(|(here, _)| here != name) {
            return false;
        }
        if boot != boot_id() {
            return true;
        }
        here == self.host && started(self.pid).is_none_or(|now| now.to_string() != start)
    }
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let namespace = fs::metadata("/proc/self/ns/pid").map(|m| m.ino()).unwrap_or_default();
    format!("{}/{namespace}", name.trim().replace('/', "_"))
}

/// Start of a process in clock ticks after boot: field 22 of proc(5)'s `stat`. `None` for one that
/// does not run (a zombie has no locks any more).
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, with any characters in it.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.nth(18)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_there_and_a_recycled_pid_is_not_it() {
        let me = Owner::me();
        assert!(!me.is_gone(), "{me:?}");
        let (boot, start) = me.boot.split_once('/').unwrap();
        let start: u64 = start.parse().unwrap();
        let earlier = Owner { boot: format!("{boot}/{}", start - 1), ..me.clone() };
        assert!(earlier.is_gone());
        let last_boot = Owner { boot: format!("0/{start}"), ..me.clone() };
        assert!(last_boot.is_gone());
    }

    #[test]
    fn what_cannot_be_seen_from_here_is_left_alone() {
        let me = Owner::me();
        let nowhere = u32::MAX;
        let elsewhere = Owner { pid: nowhere, host: "another/1".into(), ..me.clone() };
        assert!(!elsewhere.is_gone());
        let (name, _) = me.host.split_once('/').unwrap();
        let other_pids = Owner { pid: nowhere, host: format!("{name}/1"), ..me.clone() };
        assert!(!other_pids.is_gone());
        let garbled = Owner { pid: nowhere, boot: "x".into(), host: me.host, locked: false };
        assert!(!garbled.is_gone());
    }
}
