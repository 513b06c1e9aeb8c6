//! The journal of one board: phases with their times, checks, heap figures, crashes, restarts.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hilrig_core::board::BoardFault;
use hilrig_core::callers::HeapCallers;
use hilrig_core::check::{Check, CheckOutcome};
use hilrig_core::crash::Crash;
use hilrig_core::event::{Events, What};
use hilrig_core::heap::{HeapLows, HeapRead, HeapSample};
use hilrig_core::phase::{Phase, PhaseOutcome};

use crate::callers::Pending;
use crate::heap_bounds::HeapBounds;
use crate::pool::network::Reported;
use crate::restarts::{Restart, Restarts};
use crate::scenario::Steps;

/// Why a board's path ended before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The board did not do what it should.
    Failed(String),
    /// It crashed. What was known of it when the path ended; the notes know more.
    Crashed(String),
    /// The bench could not go on.
    Rig(String),
    /// The board itself gave no sign of life: the bench's trouble, unless a power cycle helps.
    Silent(String),
    /// Somebody ended the run.
    Interrupted(String),
}

impl Stop {
    /// What the board did wrong, if it was the board.
    pub fn failed(&self) -> Option<&str> {
        match self {
            Stop::Failed(why) | Stop::Crashed(why) => Some(why),
            Stop::Rig(_) | Stop::Silent(_) | Stop::Interrupted(_) => None,
        }
    }
}

impl From<BoardFault> for Stop {
    fn from(fault: BoardFault) -> Stop {
        match fault.silent {
            true => Stop::Silent(fault.to_string()),
            false => Stop::Rig(fault.to_string()),
        }
    }
}

/// What is noted of one board. The job and the reading of the log share it; both run on one thread.
pub struct Journal<'a> {
    name: &'a str,
    events: &'a Events,
    notes: RefCell<Notes>,
}

#[derive(Default)]
struct Notes {
    checks: Vec<Check>,
    crashes: Vec<Crash>,
    lows: HeapLows,
    phase: Option<(Phase, Instant)>,
    waited: Duration,
    bounds: HeapBounds,
    callers: Pending,
    with_others: bool,
    scenario: Option<Rc<Steps>>,
    last: Option<HeapSample>,
    restarts: Restarts,
    doing: String,
    step: Option<Step>,
    not_answered: Option<SocketAddr>,
    web_server: Option<SocketAddr>,
    reported: Reported,
}

/// A step of the path, with the check that says whether it worked.
pub struct Step {
    /// The check's id.
    pub id: String,
    /// Its title.
    pub title: String,
}

impl<'a> Journal<'a> {
    /// Nothing noted yet.
    pub fn new(name: &'a str, events: &'a Events) -> Journal<'a> {
        Journal { name, events, notes: RefCell::default() }
    }

    /// Emits an event of the board.
    pub fn emit(&self, what: What) {
        self.events.board(self.name, what);
    }

    /// Runs one phase, told at its start and its end. One that did not get through stays open until
    /// [`Journal::end`], because whose fault it was is found out then.
    pub async fn phase<T>(
        &self,
        phase: Phase,
        work: impl Future<Output = Result<T, Stop>>,
    ) -> Result<T, Stop> {
        self.begin(phase);
        let done = work.await;
        if done.is_ok() {
            self.end(None);
        }
        done
    }

    fn begin(&self, phase: Phase) {
        let mut notes = self.notes.borrow_mut();
        notes.phase = Some((phase, Instant::now()));
        notes.waited = Duration::ZERO;
        drop(notes);
        self.emit(What::PhaseStarted { phase });
    }

    /// Ends the phase that is under way, if there is one; so a path that is cut off (deadline,
    /// Ctrl-C) leaves no phase open.
    pub fn end(&self, stop: Option<&Stop>) {
        let Some((phase, since)) = self.notes.borrow_mut().phase.take() else { return };
        let (outcome, why) = match stop {
            None => (PhaseOutcome::Done, None),
            Some(Stop::Failed(why) | Stop::Crashed(why)) => {
                (PhaseOutcome::Failed, Some(why.clone()))
            }
            Some(Stop::Rig(why) | Stop::Silent(why)) => (PhaseOutcome::RigFault, Some(why.clone())),
            Some(Stop::Interrupted(why)) => (PhaseOutcome::Interrupted, Some(why.clone())),
        };
        let seconds = since.elapsed().as_secs_f64();
        let waited = self.notes.borrow().waited.as_secs_f64().min(seconds);
        self.emit(What::PhaseEnded { phase, outcome, seconds, waited, why });
    }

    /// The phase under way.
    pub fn now_in(&self) -> Option<Phase> {
        self.notes.borrow().phase.map(|(phase, _)| phase)
    }

    /// Runs a wait for the board or the broker; its time is not the rig's.
    pub async fn waiting<T>(&self, wait: impl Future<Output = T>) -> T {
        let since = Instant::now();
        let done = wait.await;
        self.waited(since, Instant::now());
        done
    }

    /// Runs a wait for the other boards of the run. Its time is not the rig's, and not the board's
    /// fault.
    pub async fn with_others<T>(&self, wait: impl Future<Output = T>) -> T {
        self.notes.borrow_mut().with_others = true;
        let done = self.waiting(wait).await;
        self.notes.borrow_mut().with_others = false;
        done
    }

    /// Whether it waits for the other boards, or did when it was cut off.
    pub fn waits_for_others(&self) -> bool {
        self.notes.borrow().with_others
    }

    /// The path begins a step: where it fails, this check does.
    pub fn step(&self, id: impl Into<String>, title: impl Into<String>) {
        let step = Step { id: id.into(), title: title.into() };
        self.notes.borrow_mut().step = Some(step);
    }

    /// The step under way; it is taken by this.
    pub fn take_step(&self) -> Option<Step> {
        self.notes.borrow_mut().step.take()
    }

    /// The web server there did not answer, and so the path ends.
    pub fn not_answered(&self, http: SocketAddr) {
        self.notes.borrow_mut().not_answered = Some(http);
    }

    /// The web server that did not answer; it is taken by this.
    pub fn take_not_answered(&self) -> Option<SocketAddr> {
        self.notes.borrow_mut().not_answered.take()
    }

    /// The board's web server was reached there.
    pub fn reached(&self, http: SocketAddr) {
        self.notes.borrow_mut().web_server = Some(http);
    }

    /// Where the board's web server was reached last.
    pub fn web_server(&self) -> Option<SocketAddr> {
        self.notes.borrow().web_server
    }

    /// The board is to connect from now on, or reports that it has. So many connections and requests for the
    /// time arrived before.
    pub fn connects(&self, arrived: Option<u32>, time_requests: u64) {
        let reported = Reported { arrived, time_requests, ..Reported::default() };
        self.notes.borrow_mut().reported = reported;
    }

    /// The board reports that it asks for the time.
    pub fn asks_time(&self, line: u64) {
        self.notes.borrow_mut().reported.asks_time.get_or_insert(line);
    }

    /// The board reports an attempt to connect that failed.
    pub fn attempt_failed(&self) {
        self.notes.borrow_mut().reported.failed += 1;
    }

    /// The board reports that it has no network.
    pub fn offline(&self, line: u64, words: &str) {
        self.notes.borrow_mut().reported.offline.get_or_insert_with(|| (line, words.to_owned()));
    }

    /// What it reported since it was to connect.
    pub fn reported(&self) -> Reported {
        self.notes.borrow().reported.clone()
    }

    /// What the rig does from now on, in words: `requested LedOn over MQTT`.
    pub fn doing(&self, words: impl Into<String>) {
        self.notes.borrow_mut().doing = words.into();
    }

    /// Notes a start of the chip that nobody asked for, unless `allowed` such are to be expected in
    /// the phase.
    pub fn restart(&self, restart: Restart, allowed: impl FnOnce(Phase) -> u64) {
        let notes = &mut *self.notes.borrow_mut();
        let phase = notes.phase.map(|(phase, _)| phase);
        let so_far = phase.map_or(0, |phase| notes.restarts.allowed_in(phase));
        match phase {
            Some(phase) if so_far < allowed(phase) => notes.restarts.allow(phase),
            _ => notes.restarts.add(restart, phase, &notes.doing),
        }
    }

    /// Looks at the restarts so far.
    pub fn restarts<T>(&self, look: impl FnOnce(&Restarts) -> T) -> T {
        look(&self.notes.borrow().restarts)
    }

    /// Notes that the board was at work from `since` to `until`.
    pub fn waited(&self, since: Instant, until: Instant) {
        self.notes.borrow_mut().waited += until.saturating_duration_since(since);
    }

    /// Notes a check.
    pub fn check(&self, check: Check) {
        let mut notes = self.notes.borrow_mut();
        notes.step.take_if(|step| step.id == check.id);
        notes.checks.push(check.clone());
        drop(notes);
        self.emit(What::Check(check));
    }

    /// Notes a crash.
    pub fn crash(&self, crash: Crash) {
        self.notes.borrow_mut().crashes.push(crash.clone());
        self.emit(What::Crash(crash));
    }

    /// The crashes so far.
    pub fn crashes(&self) -> Vec<Crash> {
        self.notes.borrow().crashes.clone()
    }

    /// What ran so far was not the firmware under test: its crashes and restarts do not count.
    pub fn forget_crashes(&self) {
        let mut notes = self.notes.borrow_mut();
        notes.crashes.clear();
        notes.restarts.forget();
    }

    /// The board is flashed or switched off and on to begin again: its restarts until now do not count.
    pub fn forget_restarts(&self) {
        self.notes.borrow_mut().restarts.forget();
    }

    /// A scenario begins. Its steps outlive a path that is cut off.
    pub fn scenario_begins(&self, steps: Rc<Steps>) {
        self.notes.borrow_mut().scenario = Some(steps);
    }

    /// The scenario under way; it is taken by this.
    pub fn take_scenario(&self) -> Option<Rc<Steps>> {
        self.notes.borrow_mut().scenario.take()
    }

    /// Notes heap figures.
    pub fn heap(&self, sample: HeapSample) {
        let mut notes = self.notes.borrow_mut();
        notes.lows.add(&sample);
        notes.bounds.told(&sample);
        notes.last = Some(sample);
        drop(notes);
        self.emit(What::Heap(sample));
    }

    /// Whether these are the figures that were noted last.
    pub fn knows(&self, sample: &HeapSample) -> bool {
        self.notes.borrow().last.as_ref() == Some(sample)
    }

    /// Notes who held the heap, to be told with the functions.
    pub fn callers(&self, callers: HeapCallers) {
        self.notes.borrow_mut().callers.add(callers);
    }

    /// The oldest of these; it is taken by this.
    pub fn take_callers(&self) -> Option<HeapCallers> {
        self.notes.borrow_mut().callers.take()
    }

    /// The firmware starts anew, and with it the heap.
    pub fn heap_starts_over(&self) {
        self.notes.borrow_mut().bounds.anew();
    }

    /// Notes heap figures that were read from memory.
    pub fn heap_read(&self, read: HeapRead) {
        self.notes.borrow_mut().bounds.read(&read);
        self.emit(What::HeapRead(read));
    }

    /// What came of holding figures from memory against the firmware's own: how many were, and
    /// the first that does not agree.
    pub fn heap_reads(&self) -> (usize, Option<String>) {
        let bounds = &self.notes.borrow().bounds;
        (bounds.held, bounds.wrong.clone())
    }

    /// The heap's lows so far.
    pub fn lows(&self) -> HeapLows {
        self.notes.borrow().lows.clone()
    }

    /// What comes from now on has lows of its own.
    pub fn reset_lows(&self) {
        self.notes.borrow_mut().lows = HeapLows::default();
    }

    /// Whether a check of this id was noted.
    pub fn has(&self, id: &str) -> bool {
        self.notes.borrow().checks.iter().any(|check| check.id == id)
    }

    /// The first check that was measured and did not hold, in words.
    pub fn first_measured_failure(&self) -> Option<String> {
        self.first(CheckOutcome::NotHeld)
    }

    /// The first check that does not count as held, in words.
    pub fn first_not_held(&self) -> Option<String> {
        self.first_measured_failure().or_else(|| self.first(CheckOutcome::NotMeasured))
    }

    fn first(&self, outcome: CheckOutcome) -> Option<String> {
        let notes = self.notes.borrow();
        let check = notes.checks.iter().find(|check| check.outcome == outcome)?;
        let found = check.found.as_deref().unwrap_or("nothing found");
        Some(format!("{}: {found}", check.title))
    }
}
