//! Starts of the chip: which of them a crash explains.

use super::headless::Headless;
use super::open::DumpPart;
use super::{DecoderState, OnFinding};
use crate::finding::{Finding, Kind};
use crate::start::RomStart;

/// Lines that may stand after a crash without showing that the firmware runs again: other tasks
/// write while one of them crashes.
pub const SPOKEN: u32 = 3;
/// The same, after a dump that is complete.
const SPOKEN_AFTER: u32 = 1;

impl DecoderState {
    pub(super) fn start(&mut self, number: u64, start: RomStart, found: OnFinding<'_>) {
        let open = self.coming().map(|finding| finding.kind);
        let complete =
            self.open.as_ref().is_none_or(|open| open.place == DumpPart::After || open.is_empty());
        let explained = match start.by_watchdog() {
            // After a crash the watchdog only ends it, unless the firmware has run since.
            true => self.spoke.is_some_and(|n| n <= if complete { SPOKEN_AFTER } else { SPOKEN }),
            false => open.is_some(),
        };
        self.close(Some(&start).filter(|_| explained), found);
        if open == Some(Kind::HardwareWatchdog) {
            self.spoke = None;
        }
        self.headless = Headless::default();
        let fell = !explained && (start.by_watchdog() || start.by_brownout());
        if start.by_watchdog() {
            self.watchdog_start = 0;
        }
        let kind = match (fell, start.by_brownout()) {
            (false, _) => Kind::Start,
            (true, true) => Kind::Brownout,
            (true, false) => Kind::HardwareWatchdog,
        };
        let mut finding = Finding::new(kind, number);
        finding.start = Some(start.clone());
        let mut judged = Vec::new();
        if fell {
            self.spoke = None;
            judged.extend(self.judge.fall(number, &finding));
        }
        judged.extend(self.judge.start(number, &start, explained || fell));
        found(finding);
        judged.into_iter().for_each(found);
    }
}
