//! How far the boards are in their scenarios, which may take hours.

use std::collections::BTreeMap;

use hilrig_core::event::{Event, What};
use hilrig_core::scenario::Scenario;

use super::words::clean;

/// Where no picture is updated in place, a line for each board at work comes this often, seconds.
pub(super) const EVERY: f64 = 30.0;

/// The boards that are in a scenario.
#[derive(Default)]
pub(super) struct ScenarioProgress {
    /// Seconds that the scenarios of the run go on for, by name; of those that do not go on for steps.
    lengths: BTreeMap<String, f64>,
    boards: BTreeMap<String, Under>,
    /// When the boards were last reported.
    reported: f64,
}

/// A scenario under way.
struct Under {
    scenario: String,
    since: f64,
    step: u32,
    of: Option<u32>,
    text: String,
    free: Option<u64>,
}

impl ScenarioProgress {
    /// Takes the next event in.
    pub fn add(&mut self, event: &Event) {
        if let What::RunStarted(run) = &event.what {
            let length = |asked: &String| {
                let (name, length) = asked.split_once(':')?;
                Some((name.to_owned(), length.strip_suffix('s')?.parse().ok()?))
            };
            self.lengths = run.scenarios.iter().filter_map(length).collect();
        }
        let Some(name) = &event.board else { return };
        match &event.what {
            What::PhaseStarted { phase } => {
                let scenario = Scenario::ALL.into_iter().find(|of| of.phase() == *phase);
                let Some(scenario) = scenario else { return };
                let under = Under {
                    scenario: scenario.name().into(),
                    since: event.at,
                    step: 0,
                    of: None,
                    text: String::new(),
                    free: None,
                };
                self.boards.insert(name.clone(), under);
            }
            What::Step { step, of, text, .. } => {
                if let Some(under) = self.boards.get_mut(name) {
                    (under.step, under.of, under.text) = (*step, *of, text.clone());
                }
            }
            What::Heap(sample) => {
                if let Some(under) = self.boards.get_mut(name) {
                    under.free = sample.free.or(under.free);
                }
            }
            What::PhaseEnded { .. } | What::BoardEnded { .. } => {
                self.boards.remove(name);
            }
            _ => {}
        }
    }

    /// Where a board is: `scenario handshake, step 7 of 12: a TLS connection, 45104 B free`.
    pub fn words(&self, name: &str, now: f64) -> Option<String> {
        let under = self.boards.get(name)?;
        let Under { scenario, since, step, of, text, free } = under;
        let mut words = format!("scenario {scenario}, step {step}");
        if let Some(of) = of {
            words += &format!(" of {of}");
        }
        if let Some(length) = self.lengths.get(scenario) {
            words += &format!(", {} of {}", time(now - since), time(*length));
        }
        if !text.is_empty() {
            words += &format!(": {text}");
        }
        if let Some(free) = free {
            words += &format!(", {free} B free");
        }
        Some(clean(&words))
    }

    /// The boards that are at work in a scenario, with where they are, if it is time for that again.
    pub fn due(&mut self, now: f64) -> Vec<(String, String)> {
        if self.boards.is_empty() {
            self.reported = now;
        }
        if now - self.reported < EVERY {
            return Vec::new();
        }
        // From the time when it was due, so that it does not come later and later.
        self.reported += ((now - self.reported) / EVERY).floor() * EVERY;
        let words = |name: &String| Some((name.clone(), self.words(name, now)?));
        self.boards.keys().filter_map(words).collect()
    }
}

/// `45 s`, `12:07 min`, `1:12:07 h`.
fn time(seconds: f64) -> String {
    let all = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes}:{seconds:02} min"),
        _ => format!("{hours}:{minutes:02}:{seconds:02} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(time(-1.0), "0 s");
        assert_eq!(time(59.9), "59 s");
        assert_eq!(time(61.0), "1:01 min");
        assert_eq!(time(28_800.0), "8:00:00 h");
    }
}
