//! A disk that is full or read-only, a history that another process locks: what is reported, and that no record and
//! no baseline is lost.

use std::fs::{self, OpenOptions};

use hilrig_core::check::CheckOutcome;
use hilrig_core::event::{Event, What};
use hilrig_core::exit;
use hilrig_core::verdict::Verdict;
use hilrig_tests::artifacts;
use hilrig_tests::record::Record;
use hilrig_tests::running::{EndedProgram, RunningProgram};
use hilrig_tests::sandbox::{Sandbox, path_text};
use hilrig_tests::skip::skipped;
use rustix::fs::{FlockOperation, fcntl_lock};

const BASELINE: &str = "heap-baseline.toml";
const HISTORY: &str = "hilrig-records/history.sqlite";

/// `hilrig` with these arguments where `mounts`, shell commands, have mounted what they like, and what
/// `behind` then prints of it. Only it sees the mounts. None where namespaces are not allowed.
fn mounted(
    bench: &Sandbox,
    mounts: &str,
    arguments: &[&str],
    behind: &str,
) -> Option<EndedProgram> {
    // Who is not root becomes it in a user namespace, where mounting is allowed.
    let how: &[&str] = match rustix::process::geteuid().is_root() {
        true => &["--mount"],
        false => &["--mount", "--map-root-user"],
    };
    let script = |text: &str| {
        let mut command = bench.command("unshare");
        command.args(how).args(["--", "sh", "-c", text, &path_text(&artifacts::hilrig())]);
        command.args(arguments);
        RunningProgram::start(command).ended()
    };
    let may = script("mkdir -p try && mount -t tmpfs -o size=16k tmpfs try");
    if !may.status.success() {
        skipped(&format!("no mount namespace is available: {}", may.stderr.trim()));
        return None;
    }
    let text = format!("set -e\n{mounts}\nset +e\n\"$0\" \"$@\"\ncode=$?\n{behind}\nexit $code");
    Some(script(&text))
}

/// A bench with the record and the figures of a run.
fn accepted() -> Sandbox {
    let bench = Sandbox::new();
    bench.run(&["heap", "accept", "--boots", "1"]).with_code(exit::PASSED);
    fs::create_dir(bench.path("small")).unwrap();
    bench
}

/// The run passed and its record is whole; the history has it only when it can be written again.
fn run_is_not_lost(bench: &Sandbox, ended: EndedProgram, says: &str) {
    let ended = ended.with_code(exit::PASSED);
    assert!(ended.stderr.contains("the history"), "{ended}");
    assert!(ended.stderr.contains(says), "{ended}");
    let record = bench.record();
    record.must_be_whole();
    assert_eq!(record.verdict("virtual-1").0, Verdict::Passed);
    let csv = ["heap", "history", "--format", "csv"];
    let csv = bench.run(&csv).with_code(exit::PASSED).stdout;
    assert!(csv.contains(&record.run()), "{csv}");
}

#[test]
fn an_accept_on_a_full_disk_keeps_the_baseline() {
    let bench = accepted();
    let full = format!(
        "mount -t tmpfs -o size=16k tmpfs small\ncp {BASELINE} small\n! head -c 100k /dev/zero >small/fill"
    );
    let baseline = format!("small/{BASELINE}");
    let accept = ["heap", "accept", "--from", "hilrig-records/latest", "--baseline", &baseline];
    let behind = format!("cat small/{BASELINE}; ls -A small | wc -l");
    let Some(ended) = mounted(&bench, &full, &accept, &behind) else { return };
    let ended = ended.with_code(exit::RIG_FAULT);
    let says = "small/heap-baseline.toml: No space left on device (os error 28). What was there is unchanged";
    assert!(ended.stderr.contains(says), "{ended}");
    // And nothing of the new one is left.
    let before = fs::read_to_string(bench.path(BASELINE)).unwrap();
    assert_eq!(ended.stdout, before + "2\n");
}

#[test]
fn a_history_on_a_full_disk_loses_no_run() {
    let bench = accepted();
    let full = format!(
        "mount -t tmpfs -o size=32k tmpfs small\nmv {HISTORY} small\nln -s ../small/history.sqlite {HISTORY}\n\
         ! head -c 100k /dev/zero >small/fill"
    );
    let behind = format!("rm {HISTORY}");
    let Some(ended) = mounted(&bench, &full, &["run"], &behind) else { return };
    run_is_not_lost(&bench, ended, "database or disk is full");
}

#[test]
fn a_read_only_history_loses_no_run() {
    let bench = accepted();
    let read_only = format!("mount --bind {HISTORY} {HISTORY}\nmount -o remount,ro,bind {HISTORY}");
    let Some(ended) = mounted(&bench, &read_only, &["run"], ":") else { return };
    run_is_not_lost(&bench, ended, "attempt to write a readonly database");
}

#[test]
fn a_history_that_another_process_locks_loses_no_run() {
    let bench = accepted();
    let file = OpenOptions::new().read(true).write(true).open(bench.path(HISTORY)).unwrap();
    // All of it, and so the bytes that SQLite locks.
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
    let ended = bench.run(&["run"]);
    let refused = bench.run(&["heap", "history"]).with_code(exit::RIG_FAULT);
    assert!(refused.stderr.contains("database is locked"), "{refused}");
    drop(file);
    run_is_not_lost(&bench, ended, "database is locked");
}

#[test]
fn a_record_on_a_full_disk_is_told_and_the_board_is_judged_all_the_same() {
    let bench = accepted();
    // Room for the events of a run, and not for its page.
    let small = "mount -t tmpfs -o size=60k tmpfs small";
    let run = ["run", "--record", "small/r"];
    let behind = "cp -r small/r kept";
    let Some(ended) = mounted(&bench, small, &run, behind) else { return };
    // The record is not whole, which is the bench's trouble; the verdict is reported and written.
    let ended = ended.with_code(exit::RIG_FAULT).showing("passed: 1 board");
    assert!(ended.stderr.contains("No space left on device"), "{ended}");
    assert!(ended.stderr.contains("What it holds is not whole; free the disk"), "{ended}");
    let record = Record::open(&bench.path("kept"));
    assert_eq!(record.verdict("virtual-1").0, Verdict::Passed);
    assert_eq!(record.checks_that("virtual-1", CheckOutcome::NotHeld), [""; 0]);
}

#[test]
fn a_run_that_ends_early_has_its_last_event() {
    let bench = Sandbox::new();
    fs::create_dir(bench.path("small")).unwrap();
    // Room for the folder, the record and its events, and not for the folder of a board.
    let three_files = "mount -t tmpfs -o nr_inodes=3 tmpfs small";
    let run = ["run", "--record", "small/r"];
    let Some(ended) = mounted(&bench, three_files, &run, "cp -r small/r kept") else { return };
    let ended = ended.with_code(exit::RIG_FAULT);
    assert!(ended.stderr.contains("small/r/virtual-1: No space left on device"), "{ended}");
    let events = Record::open(&bench.path("kept")).events();
    let Some(Event { what: What::RunEnded { verdict, exit_code, why, .. }, .. }) = events.last()
    else {
        panic!("no run_ended: {events:?}");
    };
    assert_eq!((*verdict, *exit_code), (Verdict::RigFault, exit::RIG_FAULT));
    assert!(why.as_deref().is_some_and(|why| why.contains("small/r/virtual-1")), "{why:?}");
    assert!(matches!(events[0].what, What::RunStarted(_)), "{events:?}");
    bench.nothing_may_be_left();
}
