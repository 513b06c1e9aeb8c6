//! The Mosquitto of this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::environment;

/// A Mosquitto that was found.
pub(crate) struct Mosquitto {
    pub path: PathBuf,
    /// The version that it reports.
    pub version: String,
}

impl Mosquitto {
    /// Looks `executable` up and runs it for its version. The error is what was found instead.
    pub fn find(executable: &Path) -> Result<Mosquitto, String> {
        let path = look_up(executable)?;
        let output = Command::new(&path)
            .env_clear()
            .envs(environment::clean())
            .arg("-h")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{} cannot be run: {error}", path.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("mosquitto version "))
            .ok_or_else(|| format!("{} does not say that it is Mosquitto", path.display()))?;
        Ok(Mosquitto { path, version: hilrig_core::text::printable(version.as_bytes()) })
    }
}

/// The path of an executable. Debian installs Mosquitto into a folder that is not in every user's PATH.
pub(crate) fn look_up(executable: &Path) -> Result<PathBuf, String> {
    if executable.components().count() > 1 {
        return match executable.is_file() {
            true => Ok(executable.to_owned()),
            false => Err(format!("there is no file {}", executable.display())),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let further = ["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(further)
        .map(|dir| dir.join(executable))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("{} is neither in PATH nor in /usr/sbin", executable.display()))
}
