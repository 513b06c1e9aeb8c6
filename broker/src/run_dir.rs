//! The folder of a run for files that live as long as the run: sockets, keys, the boards' flash.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::engine::strays;
use crate::owner::Owner;

const PREFIX: &str = "hilrig-";
const MARKER: &str = "owner.json";

/// The longest base folder for which the paths of a run's sockets are not too long for the system (107 bytes): the
/// run's folder, a board's folder and the socket's name are added to it.
const SHORT: usize = 48;

/// Where the run's folder is made: in TMPDIR, or where paths are short if that is long.
pub fn temporary_folder() -> PathBuf {
    let mut folders = temporary_folders();
    let last = folders.pop().unwrap_or_else(std::env::temp_dir);
    let writable = |folder: &PathBuf| {
        use rustix::fs::{Access, access};
        folder.is_dir() && access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
    };
    folders.into_iter().find(writable).unwrap_or(last)
}

/// Every folder that the run's folder may be in; TMPDIR is the last.
pub(crate) fn temporary_folders() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    folders_of(std::env::temp_dir(), runtime)
}

fn folders_of(temporary: PathBuf, runtime: Option<PathBuf>) -> Vec<PathBuf> {
    let short = |folder: &PathBuf| folder.is_absolute() && folder.as_os_str().len() <= SHORT;
    if short(&temporary) {
        return vec![temporary];
    }
    let system = PathBuf::from("/tmp");
    [Some(system), runtime.filter(short), Some(temporary)].into_iter().flatten().collect()
}

/// A folder `hilrig-<run id>` in the system's folder for temporary files, with access for its user only. Dropping
/// removes it with its contents; one that a killed run left is removed by [`sweep`](crate::sweep).
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Locked as long as this process lives. The system releases the lock when the process ends, also if the pid has
    /// no meaning here, as for a container that is gone with its pids.
    _lock: File,
}

impl RunDir {
    /// Makes the folder.
    ///
    /// # Errors
    /// If `run` is not of letters, digits, `-`, `_` and `.` alone, if the folder is there already, or
    /// as making and writing files fails.
    pub fn create(run: &str) -> io::Result<RunDir> {
        RunDir::create_in(&temporary_folder(), run)
    }

    /// The same in another folder than the system's.
    ///
    /// # Errors
    /// As [`create`](RunDir::create).
    pub fn create_in(base: &Path, run: &str) -> io::Result<RunDir> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if run.is_empty() || !run.chars().all(plain) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("run id {run:?} is not of letters, digits, '-', '_' and '.' alone"),
            ));
        }
        let path = base.join(format!("{PREFIX}{run}"));
        DirBuilder::new().mode(0o700).create(&path)?;
        let marked = (|| {
            let mut marker = File::create_new(path.join(MARKER))?;
            // Before the owner is written: a process that reads the marker finds it locked.
            // Not every file system supports locks.
            let locked =
                rustix::fs::flock(&marker, FlockOperation::NonBlockingLockExclusive).is_ok();
            marker.write_all(&serde_json::to_vec(&Owner { locked, ..Owner::me() })?)?;
            Ok(marker)
        })();
        match marked {
            Ok(lock) => Ok(RunDir { path, _lock: lock }),
            Err(error) => {
                let _ = fs::remove_dir_all(&path);
                Err(error)
            }
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Removes the folders in `base` that this user's runs left and whose process is gone. Returns the ids of these runs.
pub(crate) fn sweep_in(base: &Path, notes: &mut dyn FnMut(String)) -> Vec<String> {
    let mut swept = Vec::new();
    let Ok(entries) = fs::read_dir(base) else { return swept };
    let me = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let path = entry.path();
        // Does not follow a link: any user can create one in the temp folder.
        let ours = fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir() && m.uid() == me);
        let marker = path.join(MARKER);
        let owner: Option<Owner> = match fs::symlink_metadata(&marker) {
            Ok(m) if ours && m.is_file() && m.len() < 4096 => {
                fs::read(&marker).ok().and_then(|text| serde_json::from_slice(&text).ok())
            }
            _ => None,
        };
        // If locks are supported, the lock is decisive: pids in another container are not known.
        let gone = |owner: &Owner| {
            owner.is_gone() || owner.locked && owner.is_of_this_boot() && is_unlocked(&marker)
        };
        let Some(owner) = owner.filter(gone) else { continue };
        strays::end(&path);
        match fs::remove_dir_all(&path) {
            Ok(()) => {
                notes(format!(
                    "swept {}: the run that left it (pid {}) is gone",
                    path.display(),
                    owner.pid
                ));
                let name = entry.file_name().to_string_lossy().into_owned();
                swept.push(name.trim_start_matches(PREFIX).to_owned());
            }
            // Another run may be sweeping at the same time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => notes(format!("cannot sweep {}: {error}", path.display())),
        }
    }
    swept
}

/// Whether no process has the marker locked. A new run's marker is empty at first, and is not checked.
fn is_unlocked(marker: &Path) -> bool {
    let Ok(marker) = File::open(marker) else { return false };
    rustix::fs::flock(&marker, FlockOperation::NonBlockingLockExclusive).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swept(base: &Path) -> Vec<String> {
        let mut notes = Vec::new();
        sweep_in(base, &mut |note| notes.push(note));
        notes
    }

    #[test]
    fn it_is_private_and_gone_with_its_owner() {
        let base = tempfile::tempdir().unwrap();
        let dir = RunDir::create_in(base.path(), "r1").unwrap();
        let path = dir.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        fs::write(path.join("x"), "x").unwrap();
        assert!(RunDir::create_in(base.path(), "r1").is_err());
        assert!(path.join("x").exists(), "the first one's folder is not touched by a second one");
        drop(dir);
        assert!(!path.exists());
        assert!(RunDir::create_in(base.path(), "../r1").is_err());
    }

    #[test]
    fn a_long_tmpdir_gives_way_to_a_short_one() {
        let (short, long) =
            (PathBuf::from("/var/tmp"), PathBuf::from(format!("/{}", "x".repeat(60))));
        assert_eq!(folders_of(short.clone(), None), [short]);
        let folders = folders_of(long.clone(), Some("/run/user/1000".into()));
        assert_eq!(folders, [PathBuf::from("/tmp"), "/run/user/1000".into(), long]);
    }

    #[test]
    fn only_a_dead_runs_folder_is_swept() {
        let base = tempfile::tempdir().unwrap();
        let alive = RunDir::create_in(base.path(), "alive").unwrap();
        let dead = RunDir::create_in(base.path(), "dead").unwrap();
        let mut owner = Owner::me();
        owner.boot.push('9');
        fs::write(dead.path().join(MARKER), serde_json::to_vec(&owner).unwrap()).unwrap();
        let mut left = strays::sleeper(&dead.path().join("b"));
        let somebodys = base.path().join("hilrig-notes");
        fs::create_dir(&somebodys).unwrap();
        let link = base.path().join("hilrig-link");
        std::os::unix::fs::symlink(dead.path(), &link).unwrap();

        let notes = swept(base.path());
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(!dead.path().exists());
        assert!(left.wait().unwrap().to_string().contains("signal: 9"), "what it ran is ended");
        assert!(alive.path().exists() && somebodys.exists() && link.is_symlink());
        assert!(swept(base.path()).is_empty());
    }

    #[test]
    fn what_a_run_left_in_a_container_that_is_gone_is_swept_and_that_of_one_that_runs_is_not() {
        let base = tempfile::tempdir().unwrap();
        let there = RunDir::create_in(base.path(), "there").unwrap();
        let killed = RunDir::create_in(base.path(), "killed").unwrap();
        // Both in other containers of this machine: their pids are not visible here.
        let owner = Owner { host: "another/1".into(), locked: true, ..Owner::me() };
        for dir in [&there, &killed] {
            fs::write(dir.path().join(MARKER), serde_json::to_vec(&owner).unwrap()).unwrap();
        }
        // As the system does when a process is killed.
        let RunDir { _lock, .. } = &killed;
        rustix::fs::flock(_lock, FlockOperation::Unlock).unwrap();
        let mut left = Vec::new();
        assert_eq!(sweep_in(base.path(), &mut |note| left.push(note)), ["killed"], "{left:?}");
        assert!(there.path().exists() && !killed.path().exists());
    }
}
