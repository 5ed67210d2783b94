//! `results.json`: everything a run found, with what exactly it ran against.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::folder::RESULTS;
use super::frequency::Frequency;
use crate::lab::Identity;
use crate::verdict::expectation::{Expectations, Standing, judge, limitations};
use crate::verdict::{Outcome, Verdict, exit};

/// The version of this format; it grows when a reader of the older one could be misled.
pub const FORMAT: u32 = 1;

/// A whole run.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Results {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// The harness's own version.
    pub harness: String,
    /// When the run ended, RFC 3339.
    pub date: String,
    /// What it ran against, by the servers' own words.
    pub identity: Identity,
    /// The seed.
    pub seed: u64,
    /// The version whose expectations it was judged by; none if by promises alone.
    pub expectations: Option<String>,
    /// How many trials were made.
    pub n: usize,
    /// Wall-clock seconds of the whole run.
    pub seconds: f64,
    /// The exit code.
    pub exit_code: u8,
    /// Trials that need a command which the servers lack, and the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unavailable: BTreeMap<String, String>,
    /// How often what was seen, by trial, where trials were made several times.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub frequencies: BTreeMap<String, Frequency>,
    /// In the order of the plan.
    pub trials: Vec<Judged>,
}

/// A trial with its verdict and how it stands to what was expected.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Judged {
    /// `scenario`, or `scenario/variant`.
    pub id: String,
    /// The worst finding's verdict.
    pub verdict: Verdict,
    /// How that stands to what was expected.
    pub standing: Standing,
    /// The broken checks that are limits by design, not broken promises.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limitations: Vec<String>,
    /// Everything that was found.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The JSON schema of [`Results`], published as `fixtures/schemas/results-1.json`: the name has
/// [`FORMAT`].
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Results);
    schema.insert("title".to_owned(), "results.json of keydb-harness".into());
    schema.into()
}

impl Results {
    /// What these outcomes come to, as of now. Seed, duration, and what was left out are the caller's.
    pub fn of<'a>(
        identity: &Identity,
        outcomes: impl Iterator<Item = &'a Outcome> + Clone,
        expectations: Option<&Expectations>,
        strict: bool,
    ) -> Self {
        let judged = || {
            let outcomes = outcomes.clone();
            outcomes.map(|outcome| (outcome, judge(outcome, expectations)))
        };
        Self {
            format: FORMAT,
            harness: env!("CARGO_PKG_VERSION").to_owned(),
            date: jiff::Timestamp::now().to_string(),
            identity: identity.clone(),
            seed: 0,
            expectations: expectations.map(|expectations| expectations.version.clone()),
            n: outcomes.clone().count(),
            seconds: 0.0,
            exit_code: exit::code(judged(), strict),
            unavailable: BTreeMap::new(),
            frequencies: BTreeMap::new(),
            trials: judged()
                .map(|(outcome, standing)| Judged {
                    id: outcome.id(),
                    verdict: outcome.verdict(),
                    standing,
                    limitations: limitations(outcome, expectations),
                    outcome: outcome.clone(),
                })
                .collect(),
        }
    }

    /// Writes `results.json` into `dir`, which is made if it is not there.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let path = dir.join(RESULTS);
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;
    use serde_json::{Value, json};
    use std::path::PathBuf;

    fn published() -> PathBuf {
        let schemas = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/schemas");
        Path::new(schemas).join(format!("results-{FORMAT}.json"))
    }

    /// Written with `KEYDB_HARNESS_BLESS=1`. What readers rely on does not change unnoticed.
    #[test]
    fn the_published_schema_is_that_of_the_format() {
        let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        if std::env::var_os("KEYDB_HARNESS_BLESS").is_some() {
            fs::write(published(), &text).unwrap();
        }
        assert_eq!(fs::read_to_string(published()).unwrap(), text);
    }

    #[test]
    fn what_is_written_fits_the_schema_and_what_is_not_does_not() {
        let schema: Value =
            serde_json::from_str(&fs::read_to_string(published()).unwrap()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let (results, _) = samples::run();
        let good = serde_json::to_value(&results).unwrap();
        assert!(validator.is_valid(&good));
        for (pointer, wrong) in [
            ("/trials/0/verdict", json!("fine")),
            ("/trials/0/findings/0/evidence", json!(7)),
            ("/identity/keydb", json!("6.3.4")),
            ("/exit_code", json!(-1)),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = wrong;
            assert!(!validator.is_valid(&bad), "{pointer}");
        }
        let mut without = good;
        without.as_object_mut().unwrap().remove("identity");
        assert!(!validator.is_valid(&without));
    }

    #[test]
    fn the_runs_that_are_kept_fit_it() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let runs = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/runs");
        let mut checked = 0;
        for entry in fs::read_dir(runs).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "json") {
                let run = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
                let error = validator
                    .validate(&run)
                    .err()
                    .map(|error| error.to_string());
                assert_eq!(error, None, "{}", path.display());
                checked += 1;
            }
        }
        assert!(checked > 10);
    }
}
