//! What a run says of a promise, and what was expected.

mod check;
pub mod exit;
pub mod expectation;

pub use check::Check;

use std::fmt;

#[cfg(feature = "report")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The three answers. In the order of their weight when several are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "report", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The promise was exercised and kept.
    Holds,
    /// The run did not exercise the promise.
    Inconclusive,
    /// The promise was broken.
    Broken,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Holds => "holds",
            Self::Inconclusive => "inconclusive",
            Self::Broken => "broken",
        })
    }
}

/// What one check of one trial found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "report", derive(JsonSchema))]
pub struct Finding {
    /// The check's name within its scenario; expectations refer to it.
    pub check: String,
    /// The promise, as a sentence.
    pub promise: String,
    /// The answer.
    pub verdict: Verdict,
    /// What was seen, in one sentence.
    pub evidence: String,
    /// The state of every node, where the promise was broken or a wait ran out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state: String,
}

/// A number that was measured on the way. No verdict depends on one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "report", derive(JsonSchema))]
pub struct Measure {
    /// What was measured.
    pub name: String,
    /// How much of it.
    pub value: f64,
    /// In which unit: `s`, `ms`, `keys`, `bytes`, ...
    pub unit: String,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = if self.value.fract() == 0.0 { 0 } else { 2 };
        write!(f, "{} {:.decimals$} {}", self.name, self.value, self.unit)
    }
}

/// Everything one trial (one scenario, one variant, one cluster) gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "report", derive(JsonSchema))]
pub struct Outcome {
    /// The scenario's name.
    pub scenario: String,
    /// The variant's name; empty when there is only one.
    pub variant: String,
    /// In the order in which the checks were made.
    pub findings: Vec<Finding>,
    /// In the order in which they were taken.
    pub measures: Vec<Measure>,
    /// The numbers that matter most, on one line.
    pub headline: String,
    /// Wall-clock seconds, start and removal of the cluster included.
    pub seconds: f64,
    /// How often it was made until it said something: 1, unless runs were inconclusive. All is of
    /// the last.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub tries: u32,
    /// How many trials its cluster had served before, and was proven as good as new since.
    #[serde(default, skip_serializing_if = "is_none_before")]
    pub served_before: u32,
    /// Why the machine kept the trial from being made; then there is no verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

impl Outcome {
    /// `scenario`, or `scenario/variant`.
    pub fn id(&self) -> String {
        trial_id(&self.scenario, &self.variant)
    }

    /// Broken if any finding is; else inconclusive if any is, or if there is none at all.
    pub fn verdict(&self) -> Verdict {
        self.findings
            .iter()
            .map(|finding| finding.verdict)
            .max()
            .unwrap_or(Verdict::Inconclusive)
    }
}

fn once() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_once(tries: &u32) -> bool {
    *tries == 1
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_none_before(served: &u32) -> bool {
    *served == 0
}

/// `scenario`, or `scenario/variant`.
pub fn trial_id(scenario: &str, variant: &str) -> String {
    if variant.is_empty() {
        scenario.to_owned()
    } else {
        format!("{scenario}/{variant}")
    }
}

#[cfg(test)]
mod tests;
