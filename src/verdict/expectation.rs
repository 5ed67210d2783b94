//! What is expected of a KeyDB version, and how an outcome stands to it.
//!
//! One file per version in `fixtures/expectations/`, named after the version that the server
//! reports. A known deviation names the check it breaks: a trial that breaks another check as well
//! is a regression all the same.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Outcome, Verdict, trial_id};
use crate::settings::Expect;

/// The expectations the harness ships, by version.
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
        "6.3.0",
        include_str!("../../fixtures/expectations/6.3.0.toml"),
    ),
    (
        "6.2.2",
        include_str!("../../fixtures/expectations/6.2.2.toml"),
    ),
    (
        "6.3.4",
        include_str!("../../fixtures/expectations/6.3.4.toml"),
    ),
];

/// What is expected of one version.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// The version, as `redis_version` in INFO has it.
    pub version: String,
    /// Trials that were seen to keep every promise (or all but the deviations below):
    /// `scenario` or `scenario/variant`.
    #[serde(default)]
    pub holds: Vec<String>,
    /// What is known to break.
    #[serde(default, rename = "deviation")]
    pub deviations: Vec<Deviation>,
}

/// A promise that this version is known to break, or does not make.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// The scenario that shows it.
    pub scenario: String,
    /// The variants that show it; all if empty.
    #[serde(default)]
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
    #[serde(default)]
    pub measured: BTreeMap<String, f64>,
}

impl Deviation {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// KeyDB promises otherwise.
    Broken,
    /// A limit by design.
    Limitation,
}

/// How often a deviation shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Frequency {
    /// Every time: when it does not, it is fixed.
    Always,
    /// A race: neither showing nor not showing is news.
    Sometimes,
}

/// How an outcome stands to what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

    fn from_file(file: &Path) -> Result<Self, ExpectationError> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|error| ExpectationError {
            file: name.clone(),
            cause: error.to_string(),
        })?;
        Self::parse(&name, &text)
    }

    fn parse(name: &str, text: &str) -> Result<Self, ExpectationError> {
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
        self.deviations.iter().filter(move |deviation| {
            deviation.scenario == outcome.scenario
                && (deviation.variants.is_empty() || deviation.variants.contains(&outcome.variant))
                && deviation.shows_in(outcome)
        })
    }

    fn expects_to_hold(&self, outcome: &Outcome) -> bool {
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

/// Whether a check was made. A log rule has a finding only where it matched; that the logs were
/// read shows by `logs`, or by another rule.
fn was_made(outcome: &Outcome, check: &str) -> bool {
    outcome.findings.iter().any(|finding| {
        let other = finding.check.as_str();
        other == check
            || (check.starts_with("log:") && (other == "logs" || other.starts_with("log:")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Measure;
    use crate::verdict::tests::outcome;
    use rstest::rstest;

    fn expectations(frequency: &str) -> Expectations {
        let text = format!(
            "version = \"1.2.3\"\nholds = [\"s\"]\n[[deviation]]\nscenario = \"s\"\nvariants = [\"v\"]\ncheck = \"check0\"\nid = \"F0\"\nkind = \"broken\"\nfrequency = \"{frequency}\"\nreason = \"because\"\n"
        );
        Expectations::parse("test", &text).expect("parses")
    }

    use Verdict::{Broken, Holds, Inconclusive};

    #[rstest]
    #[case::known_breaks(&[Broken, Holds], "always", Standing::Known)]
    #[case::known_race_breaks(&[Broken, Holds], "sometimes", Standing::Known)]
    #[case::known_is_gone(&[Holds, Holds], "always", Standing::Fixed)]
    #[case::known_race_does_not_show(&[Holds, Holds], "sometimes", Standing::AsExpected)]
    #[case::another_check_breaks(&[Holds, Broken], "sometimes", Standing::Regression)]
    #[case::another_check_breaks_too(&[Broken, Broken], "always", Standing::Regression)]
    #[case::unclear(&[Holds, Inconclusive], "sometimes", Standing::Inconclusive)]
    #[case::broken_outweighs_unclear(&[Inconclusive, Broken], "always", Standing::Regression)]
    #[case::nothing_was_checked(&[], "sometimes", Standing::Inconclusive)]
    fn standing(#[case] findings: &[Verdict], #[case] frequency: &str, #[case] wanted: Standing) {
        let expectations = expectations(frequency);
        assert_eq!(judge(&outcome(findings), Some(&expectations)), wanted);
    }

    #[test]
    fn a_deviation_excuses_its_own_variant_only() {
        let mut other = outcome(&[Broken]);
        other.variant = "w".to_owned();
        assert_eq!(
            judge(&other, Some(&expectations("always"))),
            Standing::Regression
        );
    }

    #[test]
    fn a_log_rule_that_no_longer_matches_is_fixed() {
        let mut expectations = expectations("always");
        expectations.deviations[0].check = "log:a-rule".to_owned();
        let mut outcome = outcome(&[Holds]);
        outcome.findings[0].check = "logs".to_owned();
        assert_eq!(judge(&outcome, Some(&expectations)), Standing::Fixed);
    }

    #[test]
    fn every_file_of_the_folder_is_shipped() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/expectations");
        let mut files: Vec<String> = fs::read_dir(folder)
            .expect("folder")
            .map(|entry| entry.expect("entry").path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "toml")
            })
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .collect();
        let mut shipped: Vec<&str> = SHIPPED.iter().map(|(version, _)| *version).collect();
        files.sort();
        shipped.sort_unstable();
        assert_eq!(files, shipped);
    }

    #[test]
    fn a_break_without_the_deviations_signature_is_a_regression() {
        let mut expectations = expectations("sometimes");
        expectations.deviations[0]
            .measured
            .insert("full resyncs".to_owned(), 1.0);
        let mut outcome = outcome(&[Broken]);
        assert_eq!(judge(&outcome, Some(&expectations)), Standing::Regression);
        let measure = |value| Measure {
            name: "full resyncs".to_owned(),
            value,
            unit: "resyncs".to_owned(),
        };
        outcome.measures.push(measure(2.0));
        assert_eq!(judge(&outcome, Some(&expectations)), Standing::Regression);
        outcome.measures.push(measure(1.0));
        assert_eq!(judge(&outcome, Some(&expectations)), Standing::Known);
    }

    #[test]
    fn a_break_that_nothing_is_known_of_is_new() {
        let mut unknown = outcome(&[Broken]);
        unknown.scenario = "t".to_owned();
        assert_eq!(
            judge(&unknown, Some(&expectations("always"))),
            Standing::New
        );
        assert_eq!(judge(&unknown, None), Standing::New);
    }

    #[test]
    fn every_shipped_file_parses_and_names_what_exists() {
        let scenarios = crate::scenario::all();
        for (version, text) in SHIPPED {
            let file = Expectations::parse(version, text).expect(version);
            assert_eq!(&file.version, version);
            let known = |id: &str| {
                scenarios.iter().any(|scenario| {
                    scenario.name == id
                        || scenario
                            .variants
                            .iter()
                            .any(|v| trial_id(scenario.name, v) == id)
                })
            };
            for id in &file.holds {
                assert!(known(id), "{version}: no trial is called {id}");
            }
            for deviation in &file.deviations {
                let variants = &deviation.variants;
                assert!(
                    known(&deviation.scenario),
                    "{version}: {}",
                    deviation.scenario
                );
                for variant in variants {
                    let id = trial_id(&deviation.scenario, variant);
                    assert!(known(&id), "{version}: no trial is called {id}");
                }
            }
        }
    }
}
