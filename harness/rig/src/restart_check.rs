//! The check that the chip starts only when the rig asks for it.

use hilrig_core::check::Check;

use crate::check_spec::CheckSpec;
use crate::journal::Journal;
use crate::log::Log;
use crate::restarts::{NotedRestart, Restarts};
use crate::stop::Stop;

/// The check of every job.
pub const RESTARTS: CheckSpec =
    CheckSpec::new("restarts", "the chip starts only when the rig asks for it");

/// The check that the chip never started by itself. A board that crashed is judged by the crash.
pub fn check(journal: &Journal<'_>, log: &Log, not_measured: &str) -> Check {
    if !log.has_begun() {
        return RESTARTS.skipped(not_measured);
    }
    let (first, count) = journal.restarts(|restarts| (restarts.first().cloned(), restarts.count()));
    let Some(first) = first else { return RESTARTS.outcome(true, "no other start") };
    if !journal.crashes().is_empty() {
        return RESTARTS.skipped("not judged: the board crashed");
    }
    let found = match count {
        1 => first.words(),
        _ => format!("{}; {count} such restarts", first.words()),
    };
    RESTARTS.outcome(false, found).at_line(first.line())
}

/// Why the job ended, where the board restarted: the restart is the cause of what followed.
pub fn reason(journal: &Journal<'_>, stop: Stop) -> Stop {
    let Some(first) = journal.restarts(|restarts| restarts.first().cloned()) else { return stop };
    let words = first.words();
    match stop {
        Stop::Failed(why) if !why.starts_with(&words) => {
            Stop::Failed(format!("{words}. Then: {why}"))
        }
        other => other,
    }
}

/// Resolves when the board has restarted.
pub async fn any(journal: &Journal<'_>, log: &Log) {
    loop {
        let news = log.news();
        if journal.restarts(Restarts::count) > 0 {
            return;
        }
        news.await;
    }
}

/// Resolves when there is one more restart than `count`; returns it as one line.
pub async fn one_more_than(count: u64, journal: &Journal<'_>, log: &Log) -> String {
    loop {
        let news = log.news();
        if let Some(words) = journal.restarts(|restarts| restarts.words_after(count)) {
            return words;
        }
        news.await;
    }
}

/// Resolves when the board restarts without a request by the rig. A restart during the boot does not count: the boot
/// continues to its end, which is a better explanation.
pub async fn unasked(journal: &Journal<'_>, log: &Log) -> Stop {
    loop {
        let news = log.news();
        if let Some(words) = journal.restarts(|all| all.ends_job().map(NotedRestart::words)) {
            return Stop::Failed(words);
        }
        news.await;
    }
}
