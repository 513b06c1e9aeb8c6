//! What was measured several times over, and how it is written.

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// 10^6 bytes a second, the unit of the reader's aim.
    MegabytesASecond,
    /// Bytes, written in 10^6 of them.
    Megabytes,
    /// A part of something.
    Share,
    /// So many times something.
    Times,
    /// So many in a minute.
    AMinute,
}

impl Unit {
    /// A figure with its unit, three digits of it.
    pub fn text(self, figure: f64) -> String {
        match self {
            Unit::Seconds if figure.abs() < 0.0995 => format!("{} ms", digits(figure * 1e3)),
            Unit::Seconds => format!("{} s", digits(figure)),
            Unit::MegabytesASecond => format!("{} MB/s", digits(figure)),
            Unit::Megabytes => format!("{} MB", digits(figure / 1e6)),
            Unit::Share => format!("{figure:.3}"),
            Unit::Times => format!("x {}", digits(figure)),
            Unit::AMinute => format!("{} a minute", digits(figure)),
        }
    }
}

fn digits(figure: f64) -> String {
    match figure.abs() {
        f if f >= 99.95 => format!("{figure:.0}"),
        f if f >= 9.995 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

/// The figures of several runs, in rising order.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// The one in the middle; of an even number the mean of the two there. NaN of none.
    pub fn median(&self) -> f64 {
        let (low, high) = (self.0.len().saturating_sub(1) / 2, self.0.len() / 2);
        match (self.0.get(low), self.0.get(high)) {
            (Some(low), Some(high)) => (low + high) / 2.0,
            _ => f64::NAN,
        }
    }

    /// `min .. max`, in `unit`.
    pub fn range(&self, unit: Unit) -> String {
        match (self.0.first(), self.0.last()) {
            (Some(min), Some(max)) => format!("{} .. {}", unit.text(*min), unit.text(*max)),
            _ => String::new(),
        }
    }

    /// How many there are.
    pub fn runs(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Figures {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        Figures(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let of = |figures: &[f64]| figures.iter().copied().collect::<Figures>().median();
        assert_eq!(of(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(of(&[]).is_nan());
    }

    #[test]
    fn figures_are_written_with_three_digits() {
        assert_eq!(Unit::Seconds.text(0.0123), "12.3 ms");
        assert_eq!(Unit::Seconds.text(0.0999), "0.10 s");
        assert_eq!(Unit::MegabytesASecond.text(123.4), "123 MB/s");
        assert_eq!(Unit::Share.text(0.0456), "0.046");
    }
}
