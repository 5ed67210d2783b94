//! The name of a check, as tables refer to it.

use std::fmt;

use serde::Deserialize;

use super::expectation::Deviation;
use super::trial_id;

/// A check of a scenario, or of one of its variants: `scenario: check`, `scenario/variant: check`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Check {
    /// The scenario's name.
    pub scenario: String,
    /// One variant; all of them if there is none.
    pub variant: Option<String>,
    /// The check's name.
    pub check: String,
}

impl TryFrom<String> for Check {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (trial, check) = text
            .split_once(": ")
            .ok_or_else(|| format!("'{text}' is no `scenario: check`"))?;
        let (scenario, variant) = match trial.split_once('/') {
            Some((scenario, variant)) => (scenario, Some(variant.to_owned())),
            None => (trial, None),
        };
        Ok(Self {
            scenario: scenario.to_owned(),
            variant,
            check: check.to_owned(),
        })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trial = trial_id(&self.scenario, self.variant.as_deref().unwrap_or_default());
        write!(f, "{trial}: {}", self.check)
    }
}

impl Check {
    /// Whether it is this one, or has it among its variants.
    pub fn includes(&self, other: &Self) -> bool {
        self.scenario == other.scenario
            && self.check == other.check
            && (self.variant.is_none() || self.variant == other.variant)
    }

    /// Whether a deviation breaks it.
    pub(crate) fn is_broken_by(&self, deviation: &Deviation) -> bool {
        let here = |variant: &String| {
            deviation.variants.is_empty() || deviation.variants.contains(variant)
        };
        self.scenario == deviation.scenario
            && self.check == deviation.check
            && self.variant.as_ref().is_none_or(here)
    }
}
