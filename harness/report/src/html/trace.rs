//! What a plot needs of a board's events, of bounded size.

use hilrig_core::event::What;
use hilrig_core::heap::HeapSample;
use hilrig_core::phase::Phase;

/// A plot shows no more than this many samples; a soak of days has far more.
const MOST_SAMPLES: usize = 4096;

/// The heap of a board over the time of a run.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// Samples with their times, seconds from the run's start.
    pub samples: Vec<(f64, HeapSample)>,
    /// How many samples one of `samples` stands for.
    pub thinned: usize,
    /// The phases that were walked.
    pub phases: Vec<PhaseSpan>,
    /// Samples since the last one that was kept.
    skipped: Option<(f64, HeapSample, usize)>,
}

/// A phase from its start to its end, seconds from the run's start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PhaseSpan {
    pub phase: Phase,
    pub from: f64,
    pub to: Option<f64>,
}

impl Trace {
    pub fn add(&mut self, at: f64, what: &What) {
        match what {
            What::Heap(sample) => self.sample(at, *sample),
            What::PhaseStarted { phase } => {
                self.phases.push(PhaseSpan { phase: *phase, from: at, to: None });
            }
            What::PhaseEnded { phase, .. } => {
                if let Some(last) = self.phases.iter_mut().rfind(|walked| walked.phase == *phase) {
                    last.to.get_or_insert(at);
                }
            }
            _ => {}
        }
    }

    /// Of samples that one point stands for, the one with the least free heap is shown: a plot that
    /// leaves out the lowest point would be of no use.
    fn sample(&mut self, at: f64, sample: HeapSample) {
        let each = self.thinned.max(1);
        let (kept_at, kept, seen) = match self.skipped.take() {
            Some((_, kept, seen)) if sample.lowest_free < kept.lowest_free => (at, sample, seen),
            Some(kept) => kept,
            None => (at, sample, 0),
        };
        if seen + 1 < each {
            self.skipped = Some((kept_at, kept, seen + 1));
            return;
        }
        self.samples.push((kept_at, kept));
        if self.samples.len() >= MOST_SAMPLES {
            self.thinned = each * 2;
            let lower = |pair: &[(f64, HeapSample)]| {
                pair.iter().copied().min_by_key(|(_, sample)| sample.lowest_free)
            };
            self.samples = self.samples.chunks(2).filter_map(lower).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use hilrig_core::heap::{HeapPhase, HeapSource};

    use super::*;

    fn sample(lowest_free: u64) -> What {
        What::Heap(HeapSample {
            phase: HeapPhase::Connected,
            lowest_free,
            free: None,
            lowest_ever: None,
            largest: None,
            fragmentation: None,
            failures: None,
            stack: None,
            source: HeapSource::Reply,
        })
    }

    #[test]
    fn a_long_run_stays_small_and_keeps_its_lowest_point() {
        let mut trace = Trace::default();
        for n in 0..100_000u64 {
            trace.add(n as f64, &sample(if n == 77_777 { 10 } else { 1000 + n % 7 }));
        }
        assert!(trace.samples.len() < MOST_SAMPLES && trace.samples.len() > MOST_SAMPLES / 4);
        let lowest = trace.samples.iter().min_by_key(|(_, s)| s.lowest_free).unwrap();
        assert_eq!((lowest.0, lowest.1.lowest_free), (77_777.0, 10));
        assert!(trace.samples.is_sorted_by_key(|(at, _)| *at));
    }

    #[test]
    fn a_phase_walked_twice_is_there_twice() {
        let mut trace = Trace::default();
        for at in [1.0, 3.0] {
            trace.add(at, &What::PhaseStarted { phase: Phase::Flash });
            let ended = What::PhaseEnded {
                phase: Phase::Flash,
                outcome: hilrig_core::phase::PhaseOutcome::Done,
                seconds: 1.0,
                waited: 0.0,
                why: None,
            };
            trace.add(at + 1.0, &ended);
        }
        let times: Vec<_> = trace.phases.iter().map(|w| (w.from, w.to)).collect();
        assert_eq!(times, [(1.0, Some(2.0)), (3.0, Some(4.0))]);
    }
}
