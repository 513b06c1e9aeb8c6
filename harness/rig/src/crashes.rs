//! Starts of the chip, and crashes. A crash is reported with its frames as soon as its dump is complete.

use std::cell::LazyCell;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use hilrig_core::check::Check;
use hilrig_core::crash::{Crash, CrashKind};
use hilrig_core::event::What;
use hilrig_decode::{Finding, Firmware, SourcePlace};

use crate::alarms::MOST_TOLD;
use crate::check_spec::CheckSpec;
use crate::journal::Journal;
use crate::log::Log;
use crate::stop::Stop;

type Read = Box<dyn FnOnce() -> Result<Firmware, String> + Send>;

/// The ELF of the firmware that all boards of a kind run. It is read at the first crash, and kept in memory once.
#[derive(Clone)]
pub struct Elf(Arc<Mutex<LazyCell<Result<Firmware, String>, Read>>>);

impl Elf {
    /// `read` reads it, on a thread that may block. If it cannot be read, each crash is reported
    /// with the reason.
    pub fn new(read: impl FnOnce() -> Result<Firmware, String> + Send + 'static) -> Elf {
        Elf(Arc::new(Mutex::new(LazyCell::new(Box::new(read)))))
    }

    /// Finding frames in a large ELF takes as long as another board needs to fill its serial buffer.
    async fn decoded(&self, finding: Finding) -> Crash {
        let elf = self.0.clone();
        let bare = finding.decoded(None);
        let decoded = tokio::task::spawn_blocking(move || {
            let firmware = elf.lock().unwrap_or_else(PoisonError::into_inner);
            match &**firmware {
                Ok(firmware) => finding.decoded(Some(firmware)),
                Err(why) => Crash { note: Some(why.clone()), ..finding.decoded(None) },
            }
        });
        decoded.await.unwrap_or(bare)
    }

    /// The call sites, each by its return address; none if the ELF cannot be read, which a crash
    /// reports with the reason.
    pub(crate) async fn calls(&self, return_to: Vec<Option<u32>>) -> Vec<Vec<SourcePlace>> {
        let elf = self.0.clone();
        let found = tokio::task::spawn_blocking(move || {
            let firmware = elf.lock().unwrap_or_else(PoisonError::into_inner);
            let Ok(firmware) = &**firmware else { return Vec::new() };
            let places = |address: Option<u32>| address.map(|a| firmware.call_places(a));
            return_to.into_iter().map(|address| places(address).unwrap_or_default()).collect()
        });
        found.await.unwrap_or_default()
    }
}

/// Reports each start and each crash that is not reported yet.
pub async fn report(journal: &Journal<'_>, log: &Log, elf: Option<&Elf>) {
    while let Some(start) = log.take_start() {
        journal.emit(What::ChipStart(start));
    }
    while let Some(finding) = log.next_crash() {
        let crash = match elf {
            Some(elf) => elf.decoded(finding.clone()).await,
            None => finding.decoded(None),
        };
        // No await from here on: a crash is reported once, wherever this is cancelled.
        log.take_crash(&finding);
        journal.crash(crash);
    }
}

/// Reports starts and crashes as long as the log is fed.
pub async fn report_all(journal: &Journal<'_>, log: &Log, elf: Option<&Elf>) -> Infallible {
    loop {
        let news = log.news();
        report(journal, log, elf).await;
        news.await;
    }
}

/// The check of every job.
pub const CRASH: CheckSpec = CheckSpec::new("crash", "no crash in the boot log");

/// The check that the board never crashed.
pub fn check(journal: &Journal<'_>, log: &Log, not_measured: &str) -> Check {
    if !log.has_begun() {
        return CRASH.not_measured(not_measured);
    }
    let crashes = journal.crashes();
    let Some(first) = crashes.first() else { return CRASH.outcome(true, "none") };
    let mut found = first.in_a_line();
    let further = |crash: &&Crash| matches!(crash.kind, CrashKind::BootLoop | CrashKind::Brownout);
    for judgement in crashes.iter().skip(1).filter(further) {
        found.push_str(&format!("; {}", judgement.headline()));
    }
    match log.crashes() {
        0 | 1 => {}
        count if count > MOST_TOLD as u64 => {
            found.push_str(&format!(
                "; {count} crashes, of which the record has the first {MOST_TOLD}"
            ));
        }
        count => found.push_str(&format!("; {count} crashes")),
    }
    CRASH.outcome(false, found).at_line(first.line)
}

/// Why the job ended, where the board crashed: the crash is the cause of what followed.
pub fn reason(journal: &Journal<'_>, stop: Stop) -> Stop {
    let Some(crash) = journal.crashes().into_iter().next() else { return stop };
    let crashed =
        format!("the board crashed, line {} of its boot log: {}", crash.line, crash.in_a_line());
    match stop {
        Stop::Crashed(_) => Stop::Crashed(crashed),
        Stop::Failed(why) => Stop::Crashed(format!("{crashed}. Then: {why}")),
        other => other,
    }
}
