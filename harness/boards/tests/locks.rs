//! One run a board, across processes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hilrig_boards::{LockFile, sweep_locks};
use hilrig_core::board::BoardFault;

const FOLDER: &str = "HILRIG_TEST_LOCK_FOLDER";
const PORT: &str = "/dev/null";

/// Another process that has the lock, until it is killed or its input ends.
fn another(folder: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "the_other_process", "--nocapture"])
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("it is held") {
        line.clear();
        let read = said.read_line(&mut line).unwrap();
        assert!(read > 0, "the other process ended without the lock: {:?}", child.wait());
    }
    // Stays open: the other process prints more at its end.
    child.stdout = Some(said.into_inner());
    child
}

#[test]
#[ignore = "is no test: the other process of the tests here"]
#[expect(clippy::print_stdout, reason = "stdout tells the test's process")]
fn the_other_process() {
    let folder = std::env::var_os(FOLDER).expect("is started by the tests here only");
    let _lock = LockFile::take(Path::new(&folder), Path::new(PORT), "nightly run 17").unwrap();
    println!("it is held");
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
fn the_second_process_is_told_who_holds_the_port() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = another(folder.path());
    let text = LockFile::take(folder.path(), Path::new(PORT), "mine").unwrap_err();
    let text = BoardFault::from(text).to_string();
    assert!(text.contains("nightly run 17"), "{text}");
    assert!(text.contains(&format!("process {}", other.id())), "{text}");
    let since = text.split("since ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(since.ends_with('Z') && since.len() == "2026-01-01T00:00:00Z".len(), "{since}");
    assert_eq!(sweep_locks(folder.path()), 0, "a lock that is held is not swept");
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    LockFile::take(folder.path(), Path::new(PORT), "mine").unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_lock_of_a_killed_process_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = another(folder.path());
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "its file stays");
    drop(LockFile::take(folder.path(), Path::new(PORT), "mine").unwrap());
    let mut other = another(folder.path());
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(sweep_locks(folder.path()), 1);
}

#[test]
fn of_many_at_once_one_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let holders = std::sync::atomic::AtomicU32::new(0);
    let taken = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..3000 {
                    use std::sync::atomic::Ordering::SeqCst;
                    if let Ok(lock) = LockFile::take(folder.path(), Path::new(PORT), "many") {
                        assert_eq!(holders.fetch_add(1, SeqCst), 0, "two hold it");
                        taken.fetch_add(1, SeqCst);
                        // Others get to the point between opening and locking meanwhile.
                        std::thread::yield_now();
                        holders.fetch_sub(1, SeqCst);
                        drop(lock);
                    }
                }
            });
        }
    });
    assert!(taken.into_inner() > 0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
