//! The commit that a configuration belongs to.

use std::path::Path;
use std::process::{Command, Stdio};

/// The commit checked out in `folder`, with a `+` if tracked files were changed since. `None` without git
/// or a repository: the record then only has the firmware's build id.
pub fn of(folder: Option<&Path>) -> Option<String> {
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        // This must not write: another git may be running there.
        command.arg("--no-optional-locks").arg("-C").arg(folder).args(arguments);
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}+") })
}
