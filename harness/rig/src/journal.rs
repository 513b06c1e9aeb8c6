//! The journal of one board: phases with their times, checks, heap figures, crashes, restarts.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hilrig_core::callers::HeapCallers;
use hilrig_core::check::{Check, CheckOutcome};
use hilrig_core::crash::Crash;
use hilrig_core::event::{Events, What};
use hilrig_core::heap::{HeapLows, HeapRead, HeapSample};
use hilrig_core::phase::{Phase, PhaseOutcome};

use crate::check_spec::CheckSpec;
use crate::connection_report::ConnectionReport;
use crate::heap_bounds::HeapBounds;
use crate::pending_callers::PendingCallers;
use crate::restarts::Restarts;
use crate::starts::Restart;
use crate::stop::Stop;

/// The notes on one board. The job and the reader of the log share it; both run on one thread.
pub struct Journal<'a> {
    name: String,
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
    callers: PendingCallers,
    waits_for_others: bool,
    last_heap: Option<HeapSample>,
    restarts: Restarts,
    doing: String,
    step: Option<CheckSpec>,
    not_answered: Option<SocketAddr>,
    connection: ConnectionReport,
}

impl<'a> Journal<'a> {
    /// An empty journal of the board `name`. Its notes also go to `events`.
    pub fn new(name: impl Into<String>, events: &'a Events) -> Journal<'a> {
        Journal { name: name.into(), events, notes: RefCell::default() }
    }

    /// The board's name.
    pub fn board(&self) -> &str {
        &self.name
    }

    /// Emits an event of the board.
    pub fn emit(&self, what: What) {
        self.events.board(&self.name, what);
    }

    /// Notes a sentence for people.
    pub fn note(&self, text: impl Into<String>) {
        self.emit(What::Note { text: text.into() });
    }

    /// Runs `work` as one phase, with an event at its start and one at its end. A phase that fails stays open until
    /// [`Journal::end_phase`]: the cause is only known then.
    ///
    /// # Errors
    /// That of `work`.
    pub async fn phase<T>(
        &self,
        phase: Phase,
        work: impl Future<Output = Result<T, Stop>>,
    ) -> Result<T, Stop> {
        self.begin_phase(phase);
        let done = work.await;
        if done.is_ok() {
            self.end_phase(None);
        }
        done
    }

    fn begin_phase(&self, phase: Phase) {
        let mut notes = self.notes.borrow_mut();
        notes.phase = Some((phase, Instant::now()));
        notes.waited = Duration::ZERO;
        drop(notes);
        self.emit(What::PhaseStarted { phase });
    }

    /// Ends the current phase, if there is one: a job that is cancelled (deadline, Ctrl-C) leaves no phase open.
    pub fn end_phase(&self, stop: Option<&Stop>) {
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

    /// The current phase.
    pub fn now_in(&self) -> Option<Phase> {
        self.notes.borrow().phase.map(|(phase, _)| phase)
    }

    /// Runs a wait for the board or the broker. Its time counts as waited, not as the rig's own.
    pub async fn waiting<T>(&self, wait: impl Future<Output = T>) -> T {
        let since = Instant::now();
        let done = wait.await;
        self.waited(since, Instant::now());
        done
    }

    /// Runs a wait for the other boards of the pool. If the board's deadline passes during it, the board is not to
    /// blame.
    pub async fn waiting_for_others<T>(&self, wait: impl Future<Output = T>) -> T {
        self.notes.borrow_mut().waits_for_others = true;
        let done = self.waiting(wait).await;
        self.notes.borrow_mut().waits_for_others = false;
        done
    }

    /// Whether the board waits for the other boards, or did when it was cancelled.
    pub fn waits_for_others(&self) -> bool {
        self.notes.borrow().waits_for_others
    }

    /// A step starts: if the job fails in it, this check fails.
    pub fn step(&self, check: &CheckSpec) {
        self.notes.borrow_mut().step = Some(check.clone());
    }

    /// Removes and returns the check of the current step.
    pub(crate) fn take_step(&self) -> Option<CheckSpec> {
        self.notes.borrow_mut().step.take()
    }

    /// The board's web server at `http` did not answer.
    pub(crate) fn not_answered(&self, http: SocketAddr) {
        self.notes.borrow_mut().not_answered = Some(http);
    }

    /// Removes and returns the address of the web server that did not answer.
    pub(crate) fn take_not_answered(&self) -> Option<SocketAddr> {
        self.notes.borrow_mut().not_answered.take()
    }

    /// The board is to connect from now on, or reports that it has. So many connections and requests for the time
    /// arrived before.
    pub(crate) fn connects(&self, arrived: Option<u32>, time_requests: u64) {
        let connection = ConnectionReport { arrived, time_requests, ..ConnectionReport::default() };
        self.notes.borrow_mut().connection = connection;
    }

    /// The board reports that it asks for the time.
    pub(crate) fn asks_time(&self, line: u64) {
        self.notes.borrow_mut().connection.asks_time.get_or_insert(line);
    }

    /// The board reports an attempt to connect that failed.
    pub(crate) fn attempt_failed(&self) {
        self.notes.borrow_mut().connection.failed += 1;
    }

    /// The board reports that it has no network.
    pub(crate) fn offline(&self, line: u64, words: &str) {
        let notes = &mut *self.notes.borrow_mut();
        notes.connection.offline.get_or_insert_with(|| (line, words.to_owned()));
    }

    /// What the board has reported on its connection since it was to connect.
    pub(crate) fn connection_report(&self) -> ConnectionReport {
        self.notes.borrow().connection.clone()
    }

    /// The rig's current action, in words that follow "while the rig": `requested LedOn over MQTT`.
    pub fn doing(&self, words: impl Into<String>) {
        self.notes.borrow_mut().doing = words.into();
    }

    /// Notes a start of the chip that the rig did not request, unless the contract allows one in this phase.
    /// `allowed` is the number that it allows.
    pub(crate) fn restart(&self, restart: Restart, allowed: impl FnOnce(Phase) -> u64) {
        let notes = &mut *self.notes.borrow_mut();
        let phase = notes.phase.map(|(phase, _)| phase);
        let so_far = phase.map_or(0, |phase| notes.restarts.allowed_in(phase));
        match phase {
            Some(phase) if so_far < allowed(phase) => notes.restarts.allow(phase),
            _ => notes.restarts.add(restart, phase, &notes.doing),
        }
    }

    /// Reads the restarts so far.
    pub(crate) fn restarts<T>(&self, look: impl FnOnce(&Restarts) -> T) -> T {
        look(&self.notes.borrow().restarts)
    }

    /// Notes that the rig waited for the board from `since` to `until`.
    pub fn waited(&self, since: Instant, until: Instant) {
        self.notes.borrow_mut().waited += until.saturating_duration_since(since);
    }

    /// Notes a check with its outcome.
    pub fn check(&self, check: Check) {
        let mut notes = self.notes.borrow_mut();
        notes.step.take_if(|step| step.id == check.id);
        notes.checks.push(check.clone());
        drop(notes);
        self.emit(What::Check(check));
    }

    /// Notes a crash.
    pub(crate) fn crash(&self, crash: Crash) {
        self.notes.borrow_mut().crashes.push(crash.clone());
        self.emit(What::Crash(crash));
    }

    /// The crashes so far.
    pub fn crashes(&self) -> Vec<Crash> {
        self.notes.borrow().crashes.clone()
    }

    /// The firmware so far was not the one under test: its crashes and restarts do not count.
    pub(crate) fn forget_crashes(&self) {
        let mut notes = self.notes.borrow_mut();
        notes.crashes.clear();
        notes.restarts.forget();
    }

    /// The board starts again after a flash or a power cycle: its earlier restarts do not count.
    pub(crate) fn forget_restarts(&self) {
        self.notes.borrow_mut().restarts.forget();
    }

    /// Notes heap figures.
    pub fn heap(&self, sample: HeapSample) {
        let mut notes = self.notes.borrow_mut();
        notes.lows.add(&sample);
        notes.bounds.reported(&sample);
        notes.last_heap = Some(sample);
        drop(notes);
        self.emit(What::Heap(sample));
    }

    /// Whether these are the heap figures that were noted last.
    pub(crate) fn is_last_heap(&self, sample: &HeapSample) -> bool {
        self.notes.borrow().last_heap.as_ref() == Some(sample)
    }

    /// Notes who allocated the heap. It is reported once the functions are looked up.
    pub(crate) fn callers(&self, callers: HeapCallers) {
        self.notes.borrow_mut().callers.add(callers);
    }

    /// Removes and returns the oldest of these.
    pub(crate) fn take_callers(&self) -> Option<HeapCallers> {
        self.notes.borrow_mut().callers.take()
    }

    /// The firmware starts again, and its heap with it.
    pub(crate) fn heap_starts_over(&self) {
        self.notes.borrow_mut().bounds.reset();
    }

    /// Notes heap figures that were read from memory.
    pub(crate) fn heap_read(&self, read: HeapRead) {
        self.notes.borrow_mut().bounds.read(&read);
        self.emit(What::HeapRead(read));
    }

    /// How many figures from memory were compared with the firmware's own, and the first that does not agree.
    pub(crate) fn heap_reads(&self) -> (usize, Option<String>) {
        let bounds = &self.notes.borrow().bounds;
        (bounds.compared, bounds.wrong.clone())
    }

    /// The lowest free heap of each phase so far, bytes.
    pub fn lows(&self) -> HeapLows {
        self.notes.borrow().lows.clone()
    }

    /// Resets the lows.
    pub fn reset_lows(&self) {
        self.notes.borrow_mut().lows = HeapLows::default();
    }

    /// Whether a check with this id was noted.
    pub fn has_check(&self, id: &str) -> bool {
        self.notes.borrow().checks.iter().any(|check| check.id == id)
    }

    /// The first check that was measured and failed, as text.
    pub(crate) fn first_measured_failure(&self) -> Option<String> {
        self.first(CheckOutcome::NotHeld)
    }

    /// The first check that failed or could not be measured, as text.
    pub(crate) fn first_not_passed(&self) -> Option<String> {
        self.first_measured_failure().or_else(|| self.first(CheckOutcome::NotMeasured))
    }

    fn first(&self, outcome: CheckOutcome) -> Option<String> {
        let notes = self.notes.borrow();
        let check = notes.checks.iter().find(|check| check.outcome == outcome)?;
        let found = check.found.as_deref().unwrap_or("nothing found");
        Some(format!("{}: {found}", check.title))
    }
}
