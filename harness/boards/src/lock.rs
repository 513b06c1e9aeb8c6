//! One run a board, across processes.
//!
//! A lock file for each port in a folder that all runs of a bench share. The kernel holds the lock
//! (flock), so it goes with its holder, however that one ends. The file's text says who holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hilrig_core::board::BoardFault;
use hilrig_core::text::printable;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const SUFFIX: &str = "lock";

/// Who holds a port.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    /// What for, as the holder said it.
    reason: String,
    /// RFC 3339, UTC.
    since: String,
    port: String,
}

/// A port, held until this is dropped.
#[derive(Debug)]
pub struct PortLock {
    file: File,
    path: PathBuf,
}

impl PortLock {
    /// Takes the lock of `port`, with its file in `folder` (made where it is missing). Two names
    /// of one port are one lock.
    ///
    /// # Errors
    /// Another holds it: who, what for and since when. Or the folder cannot be used.
    pub fn take(folder: &Path, port: &Path, reason: &str) -> Result<PortLock, BoardFault> {
        let tried = || format!("taking the port {} for this run", port.display());
        let cannot = |error: std::io::Error, path: &Path| {
            BoardFault::new(tried(), format!("{}: {error}", path.display()))
                .help("The folder for locks must be writable; TMPDIR names another place for it.")
        };
        std::fs::create_dir_all(folder).map_err(|error| cannot(error, folder))?;
        let port_path = port.canonicalize().unwrap_or_else(|_| port.to_owned());
        let path = folder.join(file_name(&port_path));
        // Once more for each holder that removed its file between our opening and locking it.
        for _ in 0..100 {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(|error| cannot(error, &path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(BoardFault::new(tried(), held_words(&mut file))
                        .help("Wait for that run, end it, or leave the board out of this one."));
                }
                Err(TryLockError::Error(error)) => return Err(cannot(error, &path)),
            }
            if !is_still(&file, &path) {
                continue;
            }
            let lock = PortLock { file, path };
            lock.sign(reason, &port_path).map_err(|error| cannot(error, &lock.path))?;
            return Ok(lock);
        }
        Err(BoardFault::new(tried(), format!("{} changes hands all the time", path.display())))
    }

    fn sign(&self, reason: &str, port: &Path) -> std::io::Result<()> {
        let holder = Holder {
            pid: std::process::id(),
            reason: reason.to_owned(),
            since: OffsetDateTime::now_utc()
                .replace_nanosecond(0)
                .ok()
                .and_then(|now| now.format(&Rfc3339).ok())
                .unwrap_or_default(),
            port: port.to_string_lossy().into_owned(),
        };
        let text = serde_json::to_vec(&holder)?;
        // One write, so that a reader sees all of it or nothing.
        self.file.set_len(0)?;
        (&self.file).write_all(&text)
    }
}

impl Drop for PortLock {
    fn drop(&mut self) {
        // While the lock is held, so that nobody else's file is removed.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "lock file not removed");
        }
    }
}

/// Removes lock files that nobody holds: what killed runs left. Returns how many.
pub fn sweep_locks(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let mut swept = 0;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|suffix| suffix != SUFFIX) {
            continue;
        }
        let Ok(file) = File::open(&path) else { continue };
        if file.try_lock().is_ok() && is_still(&file, &path) && std::fs::remove_file(&path).is_ok()
        {
            swept += 1;
        }
    }
    swept
}

/// Whether `path` still names the file that was opened.
fn is_still(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(opened), Ok(named)) => (opened.dev(), opened.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn held_words(file: &mut File) -> String {
    let mut text = Vec::new();
    let read = file.rewind().and_then(|()| Read::by_ref(file).take(4096).read_to_end(&mut text));
    match read.ok().and_then(|_| serde_json::from_slice::<Holder>(&text).ok()) {
        Some(holder) => format!(
            "process {} holds it since {} for: {}",
            holder.pid,
            printable(holder.since.as_bytes()),
            printable(holder.reason.as_bytes())
        ),
        // Between its locking and its signing.
        None => "another process holds it and has not said who it is yet".into(),
    }
}

/// A file name that tells the port at a glance and is another one for every port.
fn file_name(port: &Path) -> String {
    let name = crate::record::plain(&port.file_name().unwrap_or_default().to_string_lossy());
    let digest = Sha256::digest(port.as_os_str().as_encoded_bytes());
    let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{name}-{digest}.{SUFFIX}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_it_and_gets_it_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let port = Path::new("/dev/null");
        let first = PortLock::take(folder.path(), port, "run 17 of nightly").unwrap();
        let fault = PortLock::take(folder.path(), port, "other").unwrap_err().to_string();
        assert!(fault.contains("run 17 of nightly"), "{fault}");
        assert!(fault.contains(&format!("process {}", std::process::id())), "{fault}");
        PortLock::take(folder.path(), Path::new("/dev/zero"), "another port").unwrap();
        drop(first);
        drop(PortLock::take(folder.path(), port, "third").unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn two_names_of_a_port_are_one_lock() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("by-id");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        let locks = folder.path().join("locks");
        let _held = PortLock::take(&locks, &link, "first").unwrap();
        assert!(PortLock::take(&locks, Path::new("/dev/null"), "second").is_err());
    }

    #[test]
    fn a_sweep_takes_what_nobody_holds_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let _held = PortLock::take(folder.path(), Path::new("/dev/null"), "held").unwrap();
        std::fs::write(folder.path().join("left.lock"), "{").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        assert_eq!(sweep_locks(folder.path()), 1);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(PortLock::take(folder.path(), Path::new("/dev/null"), "second").is_err());
    }
}
