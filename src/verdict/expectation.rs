//! What is expected of a KeyDB version, and how an outcome stands to it.
//!
//! One file per version in `fixtures/expectations/`, named after the version that the server
//! reports. A known deviation names the check it breaks: a trial that breaks another check as well
//! is a regression all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

#[cfg(feature = "report")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Outcome, Verdict, trial_id};
use crate::input;
use crate::settings::Expect;

/// The expectations the harness ships, by version, the oldest first.
const SHIPPED: &[(&str, &str)] = &[
    (
        "5.3.3",
        include_str!("../../fixtures/expectations/5.3.3.toml"),
    ),
    (
        "6.0.18",
        include_str!("../../fixtures/expectations/6.0.18.toml"),
    ),
    (
        "6.2.2",
        include_str!("../../fixtures/expectations/6.2.2.toml"),
    ),
    (
        "6.3.0",
        include_str!("../../fixtures/expectations/6.3.0.toml"),
    ),
    (
        "6.3.4",
        include_str!("../../fixtures/expectations/6.3.4.toml"),
    ),
];

/// What is expected of one version.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// The version, as `redis_version` in INFO has it.
    pub version: String,
    /// SHA-256 of the binaries that were run, in a file that was frozen from runs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub binaries: BTreeSet<String>,
    /// Trials that were seen to keep every promise (or all but the deviations below):
    /// `scenario` or `scenario/variant`.
    #[serde(default)]
    pub holds: Vec<String>,
    /// What is known to break.
    #[serde(default, rename = "deviation", skip_serializing_if = "Vec::is_empty")]
    pub deviations: Vec<Deviation>,
    /// How often each trial was made, in a file that was frozen from runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub trials: BTreeMap<String, usize>,
}

/// A promise that this version is known to break, or does not make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// The scenario that shows it.
    pub scenario: String,
    /// The variants that show it; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<String>,
    /// The check that breaks.
    pub check: String,
    /// An id people can look up, for example `F4`.
    pub id: String,
    /// Whether a promise is broken or was never made.
    pub kind: Kind,
    /// Whether it shows every time.
    pub frequency: Frequency,
    /// One sentence for the report.
    pub reason: String,
    /// The deviation's signature: numbers that the trial must have measured, by name. Without them
    /// the break is not this one, and a regression.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measured: BTreeMap<String, f64>,
    /// How often it was seen, in a file that was frozen from runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
}

/// How often a check was made, and broken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// In so many trials.
    pub broken: usize,
    /// Of so many.
    pub n: usize,
}

impl Deviation {
    /// Whether it is about an outcome's trial.
    pub fn is_of(&self, outcome: &Outcome) -> bool {
        self.is_about(&outcome.scenario, &outcome.variant)
    }

    /// Whether it is about a variant of a scenario.
    pub fn is_about(&self, scenario: &str, variant: &str) -> bool {
        self.scenario == scenario
            && (self.variants.is_empty() || self.variants.iter().any(|it| it == variant))
    }

    /// Whether the outcome bears the deviation's signature.
    fn shows_in(&self, outcome: &Outcome) -> bool {
        self.measured.iter().all(|(name, value)| {
            outcome
                .measures
                .iter()
                .any(|measure| measure.name == *name && measure.value == *value)
        })
    }
}

/// Broken promise, or limit by design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// KeyDB promises otherwise.
    Broken,
    /// A limit by design.
    Limitation,
}

/// How often a deviation shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Frequency {
    /// Every time: when it does not, it is fixed.
    Always,
    /// A race: neither showing nor not showing is news.
    Sometimes,
}

/// How an outcome stands to what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "report", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Holds, and nothing else was expected.
    AsExpected,
    /// Breaks as it is known to.
    Known,
    /// A known deviation no longer shows.
    Fixed,
    /// Breaks although it is expected to hold.
    Regression,
    /// Breaks, and nothing is known of it for this version.
    New,
    /// Says nothing.
    Inconclusive,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AsExpected => "as expected",
            Self::Known => "known deviation",
            Self::Fixed => "fixed",
            Self::Regression => "regression",
            Self::New => "new",
            Self::Inconclusive => "inconclusive",
        })
    }
}

/// An expectation file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("expectations {file}: {cause}")]
pub struct ExpectationError {
    file: String,
    cause: String,
}

impl Expectations {
    /// The expectations for a version: the shipped ones, a file's, or none.
    ///
    /// # Errors
    /// The file cannot be read or does not parse.
    pub fn load(expect: &Expect, version: &str) -> Result<Option<Self>, ExpectationError> {
        match expect {
            Expect::None => Ok(None),
            Expect::File(file) => Self::from_file(file).map(Some),
            Expect::Shipped => SHIPPED
                .iter()
                .find(|(shipped, _)| *shipped == version)
                .map(|(name, text)| Self::parse(&format!("{name}.toml"), text))
                .transpose(),
        }
    }

    /// All that the harness ships, the oldest release first.
    ///
    /// # Errors
    /// One does not parse: it was edited by hand.
    pub fn shipped() -> Result<Vec<Self>, ExpectationError> {
        SHIPPED
            .iter()
            .map(|(name, text)| Self::parse(&format!("{name}.toml"), text))
            .collect()
    }

    /// A file's.
    ///
    /// # Errors
    /// It cannot be read or does not parse.
    pub fn from_file(file: &Path) -> Result<Self, ExpectationError> {
        let name = file.display().to_string();
        let text = input::file(file, input::TEXT).map_err(|error| ExpectationError {
            file: name.clone(),
            cause: error.to_string(),
        })?;
        Self::parse(&name, &text)
    }

    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, ExpectationError> {
        toml::from_str(text).map_err(|error| ExpectationError {
            file: name.to_owned(),
            cause: error.to_string().trim_end().to_owned(),
        })
    }

    /// The deviations that are known for an outcome's trial and whose signature it bears.
    pub fn deviations_of<'a>(
        &'a self,
        outcome: &'a Outcome,
    ) -> impl Iterator<Item = &'a Deviation> {
        self.deviations
            .iter()
            .filter(move |deviation| deviation.is_of(outcome) && deviation.shows_in(outcome))
    }

    /// Whether a trial is known to keep its promises, but for the deviations.
    pub fn expects_to_hold(&self, outcome: &Outcome) -> bool {
        let id = trial_id(&outcome.scenario, &outcome.variant);
        self.holds
            .iter()
            .any(|known| *known == outcome.scenario || *known == id)
    }
}

/// How an outcome stands to the expectations. Without any, promises alone count.
pub fn judge(outcome: &Outcome, expectations: Option<&Expectations>) -> Standing {
    let Some(expectations) = expectations else {
        return match outcome.verdict() {
            Verdict::Holds => Standing::AsExpected,
            Verdict::Broken => Standing::New,
            Verdict::Inconclusive => Standing::Inconclusive,
        };
    };
    let known: Vec<&Deviation> = expectations.deviations_of(outcome).collect();
    let is_known = |check: &str| known.iter().any(|deviation| deviation.check == check);
    let mut broken = outcome
        .findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Broken)
        .peekable();
    let anything_broken = broken.peek().is_some();
    if broken.any(|finding| !is_known(&finding.check)) {
        return if expectations.expects_to_hold(outcome) || !known.is_empty() {
            Standing::Regression
        } else {
            Standing::New
        };
    }
    let inconclusive = outcome.findings.is_empty()
        || outcome
            .findings
            .iter()
            .any(|finding| finding.verdict == Verdict::Inconclusive);
    if inconclusive {
        return Standing::Inconclusive;
    }
    let gone = known.iter().any(|deviation| {
        deviation.frequency == Frequency::Always
            && was_made(outcome, &deviation.check)
            && !outcome.findings.iter().any(|finding| {
                finding.check == deviation.check && finding.verdict == Verdict::Broken
            })
    });
    match (gone, anything_broken) {
        (true, _) => Standing::Fixed,
        (false, true) => Standing::Known,
        (false, false) => Standing::AsExpected,
    }
}

/// The broken checks of an outcome that are known as limits by design: nothing that was promised
/// broke.
pub fn limitations(outcome: &Outcome, expectations: Option<&Expectations>) -> Vec<String> {
    let Some(expectations) = expectations else {
        return Vec::new();
    };
    let broken = outcome.findings.iter();
    let broken = broken.filter(|finding| finding.verdict == Verdict::Broken);
    let limits = broken.filter(|finding| {
        expectations
            .deviations_of(outcome)
            .any(|deviation| deviation.check == finding.check && deviation.kind == Kind::Limitation)
    });
    limits.map(|finding| finding.check.clone()).collect()
}

/// Whether a check was made. A log rule has a finding only where it matched; that the logs were
/// read shows by `logs`, or by another rule.
pub(crate) fn was_made(outcome: &Outcome, check: &str) -> bool {
    outcome.findings.iter().any(|finding| {
        let other = finding.check.as_str();
        other == check
            || (check.starts_with("log:") && (other == "logs" || other.starts_with("log:")))
    })
}

#[cfg(test)]
mod tests;
