//! A machine of a test's own: hilrig in a mount namespace in which /sys and /dev are those of a
//! [`UsbTree`]. What is plugged in from outside is seen inside.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::artifacts;
use crate::running::RunningProgram;
use crate::sandbox::{Sandbox, path_text};
use crate::skip::skipped;
use crate::usb::UsbTree;

/// Mounts $1's `sys` and `dev` in place of the machine's, with the nodes that any program needs,
/// and becomes the rest of the arguments.
const ENTER: &str = r#"
set -e
root=$1; shift
for node in null zero full random urandom tty; do mount --bind /dev/$node "$root/dev/$node"; done
mount --rbind /dev/pts "$root/dev/pts"
mount --rbind "$root/dev" /dev
mount --bind "$root/sys" /sys
exec "$@"
"#;

/// The machine.
pub struct IsolatedMachine<'a> {
    bench: &'a Sandbox,
    /// Its adapters.
    pub usb: UsbTree,
}

impl<'a> IsolatedMachine<'a> {
    /// A machine without a port; none, with the reason printed, if namespaces are not allowed.
    pub fn new(bench: &'a Sandbox) -> Option<IsolatedMachine<'a>> {
        let root = bench.path("machine");
        let machine = IsolatedMachine { bench, usb: UsbTree::new(&root) };
        let dev = root.join("dev");
        for node in ["null", "zero", "full", "random", "urandom", "tty"] {
            fs::write(dev.join(node), "").expect("the bench's folder can be written to");
        }
        fs::create_dir(dev.join("pts")).expect("the bench's folder can be written to");
        for (name, to) in [("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd")] {
            symlink(to, dev.join(name)).expect("the bench's folder can be written to");
        }
        let mut tried = machine.command(&["true"]);
        match tried.stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => Some(machine),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                skipped(&format!("no mount namespace is available: {why}"));
                None
            }
            Err(error) => {
                skipped(&format!("no `unshare` (util-linux): {error}"));
                None
            }
        }
    }

    /// A program on it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bench.command("unshare");
        // Who is not root becomes it in a user namespace, where mounting is allowed.
        let how: &[&str] = match rustix::process::geteuid().is_root() {
            true => &["--mount"],
            false => &["--mount", "--map-root-user"],
        };
        let root = path_text(&self.bench.path("machine"));
        command.args(how).args(["--", "sh", "-c", ENTER, "sh", &root]).args(arguments);
        command
    }

    /// A program on it without any of root's rights, as any user.
    pub fn command_of_ordinary_user(&self, arguments: &[&str]) -> Command {
        let drop: &[&str] = match rustix::process::geteuid().is_root() {
            true => &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
            // Root in the user namespace only, and then not even there.
            false => &["setpriv", "--bounding-set=-all", "--inh-caps=-all"],
        };
        self.command(&[drop, arguments].concat())
    }

    /// Starts `hilrig` on it.
    pub fn start(&self, arguments: &[&str]) -> RunningProgram {
        let hilrig = path_text(&artifacts::hilrig());
        RunningProgram::start(self.command(&[&[hilrig.as_str()], arguments].concat()))
    }
}
