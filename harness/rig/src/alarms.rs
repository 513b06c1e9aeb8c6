//! The crashes in one board's log. An alarm ends every wait as soon as a crash begins; the crash is reported when its
//! dump is complete.

use std::collections::VecDeque;

use hilrig_core::start::ChipStart;
use hilrig_decode::{Finding, Kind};

use crate::watch::Hit;

/// Crashes of a board that are reported with their frames; more are only counted. A board that
/// crashes at each boot does so thousands of times in a night.
pub const MOST_TOLD: usize = 20;

/// Starts of a board that are reported; a boot loop has thousands.
const MOST_STARTS: usize = 20;

/// An event that ends every wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Line of the boot log, counted from 1.
    pub line: u64,
    /// What is known so far, as text.
    pub words: String,
    /// Not a crash: the chip stays in its serial loader.
    pub in_loader: bool,
}

/// The crashes in the log. Memory use is bounded.
#[derive(Default)]
pub struct Alarms {
    /// The first alarms.
    first: Vec<Alarm>,
    last: Option<Alarm>,
    count: u64,
    /// Number of crashes, without findings about several crashes.
    crashes: u64,
    /// Complete crashes, not reported yet.
    waiting: VecDeque<Finding>,
    told: usize,
    /// Starts of the chip, not reported yet.
    starts: VecDeque<ChipStart>,
    /// Number of starts noted for a report so far.
    started: usize,
    /// The last start of the chip was into its loader.
    in_loader: bool,
    /// Line of the crash whose dump was incomplete when the alarm was raised.
    opened: Option<u64>,
    /// Lines up to this one are not from the firmware under test.
    forgotten: u64,
}

impl Alarms {
    /// Number of alarms so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Number of alarms up to this line, as far as they are kept.
    pub fn before(&self, line: u64) -> u64 {
        match self.last.as_ref().is_some_and(|last| last.line < line) {
            true => self.count,
            false => self.first.iter().take_while(|alarm| alarm.line < line).count() as u64,
        }
    }

    /// The first alarm after the first `count`.
    pub fn after(&self, count: u64) -> Option<Alarm> {
        let kept = usize::try_from(count).ok().and_then(|at| self.first.get(at));
        kept.or(self.last.as_ref().filter(|_| self.count > count)).cloned()
    }

    /// Number of crashes of the firmware under test.
    pub fn crashes(&self) -> u64 {
        self.crashes
    }

    /// Number of crashes that are not reported yet.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The oldest crash that is not reported yet.
    pub fn next(&self) -> Option<&Finding> {
        self.waiting.front()
    }

    /// Removes a reported crash. Does nothing if [`Alarms::forget`] has removed it already.
    pub fn take(&mut self, told: &Finding) {
        self.waiting.pop_front_if(|next| next.line == told.line && next.kind == told.kind);
    }

    /// Number of starts that are not reported yet.
    pub fn starts_waiting(&self) -> usize {
        self.starts.len()
    }

    /// Removes and returns the oldest start.
    pub fn take_start(&mut self) -> Option<ChipStart> {
        self.starts.pop_front()
    }

    /// Lines of the log up to this one are not from the firmware under test.
    pub fn forget(&mut self, line: u64) {
        self.forgotten = line;
        self.crashes = 0;
        self.told = 0;
        self.waiting.clear();
    }

    /// A crash has begun.
    pub fn opened(&mut self, finding: &Finding) {
        if self.opened == Some(finding.line) {
            return;
        }
        self.opened = Some(finding.line);
        self.raise(finding, false);
    }

    /// A crash is complete, several come to a judgement, or the chip has started.
    pub fn found(&mut self, finding: Finding) {
        self.start(&finding);
        let before = self.in_loader;
        if let Kind::Start | Kind::HardwareWatchdog = finding.kind {
            self.in_loader = finding.is_in_loader();
            if self.in_loader {
                self.raise(&finding, true);
            }
        }
        match finding.kind {
            Kind::Start => return,
            // The chip hangs in its loader until the watchdog bites: no firmware ran.
            Kind::HardwareWatchdog if before => return,
            _ if self.opened == Some(finding.line) => {}
            _ => self.raise(&finding, false),
        }
        if finding.line > self.forgotten && self.told < MOST_TOLD {
            self.told += 1;
            self.waiting.push_back(finding);
        }
    }

    /// Notes a start of the chip: a finding of its own, or the only sign of a crash. A start after any
    /// other crash also comes as a finding of its own.
    fn start(&mut self, finding: &Finding) {
        let by_itself = matches!(finding.kind, Kind::Start | Kind::HardwareWatchdog)
            || (finding.kind == Kind::Brownout && finding.evidence.is_empty());
        if let Some(start) = finding.start.as_ref().filter(|_| by_itself)
            && self.started < MOST_STARTS
        {
            self.started += 1;
            self.starts.push_back(start.chip_start(finding.line));
        }
    }

    /// A line that the contract counts as a crash.
    pub fn by_contract(&mut self, hit: &dyn Fn() -> Option<Hit>) {
        if let Some(hit) = hit() {
            self.found(Finding::of_contract(hit.line, &hit.text));
        }
    }

    fn raise(&mut self, finding: &Finding, in_loader: bool) {
        self.count += 1;
        if !in_loader && finding.evidence.is_empty() && finding.line > self.forgotten {
            self.crashes += 1;
        }
        let words = match in_loader {
            true => finding.start.as_ref().map(ToString::to_string).unwrap_or_default(),
            false => finding.decoded(None).headline(),
        };
        let alarm = Alarm { line: finding.line, words, in_loader };
        if self.first.len() < MOST_TOLD {
            self.first.push(alarm.clone());
        }
        self.last = Some(alarm);
    }
}
