//! The folders that all runs of a machine share.

use std::path::{Path, PathBuf};

use rustix::fs::Access;

/// Folder of what is known of boards from run to run, by the XDG base directory specification.
pub fn state_folder() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let state =
        std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    state.or_else(home).unwrap_or_else(std::env::temp_dir).join("hilrig")
}

/// Folder of the boards' locks, one for all users of a machine: `HILRIG_LOCKS`, or where the system
/// keeps the locks of serial ports, or the folder for temporary files if not every user can write there.
pub fn lock_folder() -> PathBuf {
    let system = Path::new("/run/lock");
    let named = std::env::var_os("HILRIG_LOCKS").map(PathBuf::from);
    named.unwrap_or_else(|| match rustix::fs::access(system, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => system.join("hilrig"),
        Err(_) => std::env::temp_dir().join("hilrig-locks"),
    })
}
