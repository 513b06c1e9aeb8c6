//! The crashes in one board's log: what is known of them at once, so that no wait goes on in vain, and
//! what is to be told of them once their dumps are complete.

use std::collections::VecDeque;

use hilrig_core::start::ChipStart;
use hilrig_decode::{Finding, Kind};

use crate::watch::Hit;

/// Crashes of a board that are told with their frames; more are counted. A board that crashes at
/// each boot does so thousands of times in a night.
pub const MOST_TOLD: usize = 20;

/// Starts of a board that are told; a boot loop has thousands.
const MOST_STARTS: usize = 20;

/// What a wait cannot outlast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Line of the boot log, counted from 1.
    pub line: u64,
    /// What is known of it so far, in words.
    pub words: String,
    /// It is no crash: the chip stays in its serial loader.
    pub in_loader: bool,
}

/// What the log has told of crashes. Bounded, however many there are.
#[derive(Default)]
pub struct Alarms {
    /// The first ones of all.
    first: Vec<Alarm>,
    last: Option<Alarm>,
    count: u64,
    /// Crashes, without judgements on several.
    crashes: u64,
    /// Complete, and still to be told.
    waiting: VecDeque<Finding>,
    told: usize,
    /// Starts of the chip that are still to be told.
    starts: VecDeque<ChipStart>,
    /// Those that were noted for it so far.
    started: usize,
    /// The chip started into its loader, and not elsewhere since.
    in_loader: bool,
    /// The crash whose dump was coming when it raised its alarm.
    opened: Option<u64>,
    /// Up to this line, what ran was not the firmware under test.
    forgotten: u64,
}

impl Alarms {
    /// Alarms so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Alarms up to this line, as far as they are kept.
    pub fn before(&self, line: u64) -> u64 {
        match self.last.as_ref().is_some_and(|last| last.line < line) {
            true => self.count,
            false => self.first.iter().take_while(|alarm| alarm.line < line).count() as u64,
        }
    }

    /// The first alarm behind so many.
    pub fn after(&self, count: u64) -> Option<Alarm> {
        let kept = usize::try_from(count).ok().and_then(|at| self.first.get(at));
        kept.or(self.last.as_ref().filter(|_| self.count > count)).cloned()
    }

    /// Crashes since what ran is the firmware under test.
    pub fn crashes(&self) -> u64 {
        self.crashes
    }

    /// Crashes that wait to be told.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The oldest of them.
    pub fn next(&self) -> Option<&Finding> {
        self.waiting.front()
    }

    /// It was told. What was forgotten meanwhile is not there any more.
    pub fn take(&mut self, told: &Finding) {
        self.waiting.pop_front_if(|next| next.line == told.line && next.kind == told.kind);
    }

    /// Starts of the chip that wait to be told.
    pub fn starts_waiting(&self) -> usize {
        self.starts.len()
    }

    /// Takes the oldest of them.
    pub fn take_start(&mut self) -> Option<ChipStart> {
        self.starts.pop_front()
    }

    /// What stands in the log up to this line is not the firmware's under test.
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

    /// Notes a start of the chip. It stands by itself, or for a crash that left no other sign; what
    /// followed another crash is told again by itself.
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
