//! The steps of a scenario as they are done, and what they come to.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use hilrig_core::check::{Check, CheckOutcome};
use hilrig_core::event::What;
use hilrig_core::leak::{self, Slope};
use hilrig_core::scenario::{Asked, Length, Scenario, ScenarioFound, SlopeFound, WARM_UP};

use crate::walk::Walk;

/// Steps done so far, with the free heap after each.
pub struct Steps {
    /// What was asked for.
    pub asked: Asked,
    since: Instant,
    step_since: Cell<Instant>,
    done: Cell<u32>,
    reconnects: Cell<u32>,
    samples: RefCell<Vec<Sample>>,
}

#[derive(Clone, Copy)]
struct Sample {
    step: u32,
    reconnects: u32,
    hours: f64,
    free: u64,
}

impl Steps {
    /// None done.
    pub fn new(asked: Asked) -> Steps {
        let now = Instant::now();
        Steps {
            asked,
            since: now,
            step_since: Cell::new(now),
            done: Cell::new(0),
            reconnects: Cell::new(0),
            samples: RefCell::default(),
        }
    }

    /// Whether there is one more.
    pub fn more(&self) -> bool {
        match self.asked.length {
            Length::Steps(steps) => self.done.get() < steps,
            Length::For(time) => self.since.elapsed() < time,
        }
    }

    /// How many were asked for; of a scenario for a time, none.
    pub fn count(&self) -> u32 {
        match self.asked.length {
            Length::Steps(steps) => steps,
            Length::For(_) => 0,
        }
    }

    /// The board has connected anew.
    pub fn reconnected(&self) {
        self.reconnects.set(self.reconnects.get() + 1);
    }

    /// Before the first step: the heap that the others are held against.
    pub fn begin(&self, free: Option<u64>) {
        self.sample(free);
        self.step_since.set(Instant::now());
    }

    /// A step worked.
    pub fn done(&self, walk: &Walk<'_>, text: impl Into<String>, free: Option<u64>) {
        self.done.set(self.done.get() + 1);
        walk.tell(What::Step {
            scenario: self.asked.scenario.name().into(),
            step: self.done.get(),
            text: text.into(),
            seconds: self.step_since.replace(Instant::now()).elapsed().as_secs_f64(),
        });
        self.sample(free);
    }

    fn sample(&self, free: Option<u64>) {
        let (step, reconnects) = (self.done.get(), self.reconnects.get());
        let hours = self.since.elapsed().as_secs_f64() / 3600.0;
        let sample = |free| Sample { step, reconnects, hours, free };
        self.samples.borrow_mut().extend(free.map(sample));
    }

    /// The free heap in the middle of all samples so far.
    pub fn median_free(&self) -> Option<u64> {
        let mut free: Vec<u64> = self.samples.borrow().iter().map(|sample| sample.free).collect();
        free.sort_unstable();
        free.get(free.len() / 2).copied()
    }

    /// Whether the free heap is below that of the last step.
    pub fn below_last(&self, free: u64) -> bool {
        self.samples.borrow().last().is_some_and(|last| free < last.free)
    }

    /// The step under way, in words.
    pub fn in_step(&self) -> String {
        let step = self.done.get() + 1;
        match self.asked.length {
            Length::Steps(steps) if step > steps => format!("after {steps} steps"),
            Length::Steps(steps) => format!("step {step} of {steps}"),
            Length::For(_) => format!("step {step}"),
        }
    }

    /// The steps so far, as a scenario whose check came to this.
    pub fn found(&self, outcome: CheckOutcome) -> ScenarioFound {
        let samples = self.samples.borrow();
        let counted = samples.get(WARM_UP..).unwrap_or_default();
        let slopes = self.slopes(counted);
        let free = |sample: Option<&Sample>| sample.filter(|_| !slopes.is_empty()).map(|s| s.free);
        let found = |(slope, each): &(Slope, &str)| SlopeFound {
            each: (*each).into(),
            slope: slope.slope,
            low: slope.low,
            high: slope.high,
        };
        ScenarioFound {
            scenario: self.asked.scenario.name().into(),
            steps: self.done.get(),
            outcome,
            first_free: free(counted.first()),
            last_free: free(counted.last()),
            slopes: slopes.iter().map(found).collect(),
        }
    }

    /// The slopes with what is one step, the first, and where there is more than that, with the rest.
    fn slopes(&self, counted: &[Sample]) -> Vec<(Slope, &'static str)> {
        let scenario = self.asked.scenario;
        let slope = |place: fn(&Sample) -> f64, each| {
            let points: Vec<_> = counted.iter().map(|s| (place(s), s.free as f64)).collect();
            Slope::of(&points).map(|slope| (slope, each))
        };
        let by_step = slope(|sample| f64::from(sample.step), each(scenario));
        let soak = scenario == Scenario::Soak && by_step.is_some();
        let more = soak.then(|| {
            [
                slope(|sample| f64::from(sample.reconnects), "reconnect"),
                slope(|sample| sample.hours, "hour"),
            ]
        });
        by_step.into_iter().chain(more.into_iter().flatten().flatten()).collect()
    }

    /// What the steps, all of which worked, come to.
    pub fn check(&self) -> Check {
        let scenario = self.asked.scenario;
        let (id, title) = (scenario.check(), scenario.title());
        let samples = self.samples.borrow();
        let steps = format!("{} steps worked", self.done.get());
        let counted = samples.get(WARM_UP..).unwrap_or_default();
        let slopes = self.slopes(counted);
        let (Some(first), Some(last), Some((by_step, _))) =
            (counted.first(), counted.last(), slopes.first())
        else {
            let why = match samples.is_empty() {
                true => {
                    "the firmware tells its free heap in no reply (contract: heap.reply)".into()
                }
                false => format!(
                    "{} samples behind the first {WARM_UP} are too few to tell a leak by; {} are the fewest",
                    counted.len(),
                    leak::FEWEST
                ),
            };
            return Check::not_measured(id, title, format!("{steps}, but {why}"));
        };
        let mut found = format!("{steps}; free heap {} to {} B", first.free, last.free);
        found.extend(slopes.iter().map(|(slope, each)| format!(", {}", words(slope, each))));
        let fell = by_step.surely_fell();
        let held = fell <= leak::ALLOWED;
        if !held {
            found.push_str(&format!(
                ". It leaks: {:.0} B in all, at least {fell:.0} B; {:.0} B are allowed",
                by_step.fell(),
                leak::ALLOWED
            ));
        }
        Check::of(id, title, held, found)
    }
}

fn each(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Handshake => "connection",
        Scenario::Page => "request",
        Scenario::Payload => "message",
        Scenario::Reconnect => "reconnect",
        Scenario::Soak => "step",
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
