//! Whether a figure falls over a series of samples, distinguished from noise.
//!
//! The slope is Theil and Sen's: the median of the slopes of all pairs of samples, which a few samples
//! that are far off do not move. Its confidence interval is Sen's (1968): two of those slopes, so many
//! ranks from the median as Kendall's score has deviations, with the correction for samples at the same
//! place. The only assumption about the noise is that it is independent from sample to sample.

/// The confidence of the interval.
pub const CONFIDENCE_PERCENT: u32 = 99;

/// Its quantile of the standard normal distribution, two-sided.
const DEVIATIONS: f64 = 2.575_829_303_548_901;

/// With fewer samples there is no interval.
pub const FEWEST: usize = 7;

/// The most points; with more samples, neighbours are replaced by their medians first.
const MOST: usize = 400;

/// The total fall that does not count, bytes: the tolerance of `hilrig heap check`.
pub const ALLOWED: f64 = 256.0;

/// How a figure moves, in units of the figure for each unit of the place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// The slope.
    pub slope: f64,
    /// The lower end of its confidence interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Distance from the first sample's place to the last's.
    pub span: f64,
    /// Number of samples.
    pub samples: usize,
}

impl Slope {
    /// The slope of samples, each `(place, figure)`, in order of their places. `None` where they are too
    /// few, or too few of them are at different places.
    pub fn of(samples: &[(f64, f64)]) -> Option<Slope> {
        let count = samples.len();
        if count < FEWEST {
            return None;
        }
        let span = samples[count - 1].0 - samples[0].0;
        let thinned;
        let points = match count > MOST {
            true => {
                thinned = thin(samples);
                thinned.as_slice()
            }
            false => samples,
        };
        let mut slopes = Vec::with_capacity(points.len() * (points.len() - 1) / 2);
        for (n, (x, y)) in points.iter().enumerate() {
            let later = points[n + 1..].iter().filter(|(later, _)| later > x);
            slopes.extend(later.map(|(later, figure)| (figure - y) / (later - x)));
        }
        slopes.sort_unstable_by(f64::total_cmp);
        let outside = (slopes.len() as f64 - DEVIATIONS * variance(points).sqrt()) / 2.0;
        if outside < 1.0 {
            return None;
        }
        let rank = outside as usize;
        Some(Slope {
            slope: median(&slopes),
            low: slopes[rank - 1],
            high: slopes[slopes.len() - rank],
            span,
            samples: count,
        })
    }

    /// The fall over the whole series that is certain, by the confidence interval.
    pub fn surely_fell(&self) -> f64 {
        (-self.high * self.span).max(0.0)
    }

    /// The most likely fall over the whole series.
    pub fn fell(&self) -> f64 {
        -self.slope * self.span
    }
}

/// The variance of Kendall's score, with samples at the same place.
fn variance(points: &[(f64, f64)]) -> f64 {
    let of = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let ties = points.chunk_by(|a, b| a.0 == b.0).map(|same| of(same.len() as f64)).sum::<f64>();
    (of(points.len() as f64) - ties) / 18.0
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
        _ => sorted[middle],
    }
}

/// At most [`MOST`] points, each the medians of as many neighbours.
fn thin(samples: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let together = samples.len().div_ceil(MOST);
    let middle = |part: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = part.iter().map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        median(&values)
    };
    let parts = samples.chunks(together);
    parts.map(|part| (middle(part, |point| point.0), middle(part, |point| point.1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;
    use proptest::prelude::*;

    /// `count` steps that lose `leak` bytes each, with noise of at most `noise` to both sides.
    fn series(count: usize, leak: f64, noise: u64, seed: u64) -> Vec<(f64, f64)> {
        let mut random = Seeded::new(seed, "noise");
        let noise = |_| random.below(2 * noise + 1) as f64 - noise as f64;
        let noise: Vec<f64> = (0..count).map(noise).collect();
        let figure = |n: usize| 40_000.0 - leak * n as f64 + noise[n];
        (0..count).map(|n| (n as f64, figure(n))).collect()
    }

    #[test]
    fn a_leak_without_noise_is_told_exactly() {
        for count in [FEWEST, 8, 20, 399, 400, 401, 5000] {
            let slope = Slope::of(&series(count, 64.0, 0, 0)).unwrap();
            assert_eq!((slope.slope, slope.low, slope.high), (-64.0, -64.0, -64.0), "{count}");
            assert_eq!(slope.surely_fell(), 64.0 * (count - 1) as f64);
            assert_eq!(slope.samples, count);
        }
        assert!(Slope::of(&series(7, 64.0, 0, 0)).unwrap().surely_fell() > ALLOWED);
    }

    #[test]
    fn noise_alone_raises_no_alarm() {
        for count in [7, 8, 10, 20, 100] {
            for seed in 0..100 {
                let slope = Slope::of(&series(count, 0.0, 200, seed)).unwrap();
                assert!(slope.surely_fell() <= ALLOWED, "{count} steps, seed {seed}: {slope:?}");
            }
        }
    }

    #[test]
    fn a_leak_is_found_in_noise() {
        for seed in 0..100 {
            for (count, leak) in [(20, 64.0), (100, 16.0)] {
                let slope = Slope::of(&series(count, leak, 200, seed)).unwrap();
                assert!(slope.surely_fell() > ALLOWED, "{count} steps, seed {seed}: {slope:?}");
                assert!(slope.low <= -leak * 0.7 && slope.high >= -leak * 1.3, "{slope:?}");
            }
        }
    }

    #[test]
    fn what_is_taken_once_is_no_leak() {
        // 2000 B, taken in the middle and kept.
        let mut samples = series(20, 0.0, 0, 0);
        samples[10..].iter_mut().for_each(|sample| sample.1 -= 2000.0);
        assert_eq!(Slope::of(&samples).unwrap().surely_fell(), 0.0);
    }

    #[test]
    fn too_few_samples_or_places_tell_nothing() {
        assert_eq!(Slope::of(&[]), None);
        assert_eq!(Slope::of(&series(FEWEST - 1, 64.0, 0, 0)), None);
        let one_place: Vec<_> = (0..20).map(|n| (3.0, 40_000.0 - f64::from(n))).collect();
        assert_eq!(Slope::of(&one_place), None);
        let two_places: Vec<_> = (0..20).map(|n| (f64::from(n / 10), 1.0)).collect();
        assert!(Slope::of(&two_places).is_some());
        let two_places: Vec<_> = (0..20).map(|n| (f64::from(n / 19), 1.0)).collect();
        assert_eq!(Slope::of(&two_places), None);
    }

    #[test]
    fn several_samples_at_a_place_are_taken_for_what_they_are() {
        // Five requests between two reconnects that lose 64 B.
        let samples: Vec<_> =
            (0..60).map(|n| (f64::from(n / 6), 40_000.0 - 64.0 * f64::from(n / 6))).collect();
        let slope = Slope::of(&samples).unwrap();
        assert_eq!((slope.slope, slope.low, slope.high), (-64.0, -64.0, -64.0));
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_slope_and_no_samples_make_it_panic(
            samples in proptest::collection::vec((0_u32..1000, 0_u32..80_000), 0..60)
        ) {
            let mut samples: Vec<_> =
                samples.into_iter().map(|(x, y)| (f64::from(x), f64::from(y))).collect();
            samples.sort_by(|a, b| a.0.total_cmp(&b.0));
            if let Some(slope) = Slope::of(&samples) {
                prop_assert!(slope.low <= slope.slope && slope.slope <= slope.high);
                // Upside down it rises as it fell.
                let turned: Vec<_> = samples.iter().map(|(x, y)| (*x, -y)).collect();
                let turned = Slope::of(&turned).unwrap();
                prop_assert!((turned.slope + slope.slope).abs() < 1e-6);
                prop_assert!((turned.low + slope.high).abs() < 1e-6);
            }
        }
    }
}
