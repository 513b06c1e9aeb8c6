//! One run a board, across processes and users.
//!
//! Each port has a lock file in a folder that all runs of a machine share. It is locked in the kernel
//! (flock), so the lock ends with its owner, however that one ends. The file's text describes the owner.
//!
//! The files may belong to another user: links are not followed, only regular files are read, and
//! the text is untrusted.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hilrig_core::board::BoardFault;
use hilrig_core::units::Span;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::lock::owner::LockOwner;

mod owner;

const SUFFIX: &str = "lock";
/// Any user may take any lock: access to a port is the business of the port's own mode.
const FILE_MODE: u32 = 0o666;
/// As /tmp: each user may add files and remove their own.
const FOLDER_MODE: u32 = 0o1777;
/// The most of a lock file that is read, bytes.
const TEXT_MOST: u64 = 4096;

/// The lock of a port, or of something else that only one run may use, until this is dropped.
#[derive(Debug)]
pub struct LockFile {
    file: File,
    path: PathBuf,
}

/// The lock was not taken.
#[derive(Debug)]
pub enum NotTaken {
    /// Another process has it.
    Locked(BoardFault),
    /// The folder cannot be used.
    Fault(BoardFault),
}

impl From<NotTaken> for BoardFault {
    fn from(not: NotTaken) -> BoardFault {
        match not {
            NotTaken::Locked(fault) | NotTaken::Fault(fault) => fault,
        }
    }
}

enum Attempt {
    Taken(LockFile),
    /// Another process has the lock of this open file; the words describe it.
    Locked(File, String),
}

impl LockFile {
    /// Takes the lock of `port`, with its file in `folder` (created where it is missing). All names of
    /// one device are one lock; anything else is locked by its name as given. Others that want it see
    /// `reason`.
    ///
    /// # Errors
    /// Another process has it: which one, what for and since when. Or the folder cannot be used.
    pub fn take(folder: &Path, port: &Path, reason: &str) -> Result<LockFile, NotTaken> {
        let wanted = LockRequest { folder, port, reason };
        match wanted.attempt(None)? {
            Attempt::Taken(lock) => Ok(lock),
            Attempt::Locked(_, owner) => Err(NotTaken::Locked(wanted.refused(owner))),
        }
    }

    /// The same, waiting for another owner for up to `patience`. `note` gets a description of the owner
    /// at once, and again when the owner changes.
    pub async fn wait(
        folder: &Path,
        port: &Path,
        reason: &str,
        patience: Duration,
        mut note: impl FnMut(&str),
    ) -> Result<LockFile, BoardFault> {
        let wanted = LockRequest { folder, port, reason };
        let end = Instant::now() + patience;
        let mut freed = None;
        loop {
            let (file, owner) = match wanted.attempt(freed)? {
                Attempt::Taken(lock) => return Ok(lock),
                Attempt::Locked(file, owner) => (file, owner),
            };
            if patience.is_zero() {
                return Err(wanted.refused(owner));
            }
            note(&format!("waiting for {}: {owner}", port.display()));
            freed = match tokio::time::timeout_at(end.into(), until_free(file)).await {
                Ok(freed) => freed,
                Err(_) => {
                    let waited = format!("{owner} (waited for {})", Span(patience));
                    return Err(wanted.refused(waited));
                }
            };
        }
    }

    /// Whether this is the lock of `port`, by whatever name.
    pub fn is_of(&self, port: &Path) -> bool {
        self.path.file_name().is_some_and(|name| name == file_name(port).as_str())
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Still locked, so that this is not the next owner's file. A file of another user cannot be
        // removed; it stays, and empty.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "lock file not removed");
            let _ = self.file.set_len(0);
        }
    }
}

/// A lock to take.
struct LockRequest<'a> {
    folder: &'a Path,
    port: &'a Path,
    reason: &'a str,
}

impl LockRequest<'_> {
    /// `freed` is the file of an earlier attempt, which this process has locked now.
    fn attempt(&self, mut freed: Option<File>) -> Result<Attempt, NotTaken> {
        make_folder(self.folder).map_err(|error| self.cannot(error, self.folder))?;
        let path = self.folder.join(file_name(self.port));
        // Again for each owner that removed its file between our open and our lock.
        for _ in 0..100 {
            let file = match freed.take() {
                Some(file) => file,
                None => {
                    let mut file = match open(&path) {
                        Ok(file) => file,
                        // Another process is creating or removing it.
                        Err(error) if error.kind() == ErrorKind::NotFound => continue,
                        Err(error) => return Err(self.cannot(error, &path)),
                    };
                    match file.try_lock() {
                        Ok(()) => file,
                        Err(TryLockError::WouldBlock) => {
                            let owner = owner_words(&mut file);
                            return Ok(Attempt::Locked(file, owner));
                        }
                        Err(TryLockError::Error(error)) => return Err(self.cannot(error, &path)),
                    }
                }
            };
            if is_still(&file, &path) {
                let lock = LockFile { file, path };
                lock.sign(self.reason).map_err(|error| self.cannot(error, &lock.path))?;
                return Ok(Attempt::Taken(lock));
            }
        }
        let found = format!("{} has a new owner at each attempt", path.display());
        Err(NotTaken::Fault(BoardFault::new(self.tried(), found)))
    }

    fn tried(&self) -> String {
        format!("locking {} for this run", self.port.display())
    }

    fn refused(&self, owner: String) -> BoardFault {
        BoardFault::new(self.tried(), owner)
            .help("Wait for that process, end it, or leave the board out of this run.")
    }

    fn cannot(&self, error: std::io::Error, path: &Path) -> NotTaken {
        NotTaken::Fault(BoardFault::new(self.tried(), format!("{}: {error}", path.display())).help(
            "Every user of the boards must be able to write into the folder of the locks; \
                 HILRIG_LOCKS names another one.",
        ))
    }
}

impl LockFile {
    fn sign(&self, reason: &str) -> std::io::Result<()> {
        let text = serde_json::to_vec(&LockOwner::this_process(reason))?;
        // One write, so that a reader gets all of it or nothing.
        self.file.set_len(0)?;
        (&self.file).rewind()?;
        (&self.file).write_all(&text)
    }
}

/// Waits in a thread, because only a blocked flock notices the release. The thread may outlive its
/// caller: it releases a lock that it gets too late at once.
async fn until_free(file: File) -> Option<File> {
    let (sender, free) = oneshot::channel();
    std::thread::spawn(move || {
        if let Err(error) = file.lock() {
            tracing::debug!(%error, "waiting for a lock");
            return;
        }
        let _ = sender.send(file);
    });
    free.await.ok()
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::create_dir(folder) {
        Ok(()) => std::fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens a lock file, or creates it. In two steps: in a folder that all users may write to, the kernel
/// does not open another user's file with O_CREAT (fs.protected_regular).
fn open(path: &Path) -> std::io::Result<File> {
    match options().open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Ok(file) if !file.metadata()?.is_file() => {
            return Err(std::io::Error::other("it is no regular file"));
        }
        opened => return opened,
    }
    match options().create_new(true).mode(FILE_MODE).open(path) {
        // The umask changes `mode`.
        Ok(file) => file.set_permissions(Permissions::from_mode(FILE_MODE)).map(|()| file),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(ErrorKind::NotFound.into()),
        Err(error) => Err(error),
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    options.read(true).write(true).custom_flags(flags.bits() as i32);
    options
}

/// Removes lock files without an owner, which killed runs left. Returns how many.
pub fn sweep_locks(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let mut swept = 0;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|suffix| suffix != SUFFIX) {
            continue;
        }
        let Ok(file) = options().open(&path) else { continue };
        if file.try_lock().is_ok() && is_still(&file, &path) && std::fs::remove_file(&path).is_ok()
        {
            swept += 1;
        }
    }
    swept
}

/// Whether `path` still names the file that was opened.
fn is_still(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(opened), Ok(named)) => (opened.dev(), opened.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn owner_words(file: &mut File) -> String {
    let mut text = Vec::new();
    let read =
        file.rewind().and_then(|()| Read::by_ref(file).take(TEXT_MOST).read_to_end(&mut text));
    match read.ok().and_then(|_| serde_json::from_slice::<LockOwner>(&text).ok()) {
        Some(owner) => owner.words(),
        // Between its lock and its text.
        None => "another process has it and has not written its description yet".into(),
    }
}

/// A device by its number, because it may have many names; anything else by its name.
fn file_name(port: &Path) -> String {
    if let Ok(meta) = std::fs::metadata(port)
        && meta.file_type().is_char_device()
    {
        let (major, minor) = (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev()));
        return format!("device-{major}-{minor}.{SUFFIX}");
    }
    let name = crate::flash_cache::plain(&port.file_name().unwrap_or_default().to_string_lossy());
    let digest = Sha256::digest(port.as_os_str().as_encoded_bytes());
    let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{name}-{digest}.{SUFFIX}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(taken: Result<LockFile, NotTaken>) -> String {
        BoardFault::from(taken.unwrap_err()).to_string()
    }

    #[test]
    fn the_second_sees_the_owner_and_gets_the_lock_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let port = Path::new("/dev/null");
        let first = LockFile::take(folder.path(), port, "run 17 of nightly").unwrap();
        let fault = fault(LockFile::take(folder.path(), port, "other"));
        assert!(fault.contains("run 17 of nightly"), "{fault}");
        assert!(fault.contains(&format!("process {}", std::process::id())), "{fault}");
        LockFile::take(folder.path(), Path::new("/dev/zero"), "another port").unwrap();
        drop(first);
        drop(LockFile::take(folder.path(), port, "third").unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing stays");
    }

    #[test]
    fn all_names_of_a_port_are_one_lock() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("by-id");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        let locks = folder.path().join("locks");
        let locked = LockFile::take(&locks, &link, "first").unwrap();
        assert!(locked.is_of(Path::new("/dev/null")) && !locked.is_of(Path::new("/dev/zero")));
        assert!(LockFile::take(&locks, Path::new("/dev/null"), "second").is_err());
    }

    #[test]
    fn what_is_no_device_is_locked_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let _locked = LockFile::take(folder.path(), Path::new("relay 1 of a/b"), "first").unwrap();
        assert!(LockFile::take(folder.path(), Path::new("relay 1 of a/b"), "second").is_err());
        LockFile::take(folder.path(), Path::new("relay 1 of c/b"), "third").unwrap();
    }

    #[test]
    fn any_user_can_take_what_another_released_or_left() {
        let folder = tempfile::tempdir().unwrap();
        let locks = folder.path().join("locks");
        let locked = LockFile::take(&locks, Path::new("/dev/null"), "first").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&locks) & 0o7777, 0o1777);
        assert_eq!(mode(&locked.path) & 0o777, 0o666);
    }

    #[test]
    fn a_planted_link_or_pipe_is_neither_followed_nor_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        let locks = folder.path().join("locks");
        std::fs::create_dir(&locks).unwrap();
        let planted = locks.join(file_name(Path::new("/dev/null")));
        std::os::unix::fs::symlink(&victim, &planted).unwrap();
        let text = fault(LockFile::take(&locks, Path::new("/dev/null"), "mine"));
        assert!(text.contains("HILRIG_LOCKS"), "{text}");
        assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
        std::fs::remove_file(&planted).unwrap();
        let pipe = std::ffi::CString::new(planted.to_str().unwrap()).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o666),
            0,
        )
        .unwrap();
        let text = fault(LockFile::take(&locks, Path::new("/dev/null"), "mine"));
        assert!(text.contains("no regular file"), "{text}");
        sweep_locks(&locks);
    }

    #[test]
    fn a_sweep_removes_files_without_an_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let _locked = LockFile::take(folder.path(), Path::new("/dev/null"), "held").unwrap();
        std::fs::write(folder.path().join("left.lock"), "{").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        assert_eq!(sweep_locks(folder.path()), 1);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(LockFile::take(folder.path(), Path::new("/dev/null"), "second").is_err());
    }

    #[tokio::test]
    async fn a_waiter_sees_the_owner_and_gets_the_lock_when_it_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let port = Path::new("/dev/null");
        let mut first = Some(LockFile::take(folder.path(), port, "first").unwrap());
        let mut notes = Vec::new();
        let patience = Duration::from_secs(60);
        let waited = LockFile::wait(folder.path(), port, "second", patience, |words| {
            notes.push(words.to_owned());
            // The waiter sees it before it is free.
            drop(first.take());
        });
        let second = waited.await.unwrap();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("/dev/null") && notes[0].contains("for: first"), "{notes:?}");
        let text = fault(LockFile::take(folder.path(), port, "third"));
        assert!(text.contains("for: second"), "{text}");
        drop(second);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn patience_ends_and_the_thread_that_waited_keeps_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let port = Path::new("/dev/null");
        let first = LockFile::take(folder.path(), port, "first").unwrap();
        let mut notes = 0;
        let patience = Duration::from_millis(20);
        let text = LockFile::wait(folder.path(), port, "second", patience, |_| notes += 1)
            .await
            .unwrap_err()
            .to_string();
        assert!(text.contains("for: first") && text.contains("(waited for 20 ms)"), "{text}");
        assert_eq!(notes, 1);
        drop(first);
        // The thread of the second may have it for a moment.
        LockFile::wait(folder.path(), port, "third", Duration::from_secs(60), |_| {})
            .await
            .unwrap();
    }
}
