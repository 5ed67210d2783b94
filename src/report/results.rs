//! `results.json`: everything a run found, with what exactly it ran against.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::frequency::Frequency;
use crate::check::Finished;
use crate::lab::Identity;
use crate::verdict::expectation::Standing;
use crate::verdict::{Outcome, Verdict};

/// The version of this format; it grows when a reader of the older one could be misled.
pub const FORMAT: u32 = 1;

/// A whole run.
#[derive(Debug, Serialize, Deserialize)]
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
#[derive(Debug, Serialize, Deserialize)]
pub struct Judged {
    /// `scenario`, or `scenario/variant`.
    pub id: String,
    /// The worst finding's verdict.
    pub verdict: Verdict,
    /// How that stands to what was expected.
    pub standing: Standing,
    /// Everything that was found.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Results {
    /// Writes `results.json` into `dir`, which is made if it is not there.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let path = dir.join("results.json");
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Writes the artifacts of each trial into a folder of its own below `dir`.
///
/// # Errors
/// A folder or file cannot be written.
pub fn write_artifacts(dir: &Path, finished: &[Finished]) -> Result<()> {
    for finished in finished {
        let folder = dir.join(finished.planned.folder().replace('/', "-"));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (name, content) in &finished.artifacts {
            let path = folder.join(name);
            fs::write(&path, content)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}
