//! What KeyDB's documentation promises of active replicas, which checks look at it, and what turns
//! them red: the table `fixtures/promises.toml`.
//!
//! A promise names checks of scenarios and properties of a history, and for these the quirks, the
//! rows of the relay that mutates, the sabotages and the defects that break them. Which releases have
//! a defect stands in `fixtures/expectations/` alone, and is read from there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

use crate::model::Quirk;
use crate::property::over_history;
use crate::scenario;
use crate::verdict::Check;
use crate::verdict::expectation::Expectations;

const TABLE: &str = include_str!("../../fixtures/promises.toml");

/// A promise of the documentation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// `P1` to `P66`.
    pub id: String,
    /// The file of KeyDB's documentation that makes it.
    pub source: String,
    /// What it promises, in the harness's words.
    pub says: String,
    /// How firmly.
    pub strength: Strength,
    /// Which document says otherwise, or why it cannot be tested.
    pub why: Option<String>,
    /// What of it the checks leave out.
    pub note: Option<String>,
    /// The checks of scenarios that look at it.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// The properties of a history that do, by name.
    #[serde(default)]
    pub properties: Vec<String>,
    /// Quirks of the model that turn one of these red, by name.
    #[serde(default)]
    pub quirks: Vec<String>,
    /// Rows of `tests/mutating_relay/` that turn one of the properties red.
    #[serde(default)]
    pub relay: Vec<String>,
    /// Rows of `tests/red.rs` that turn one of the checks red: the trial, and what is done to it.
    #[serde(default)]
    pub sabotages: Vec<String>,
    /// Known defects that turn one of these red, by id.
    #[serde(default)]
    pub defects: Vec<String>,
}

/// How firmly something is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strength {
    /// It must be so.
    Guarantee,
    /// It usually is, or it is advice.
    Hint,
    /// Another document says otherwise.
    Contradicted,
    /// No test could tell.
    NotTestable,
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Guarantee => "guarantee",
            Self::Hint => "hint",
            Self::Contradicted => "contradicted by another document",
            Self::NotTestable => "not testable",
        })
    }
}

impl Promise {
    /// All checks that look at it: those of scenarios, and for each property that of the scenario
    /// that records a history.
    pub fn looked_at_by(&self) -> Vec<Check> {
        let of_histories = self.properties.iter().map(|property| Check {
            scenario: scenario::SCHEDULED.to_owned(),
            variant: None,
            check: over_history::check_of(property).to_owned(),
        });
        self.checks.iter().cloned().chain(of_histories).collect()
    }

    /// Whether anything looks at it.
    pub fn is_covered(&self) -> bool {
        !self.checks.is_empty() || !self.properties.is_empty()
    }

    /// The quirks among [`Promise::quirks`] that exist.
    pub fn known_quirks(&self) -> impl Iterator<Item = Quirk> {
        self.quirks.iter().filter_map(|name| name.parse().ok())
    }

    /// The releases that are known to break one of its checks by one of its defects, and by which.
    pub fn broken_on<'a>(
        &self,
        expectations: &'a [Expectations],
    ) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
        let checks = self.looked_at_by();
        let mut broken: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for of_release in expectations {
            for deviation in &of_release.deviations {
                if self.defects.contains(&deviation.id)
                    && checks.iter().any(|check| check.is_broken_by(deviation))
                {
                    let ids = broken.entry(&of_release.version).or_default();
                    ids.insert(&deviation.id);
                }
            }
        }
        broken
    }

    /// Whether one of its checks is known to have been red because the promise was broken.
    pub fn was_seen_red(&self) -> bool {
        [&self.quirks, &self.relay, &self.sabotages, &self.defects]
            .iter()
            .any(|named| !named.is_empty())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    promise: Vec<Promise>,
}

/// Every promise, in the order of their ids.
///
/// # Errors
/// The table is no TOML, or has a row that is no promise.
pub fn all() -> Result<Vec<Promise>, toml::de::Error> {
    toml::from_str(TABLE).map(|File { promise }| promise)
}

/// How many promises there are of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// By strength.
    pub strengths: BTreeMap<Strength, usize>,
    /// Those that something looks at.
    pub covered: usize,
    /// Those that could be looked at, and are not.
    pub not_covered: usize,
    /// Those that a quirk of the model turns red.
    pub by_quirk: usize,
    /// Those that the relay that mutates turns red.
    pub by_relay: usize,
    /// Those that a sabotage turns red.
    pub by_sabotage: usize,
    /// Those that a release is known to break.
    pub by_release: usize,
    /// Those that something looks at, and that nothing turns red.
    pub never_red: usize,
}

impl Counts {
    /// Counts.
    pub fn of(promises: &[Promise], expectations: &[Expectations]) -> Self {
        let count =
            |wanted: &dyn Fn(&Promise) -> bool| promises.iter().filter(|it| wanted(it)).count();
        let mut strengths = BTreeMap::new();
        for promise in promises {
            *strengths.entry(promise.strength).or_default() += 1;
        }
        Self {
            strengths,
            covered: count(&|it| it.is_covered()),
            not_covered: count(&|it| !it.is_covered() && it.strength != Strength::NotTestable),
            by_quirk: count(&|it| !it.quirks.is_empty()),
            by_relay: count(&|it| !it.relay.is_empty()),
            by_sabotage: count(&|it| !it.sabotages.is_empty()),
            by_release: count(&|it| !it.broken_on(expectations).is_empty()),
            never_red: count(&|it| it.is_covered() && !it.was_seen_red()),
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.strengths.values().sum();
        let kinds: Vec<String> = self
            .strengths
            .iter()
            .map(|(strength, n)| format!("{strength} {n}"))
            .collect();
        write!(
            f,
            "{total} promises: {}\n{} covered by a check, {} not covered yet\nturned red: {} by a quirk of the model, \
             {} by the relay that mutates, {} by a sabotage, {} by a release; {} of the covered never",
            kinds.join(", "),
            self.covered,
            self.not_covered,
            self.by_quirk,
            self.by_relay,
            self.by_sabotage,
            self.by_release,
            self.never_red
        )
    }
}

#[cfg(test)]
pub(crate) mod tests;
