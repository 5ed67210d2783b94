//! Whether something breaks more often on one of two releases.

use serde::{Deserialize, Serialize};

/// How often a check broke, of how many times that it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// How often it was made.
    pub n: usize,
    /// How often it was broken.
    pub broken: usize,
}

impl Tally {
    /// One more.
    pub fn add(&mut self, broken: bool) {
        self.n += 1;
        self.broken += usize::from(broken);
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            n: self.n + other.n,
            broken: self.broken + other.broken,
        }
    }

    /// The part that was broken; 0 of nothing.
    pub fn part(self) -> f64 {
        match self.n {
            0 => 0.0,
            n => self.broken as f64 / n as f64,
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.broken, self.n)
    }
}

/// The chance that two tallies lie as far apart, or farther, if the same breaks equally often on both:
/// Fisher's exact test, two-sided.
pub fn chance(one: Tally, other: Tally) -> f64 {
    let (n, broken) = (one.n + other.n, one.broken + other.broken);
    let all = ln_choose(n, broken);
    let of = |k: usize| (ln_choose(one.n, k) + ln_choose(other.n, broken - k) - all).exp();
    let seen = of(one.broken);
    let least = broken.saturating_sub(other.n);
    (least..=broken.min(one.n))
        .map(of)
        // Sums of logarithms differ in their last digits.
        .filter(|chance| *chance <= seen * (1.0 + 1e-9))
        .sum::<f64>()
        .min(1.0)
}

fn ln_choose(n: usize, k: usize) -> f64 {
    let ln_factorial = |n: usize| (2..=n).map(|k| (k as f64).ln()).sum::<f64>();
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case((0, 10), (10, 10), 1.08e-5)]
    #[case((0, 5), (5, 5), 7.94e-3)]
    #[case((1, 10), (9, 10), 1.09e-3)]
    #[case((3, 10), (4, 10), 1.0)]
    #[case((0, 10), (0, 10), 1.0)]
    #[case((0, 0), (3, 3), 1.0)]
    // The tea of the book: 3 of 4 against 1 of 4.
    #[case((3, 4), (1, 4), 0.486)]
    fn chances_are_those_of_the_tables(
        #[case] one: (usize, usize),
        #[case] other: (usize, usize),
        #[case] wanted: f64,
    ) {
        let tally = |(broken, n)| Tally { n, broken };
        let seen = chance(tally(one), tally(other));
        assert!((seen - wanted).abs() < wanted * 0.01, "{seen}");
        let turned = chance(tally(other), tally(one));
        assert!((seen - turned).abs() < 1e-9, "{turned}");
    }
}
