//! Whether two releases differ in something that was measured in the same rounds, and by how much.
//!
//! Each round gives one figure of either release, taken one after the other, so that what slows the
//! machine down hits both. The figures of a round make a pair; what is judged is the ratio within
//! pairs. A release counts as different only if
//! 1. the signs of the logarithms of the ratios could be flipped at random, and hardly ever give a mean
//!    that is as far from none (an exact permutation test, so that no distribution is assumed), and
//! 2. the bootstrap interval of the mean ratio lies wholly beyond the smallest effect that matters.
//!
//! The error of a whole report is [`FAMILY_WISE`]: it is shared among the measurements (Bonferroni).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The chance that a report on two equal releases calls any measurement different.
pub const FAMILY_WISE: f64 = 0.01;
/// Samples of the bootstrap.
const RESAMPLES: usize = 10_000;
/// Up to so many pairs all flips of signs are tried; with more, so many drawn ones.
const EXACT: usize = 14;

/// What two releases showed of one measurement, in rounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs<'a> {
    /// A figure of the old release and of the new one for each round, above 0.
    pub rounds: &'a [(f64, f64)],
    /// The smallest change of the ratio that matters: 0.25 is a quarter more, or that much less.
    pub matters: f64,
    /// And the smallest difference of the medians, in the unit of the figures: what is below no user
    /// notices, whatever the ratio.
    pub noticed: f64,
}

/// How the new release stands to the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// No difference that matters was seen.
    None,
    /// The figures of the new release are greater.
    Greater,
    /// They are smaller.
    Smaller,
    /// There are too few rounds for any difference to be told.
    Unknown,
}

/// The comparison of one measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Rounds.
    pub n: usize,
    /// Median of the old release's figures.
    pub from: f64,
    /// Of the new one's.
    pub to: f64,
    /// Mean ratio within rounds, new to old (geometric).
    pub ratio: f64,
    /// Its bootstrap interval, at the level that is shared among the measurements.
    pub interval: (f64, f64),
    /// The chance of such a ratio, or a farther one, between equal releases.
    pub p: f64,
    /// The smallest change, as a part of the old figure, that these rounds could have told.
    pub resolution: f64,
    /// What follows.
    pub difference: Difference,
}

impl Pairs<'_> {
    /// Compares, as one of `measurements` of a report.
    pub fn compare(&self, measurements: usize, seed: u64) -> Comparison {
        let level = FAMILY_WISE / measurements.max(1) as f64;
        let logs: Vec<f64> = self
            .rounds
            .iter()
            .map(|(from, to)| (to / from).ln())
            .collect();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let p = flipped(&logs, &mut rng);
        let (low, high) = interval(&logs, level, &mut rng);
        let [from, to] = [
            median(self.rounds.iter().map(|(from, _)| *from)),
            median(self.rounds.iter().map(|(_, to)| *to)),
        ];
        let beyond = self.matters.ln_1p();
        let noticed = (to - from).abs() >= self.noticed;
        let difference = if smallest_p(logs.len()) > level {
            Difference::Unknown
        } else if p > level || !noticed {
            Difference::None
        } else if low > beyond {
            Difference::Greater
        } else if high < -beyond {
            Difference::Smaller
        } else {
            Difference::None
        };
        Comparison {
            n: logs.len(),
            from,
            to,
            ratio: mean(&logs).exp(),
            interval: (low.exp(), high.exp()),
            p,
            resolution: ((high - low) / 2.0 + beyond).exp_m1(),
            difference,
        }
    }
}

/// The smallest chance that so many pairs can show.
fn smallest_p(n: usize) -> f64 {
    2.0 / (n.min(60) as f64).exp2()
}

/// How often a mean is as far from 0 as the one seen when each sign is drawn.
fn flipped(logs: &[f64], rng: &mut ChaCha8Rng) -> f64 {
    if logs.is_empty() {
        return 1.0;
    }
    let seen = logs.iter().sum::<f64>().abs();
    // Sums of the same numbers in another order may differ in their last digit.
    let as_far = |sum: f64| sum.abs() >= seen * (1.0 - 1e-9);
    if logs.len() <= EXACT {
        let flips = 1_u32 << logs.len();
        let far = (0..flips).filter(|signs| {
            let signed = logs.iter().enumerate();
            as_far(
                signed
                    .map(|(at, log)| signed_by(signs >> at & 1 == 1, *log))
                    .sum(),
            )
        });
        return far.count() as f64 / f64::from(flips);
    }
    let draws = 1_u32 << EXACT;
    let far = (0..draws)
        .filter(|_| as_far(logs.iter().map(|log| signed_by(rng.random(), *log)).sum()))
        .count();
    // What was seen is one of the flips.
    (far as f64 + 1.0) / (f64::from(draws) + 1.0)
}

fn signed_by(minus: bool, value: f64) -> f64 {
    if minus { -value } else { value }
}

/// The percentile interval of the mean.
fn interval(logs: &[f64], level: f64, rng: &mut ChaCha8Rng) -> (f64, f64) {
    if logs.is_empty() {
        return (f64::NEG_INFINITY, f64::INFINITY);
    }
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = (0..logs.len()).map(|_| logs[rng.random_range(0..logs.len())]);
            drawn.sum::<f64>() / logs.len() as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let cut = ((level / 2.0 * RESAMPLES as f64) as usize).min(RESAMPLES - 1);
    (means[cut], means[RESAMPLES - 1 - cut])
}

fn mean(values: &[f64]) -> f64 {
    match values.len() {
        0 => 0.0,
        n => values.iter().sum::<f64>() / n as f64,
    }
}

/// The median; 0 of nothing.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// Figures with noise that hits both of a round alike, and noise of each.
    fn rounds(n: usize, ratio: f64, seed: u64) -> Vec<(f64, f64)> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut noise = |wide: f64| 1.0 + wide * (rng.random::<f64>() - 0.5);
        (0..n)
            .map(|_| {
                let load = 10.0 * noise(1.6);
                (load * noise(0.3), load * noise(0.3) * ratio)
            })
            .collect()
    }

    fn compare(rounds: &[(f64, f64)]) -> Comparison {
        let pairs = Pairs {
            rounds,
            matters: 0.1,
            noticed: 0.0,
        };
        pairs.compare(8, 7)
    }

    #[rstest]
    #[case(1.0, Difference::None)]
    #[case(1.05, Difference::None)]
    #[case(1.6, Difference::Greater)]
    #[case(0.6, Difference::Smaller)]
    fn a_difference_is_told_when_it_matters(#[case] ratio: f64, #[case] wanted: Difference) {
        for seed in 0..20 {
            let seen = compare(&rounds(12, ratio, seed));
            assert_eq!(seen.difference, wanted, "{seen:?}");
        }
    }

    #[test]
    fn equal_releases_are_called_different_less_often_than_stated() {
        let told = (0..200).filter(|seed| {
            let pairs = rounds(12, 1.0, 1000 + seed);
            let pairs = Pairs {
                rounds: &pairs,
                matters: 0.0,
                noticed: 0.0,
            };
            pairs.compare(1, *seed).difference != Difference::None
        });
        // Two are to be expected.
        assert!(told.count() <= 8);
    }

    #[test]
    fn too_few_rounds_tell_nothing() {
        let seen = compare(&rounds(6, 5.0, 1));
        assert_eq!(seen.difference, Difference::Unknown);
        assert_eq!(compare(&[]).difference, Difference::Unknown);
    }

    #[test]
    fn what_nobody_notices_is_no_difference() {
        let rounds = rounds(12, 1.6, 3);
        let seen = Pairs {
            rounds: &rounds,
            matters: 0.1,
            noticed: 50.0,
        };
        assert_eq!(seen.compare(8, 7).difference, Difference::None);
    }

    #[test]
    fn the_ratio_and_what_could_have_been_seen_are_told() {
        let seen = compare(&rounds(12, 1.6, 5));
        assert!((1.4..1.8).contains(&seen.ratio), "{seen:?}");
        assert!(seen.interval.0 < seen.ratio && seen.ratio < seen.interval.1);
        assert!(seen.resolution > 0.1 && seen.resolution < 0.6, "{seen:?}");
    }

    #[test]
    fn many_rounds_are_drawn_and_not_gone_through() {
        assert_eq!(compare(&rounds(30, 1.6, 9)).difference, Difference::Greater);
        assert_eq!(compare(&rounds(30, 1.0, 9)).difference, Difference::None);
    }
}
