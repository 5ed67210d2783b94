//! What a property says of a case, and how much that is worth.

use std::collections::BTreeSet;
use std::fmt;

use super::breach::Breaches;
use super::input::Case;
use super::trace;
use crate::history::{Moment, Phase, Subject};
use crate::verdict::{Finding, Measure, Verdict};

/// How much a green is worth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Power {
    /// How many were judged.
    pub n: usize,
    /// The faults that were seen to bite, each once.
    pub faults: Vec<String>,
    /// From the first operation's invocation to the last one's completion.
    pub window: (Moment, Moment),
}

impl Power {
    /// The smallest share of broken ones that it would have seen: one in `n`.
    pub fn smallest_seen(&self) -> Option<f64> {
        (self.n > 0).then(|| 1.0 / self.n as f64)
    }

    /// With a confidence of 95 % the true share is below this: the rule of three.
    pub fn bound(&self) -> Option<f64> {
        (self.n > 0).then(|| (3.0 / self.n as f64).min(1.0))
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = self.window;
        write!(f, "n {} from {from} to {to}, ", self.n)?;
        match &self.faults[..] {
            [] => write!(f, "no fault bit")?,
            faults => write!(f, "{} faults bit ({})", faults.len(), faults.join(", "))?,
        }
        if let (Some(seen), Some(bound)) = (self.smallest_seen(), self.bound()) {
            let (seen, bound) = (Percent(seen), Percent(bound));
            write!(f, ", would have seen {seen}, below {bound} with 95 %")?;
        }
        Ok(())
    }
}

struct Percent(f64);

impl fmt::Display for Percent {
    /// With two significant digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        let decimals = (1.0 - percent.log10().floor()).clamp(0.0, 9.0) as usize;
        write!(f, "{percent:.decimals$} %")
    }
}

/// The answer of one property.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Its name, promise, verdict and evidence. Where it is broken `state` follows the smallest
    /// explanation's keys through the history.
    pub finding: Finding,
    /// What the smallest explanations are about, as positions among the operations of the history:
    /// the write that is missed or wrong, or else all that was done to the key.
    pub operations: Vec<u32>,
    /// What a green is worth.
    pub power: Power,
    /// Numbers besides.
    pub measures: Vec<Measure>,
}

/// What a property gathered.
pub(super) struct Gathered<'t> {
    pub check: &'t str,
    pub promise: &'t str,
    /// What was judged, in the plural: `keys`.
    pub what: &'t str,
    pub n: usize,
    pub breaches: Breaches,
    /// Said besides, whatever the verdict.
    pub note: String,
    pub measures: Vec<Measure>,
}

impl Gathered<'_> {
    /// Broken if anything breaks it; unknown if nothing was judged or a fault did not bite.
    pub fn concluded(self, case: &Case<'_>) -> Judgement {
        let (bit, toothless) = faults(case);
        let power = Power {
            n: self.n,
            faults: bit,
            window: case.index.window,
        };
        let note = match self.note.is_empty() {
            true => String::new(),
            false => format!("; {}", self.note),
        };
        let (n, what) = (self.n, self.what);
        let mut state = String::new();
        let mut operations = BTreeSet::new();
        let (verdict, evidence) = if self.breaches.count > 0 {
            let smallest = self.breaches.smallest();
            let texts: Vec<&str> = smallest.iter().map(|breach| &*breach.text).collect();
            let traced = smallest
                .iter()
                .find_map(|breach| Some((breach.slot?, breach.write)));
            state = traced.map_or_else(String::new, |(slot, write)| {
                trace::of_slot(case, slot, write)
            });
            for breach in smallest {
                match (breach.write, breach.slot) {
                    (Some(write), _) => operations.extend([write]),
                    (None, Some(slot)) => operations.extend(case.index.operations(slot)),
                    (None, None) => {}
                }
            }
            let count = self.breaches.count;
            let texts = texts.join("; ");
            (
                Verdict::Broken,
                format!("{count} of {n} {what}: {texts}{note}"),
            )
        } else if n == 0 {
            (
                Verdict::Inconclusive,
                format!("there were no {what} to judge{note}"),
            )
        } else if !toothless.is_empty() {
            let faults = toothless.join(", ");
            let why = format!("nothing is wrong with {n} {what}, but did not bite: {faults}");
            (Verdict::Inconclusive, format!("{why}{note}"))
        } else {
            (
                Verdict::Holds,
                format!("0 of {n} {what} are wrong{note} ({power})"),
            )
        };
        Judgement {
            finding: Finding {
                check: self.check.to_owned(),
                promise: self.promise.to_owned(),
                verdict,
                evidence,
                state,
            },
            operations: operations.into_iter().collect(),
            power,
            measures: self.measures,
        }
    }
}

/// The faults that bit, and those that did not.
fn faults(case: &Case<'_>) -> (Vec<String>, Vec<String>) {
    let history = case.input.history;
    let of = |wanted: Phase| {
        let named = history
            .events
            .iter()
            .filter_map(|event| match &event.subject {
                Subject::Fault { fault, phase, .. } if *phase == wanted => Some(*fault),
                _ => None,
            });
        let each: BTreeSet<_> = named.collect();
        each.into_iter()
            .map(|fault| history.names.text(fault).to_owned())
            .collect()
    };
    (of(Phase::Bites), of(Phase::Toothless))
}

/// A share of sorted values: 0.5 is the median; none of none.
pub(super) fn quantile(sorted: &[u64], share: f64) -> Option<u64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * share).round() as usize).copied()
}

/// Median, 99th percentile and maximum of times in nanoseconds, as measures in milliseconds.
pub(super) fn times(name: &str, mut nanoseconds: Vec<u64>) -> Vec<Measure> {
    nanoseconds.sort_unstable();
    [("p50", 0.5), ("p99", 0.99), ("max", 1.0)]
        .into_iter()
        .filter_map(|(which, share)| {
            let value = quantile(&nanoseconds, share)? as f64 / 1e6;
            Some(measure(&format!("{name}-{which}"), value, "ms"))
        })
        .collect()
}

pub(super) fn measure(name: &str, value: f64, unit: &str) -> Measure {
    Measure {
        name: name.to_owned(),
        value,
        unit: unit.to_owned(),
    }
}
