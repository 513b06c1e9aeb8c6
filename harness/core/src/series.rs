//! The samples of a long series, of bounded size: what a slope is computed from ([`crate::leak`]).
//!
//! A soak of days has a million samples. Where there are too many, three neighbours become one: the median of
//! their figures, at the place of the middle one. So a steady fall stays the same, and outliers have no
//! effect.

use crate::leak::Slope;

/// The scales of a sample's place: steps, reconnects, hours.
pub const SCALES: usize = 3;

/// The most samples that are kept, a multiple of 3. A slope uses fewer ([`crate::leak`]).
const MOST: usize = 3000;

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Its place on each scale.
    pub places: [f64; SCALES],
    /// The figure.
    pub figure: u64,
}

/// A series of samples in the order of their places.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// The samples, each of `3^level` original ones.
    kept: Vec<Sample>,
    level: usize,
    /// The remaining samples, at most two of each level.
    open: Vec<Vec<Sample>>,
    ends: Option<[Sample; 2]>,
    count: usize,
}

impl Series {
    /// Adds the next one.
    pub fn add(&mut self, sample: Sample) {
        self.count += 1;
        self.ends = Some([self.ends.map_or(sample, |[first, _]| first), sample]);
        let mut sample = sample;
        for level in 0..self.level {
            let open = &mut self.open[level];
            open.push(sample);
            if open.len() < 3 {
                return;
            }
            sample = middle(open);
            open.clear();
        }
        self.kept.push(sample);
        if self.kept.len() == MOST {
            self.kept = self.kept.chunks(3).map(middle).collect();
            self.level += 1;
            self.open.push(Vec::new());
        }
    }

    /// The first and the last original sample.
    pub fn ends(&self) -> Option<[Sample; 2]> {
        self.ends
    }

    /// Number of original samples.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The median figure.
    pub fn median(&self) -> Option<u64> {
        let mut figures: Vec<u64> = self.samples().map(|sample| sample.figure).collect();
        figures.sort_unstable();
        figures.get(figures.len() / 2).copied()
    }

    /// How the figure moves along a scale.
    pub fn slope(&self, scale: usize) -> Option<Slope> {
        let [first, last] = self.ends?;
        let point = |sample: &Sample| (sample.places[scale], sample.figure as f64);
        let points: Vec<_> = self.samples().map(point).collect();
        let slope = Slope::of(&points)?;
        let span = last.places[scale] - first.places[scale];
        Some(Slope { span, samples: self.count, ..slope })
    }

    /// The kept samples, in order.
    fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.kept.iter().chain(self.open.iter().rev().flatten())
    }
}

/// Three neighbours combined into one.
fn middle(three: &[Sample]) -> Sample {
    let mut figures: Vec<u64> = three.iter().map(|sample| sample.figure).collect();
    figures.sort_unstable();
    let at = three.len() / 2;
    Sample { places: three[at].places, figure: figures[at] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;
    use proptest::prelude::*;

    fn series(figures: impl IntoIterator<Item = u64>) -> Series {
        let mut series = Series::default();
        for (n, figure) in figures.into_iter().enumerate() {
            let places = [n as f64, (n / 16) as f64, n as f64 / 3600.0];
            series.add(Sample { places, figure });
        }
        series
    }

    fn kept(series: &Series) -> usize {
        series.samples().count()
    }

    #[test]
    fn two_million_samples_take_no_more_room_than_a_few_thousand() {
        let series = series((0..2_000_000).map(|n| 4_000_000 - n));
        assert!(kept(&series) <= MOST + 2 * series.level, "{} are kept", kept(&series));
        let slope = series.slope(0).unwrap();
        assert_eq!((slope.slope, slope.low, slope.high), (-1.0, -1.0, -1.0));
        assert_eq!((slope.span, slope.samples), (1_999_999.0, 2_000_000));
        let [first, last] = series.ends().unwrap();
        assert_eq!((first.figure, last.figure), (4_000_000, 2_000_001));
    }

    #[test]
    fn a_leak_is_found_in_the_noise_of_a_long_series_and_noise_alone_is_none() {
        for seed in 0..5 {
            let mut random = Seeded::new(seed, "noise");
            let noise: Vec<u64> = (0..50_000).map(|_| random.below(401)).collect();
            let still = series(noise.iter().map(|noise| 40_000 + noise));
            assert!(still.slope(0).unwrap().surely_fell() < 64.0, "seed {seed}");
            // 1 B in 100 steps.
            let leak = |(n, noise): (usize, &u64)| 40_000 + noise - (n / 100) as u64;
            let leaks = series(noise.iter().enumerate().map(leak)).slope(0).unwrap();
            assert!((leaks.slope + 0.01).abs() < 0.001, "seed {seed}: {leaks:?}");
            assert!(leaks.surely_fell() > 400.0, "seed {seed}: {leaks:?}");
        }
    }

    proptest! {
        #[test]
        fn a_short_series_is_kept_as_it_came(figures in proptest::collection::vec(0_u64..80_000, 0..200)) {
            let series = series(figures.iter().copied());
            let points: Vec<_> =
                figures.iter().enumerate().map(|(n, figure)| (n as f64, *figure as f64)).collect();
            prop_assert_eq!(series.slope(0), Slope::of(&points));
            prop_assert_eq!(series.count(), figures.len());
        }
    }
}
