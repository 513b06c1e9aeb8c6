//! The steps of a scenario and their result.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use hilrig_core::check::{Check, CheckOutcome};
use hilrig_core::event::What;
use hilrig_core::leak::{self, Slope};
use hilrig_core::plural::counted;
use hilrig_core::scenario::{Length, ScenarioFound, SlopeFound, WARM_UP};
use hilrig_core::series::{Sample, Series};

use super::spec::ScenarioSpec;
use crate::journal::Journal;

/// After a step some heap can still be allocated: for a segment that is not acknowledged, or a connection that is
/// closed and remembered (lwIP: for twice `TCP_MSL`, 2 s in our ports, and up to half a second more). It is free
/// again within this time; a leak is not.
pub(super) const SETTLES: Duration = Duration::from_secs(3);

/// Steps done so far, with the free heap after each.
pub struct Steps {
    spec: &'static ScenarioSpec,
    length: Length,
    since: Instant,
    step_since: Cell<Instant>,
    done: Cell<u32>,
    reconnects: Cell<u32>,
    /// Samples so far, those that do not count among them.
    seen: Cell<usize>,
    last: Cell<Option<u64>>,
    /// Those that count.
    samples: RefCell<Series>,
}

// The scales of the series.
const BY_STEP: usize = 0;
const BY_RECONNECT: usize = 1;
const BY_HOUR: usize = 2;

impl Steps {
    /// No step is done.
    pub(super) fn new(spec: &'static ScenarioSpec, length: Length) -> Steps {
        let now = Instant::now();
        Steps {
            spec,
            length,
            since: now,
            step_since: Cell::new(now),
            done: Cell::new(0),
            reconnects: Cell::new(0),
            seen: Cell::new(0),
            last: Cell::new(None),
            samples: RefCell::default(),
        }
    }

    /// What the scenario declares.
    pub fn spec(&self) -> &'static ScenarioSpec {
        self.spec
    }

    /// Whether there is one more step.
    pub fn more(&self) -> bool {
        match self.length {
            Length::Steps(steps) => self.done.get() < steps,
            Length::For(time) => self.since.elapsed() < time,
        }
    }

    /// How many steps were asked for; 0 for a scenario for a time.
    pub fn count(&self) -> u32 {
        match self.length {
            Length::Steps(steps) => steps,
            Length::For(_) => 0,
        }
    }

    /// How many steps there are to be.
    fn of(&self) -> Option<u32> {
        match self.length {
            Length::Steps(steps) => Some(steps + self.spec.extra_steps),
            Length::For(_) => None,
        }
    }

    /// The board has connected again.
    pub fn reconnected(&self) {
        self.reconnects.set(self.reconnects.get() + 1);
    }

    /// Before the first step: the heap that the others are compared with.
    pub fn begin(&self, free: Option<u64>) {
        self.sample(free);
        self.step_since.set(Instant::now());
    }

    /// A step worked.
    pub fn done(&self, journal: &Journal<'_>, text: impl Into<String>, free: Option<u64>) {
        self.done.set(self.done.get() + 1);
        journal.emit(What::Step {
            scenario: self.spec.name.name().into(),
            step: self.done.get(),
            of: self.of(),
            text: text.into(),
            seconds: self.step_since.replace(Instant::now()).elapsed().as_secs_f64(),
        });
        self.sample(free);
    }

    fn sample(&self, free: Option<u64>) {
        let Some(figure) = free else { return };
        self.last.set(free);
        self.seen.set(self.seen.get() + 1);
        if self.seen.get() <= WARM_UP {
            return;
        }
        let hours = self.since.elapsed().as_secs_f64() / 3600.0;
        let places = [f64::from(self.done.get()), f64::from(self.reconnects.get()), hours];
        self.samples.borrow_mut().add(Sample { places, figure });
    }

    /// The free heap in the middle of all samples that count.
    pub fn median_free(&self) -> Option<u64> {
        self.samples.borrow().median()
    }

    /// Whether the free heap is below that of the last step.
    pub fn below_last(&self, free: u64) -> bool {
        self.last.get().is_some_and(|last| free < last)
    }

    /// The step under way, in words.
    pub fn in_step(&self) -> String {
        let step = self.done.get() + 1;
        match self.length {
            Length::Steps(steps) if step > steps => format!("after {steps} steps"),
            Length::Steps(steps) => format!("step {step} of {steps}"),
            Length::For(_) => format!("step {step}"),
        }
    }

    /// The steps so far, as a scenario whose check came to this.
    pub fn found(&self, outcome: CheckOutcome, stopped: Option<String>) -> ScenarioFound {
        let samples = self.samples.borrow();
        let slopes = self.slopes(&samples);
        let ends = samples.ends().filter(|_| !slopes.is_empty());
        let found = |(slope, each): &(Slope, &str)| SlopeFound {
            each: (*each).into(),
            slope: slope.slope,
            low: slope.low,
            high: slope.high,
        };
        ScenarioFound {
            scenario: self.spec.name.name().into(),
            steps: self.done.get(),
            outcome,
            first_free: ends.map(|[first, _]| first.figure),
            last_free: ends.map(|[_, last]| last.figure),
            samples: samples.count() as u64,
            slopes: slopes.iter().map(found).collect(),
            stopped,
        }
    }

    /// The slopes with what is one step, the first, and where there is more than that, with the rest.
    fn slopes(&self, samples: &Series) -> Vec<(Slope, &'static str)> {
        let slope = |scale, each| samples.slope(scale).map(|slope| (slope, each));
        let by_step = slope(BY_STEP, self.spec.each);
        let mixed = self.spec.mixed && by_step.is_some();
        let more = mixed.then(|| [slope(BY_RECONNECT, "reconnect"), slope(BY_HOUR, "hour")]);
        by_step.into_iter().chain(more.into_iter().flatten().flatten()).collect()
    }

    /// The result of the steps, all of which passed; `stopped` if there were to be more of them.
    pub fn check(&self, stopped: bool) -> Check {
        let check = &self.spec.check;
        let samples = self.samples.borrow();
        let steps = match (stopped, self.done.get()) {
            (true, steps) => format!("stopped after {}", counted(steps, "step")),
            (false, steps) => format!("{} worked", counted(steps, "step")),
        };
        let slopes = self.slopes(&samples);
        let (Some([first, last]), Some((by_step, _))) = (samples.ends(), slopes.first()) else {
            let why = match self.last.get() {
                None => {
                    "the firmware reports its free heap in no reply (contract: heap.reply)".into()
                }
                Some(_) => format!(
                    "{} samples after the first {WARM_UP} are too few to find a leak; {} are the fewest",
                    samples.count(),
                    leak::FEWEST
                ),
            };
            return check.not_measured(format!("{steps}, but {why}"));
        };
        let (first, last, count) = (first.figure, last.figure, samples.count());
        let mut found =
            format!("{steps}; free heap {first} to {last} B in {}", counted(count, "sample"));
        found.extend(slopes.iter().map(|(slope, each)| format!(", {}", words(slope, each))));
        let fell = by_step.surely_fell();
        let passed = fell <= leak::ALLOWED;
        found.push_str(&match passed {
            true => format!(", no leak beyond {:.0} B", leak::ALLOWED),
            false => format!(
                ". It leaks: {:.0} B in all, at least {fell:.0} B; {:.0} B are allowed",
                by_step.fell(),
                leak::ALLOWED
            ),
        });
        check.outcome(passed, found)
    }
}

/// `-64.0 B a reconnect (99 %: -64.3 to -63.9)`.
fn words(slope: &Slope, each: &str) -> String {
    let Slope { slope, low, high, .. } = slope;
    let article = if each == "hour" { "an" } else { "a" };
    // No minus before a zero.
    let [slope, low, high] = [slope, low, high].map(|value| format!("{:+.1}", value + 0.0));
    format!("{slope} B {article} {each} ({} %: {low} to {high})", leak::CONFIDENCE_PERCENT)
}
