//! What was seen on real KeyDB so far: the runs that are kept as evidence, summed up by release and
//! trial.
//!
//! The runs are `results.json` files under `fixtures/runs/`; their sum is `fixtures/record.toml`, which
//! is written by `keydb-harness tables` and held against the runs by a test. Counts of defects, the
//! track record and the tables of the README are made from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::input;
use crate::report::results::Results;
use crate::verdict::Verdict;
use crate::verdict::expectation::{Deviation, Seen};

const SHIPPED: &str = include_str!("../../fixtures/record.toml");

/// All that was seen, by release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record(pub BTreeMap<String, Release>);

/// What was seen of one release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// SHA-256 of every server binary that was run.
    pub binaries: BTreeSet<String>,
    /// By trial: `scenario`, or `scenario/variant`.
    pub trials: BTreeMap<String, Tally>,
}

/// How often a trial was made and what broke.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How often it gave a verdict.
    pub n: usize,
    /// When it last did, as a date.
    pub last: String,
    /// The testbeds that it ran on.
    pub testbeds: BTreeSet<String>,
    /// By check, how often it was broken, and when last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub broken: BTreeMap<String, Broken>,
}

/// How often a check was broken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// In how many of the trials.
    pub n: usize,
    /// When last, as a date.
    pub last: String,
}

impl Record {
    /// What the harness ships.
    ///
    /// # Errors
    /// It does not parse: it was edited by hand.
    pub fn shipped() -> Result<Self> {
        toml::from_str(SHIPPED).context("fixtures/record.toml: `keydb-harness tables` writes it")
    }

    /// The sum of all runs in a folder and the folders in it.
    ///
    /// # Errors
    /// One cannot be read: the text names it.
    pub fn of(folder: &Path) -> Result<Self> {
        let mut record = Self::default();
        for (_, run) in runs(folder)? {
            record.add(&run);
        }
        Ok(record)
    }

    /// Adds a run. One of the model, and trials that gave no verdict, count for nothing.
    pub fn add(&mut self, run: &Results) {
        if !run.identity.is_real() {
            return;
        }
        let release = self.0.entry(run.identity.release().to_owned()).or_default();
        release.binaries.insert(run.identity.keydb.sha256.clone());
        let date = run.date.split('T').next().unwrap_or_default();
        for trial in &run.trials {
            if trial.outcome.environment.is_some() || trial.verdict == Verdict::Inconclusive {
                continue;
            }
            let tally = release.trials.entry(trial.id.clone()).or_default();
            tally.n += 1;
            tally.testbeds.insert(run.identity.testbed.clone());
            later(&mut tally.last, date);
            // A check that is made several times in a trial counts once.
            let findings = trial.outcome.findings.iter();
            let red = findings.filter(|finding| finding.verdict == Verdict::Broken);
            for check in red.map(|finding| &finding.check).collect::<BTreeSet<_>>() {
                let broken = tally.broken.entry(check.clone()).or_default();
                broken.n += 1;
                later(&mut broken.last, date);
            }
        }
    }

    /// How often a deviation of a release was seen, over all of its variants: in how many of the trials
    /// that gave a verdict.
    pub fn seen(&self, release: &str, deviation: &Deviation) -> Seen {
        let trials = self.0.get(release).into_iter().flat_map(|it| &it.trials);
        let mut seen = Seen::default();
        for (id, tally) in trials {
            let (scenario, variant) = id.split_once('/').unwrap_or((id, ""));
            if deviation.is_about(scenario, variant) {
                seen.n += tally.n;
                let broken = tally.broken.get(&deviation.check);
                seen.broken += broken.map_or(0, |it| it.n);
            }
        }
        seen
    }

    /// As a file.
    ///
    /// # Errors
    /// It cannot be written as TOML.
    pub fn text(&self) -> Result<String> {
        let head =
            "# The runs under fixtures/runs/, summed up: written by `keydb-harness tables`.\n\n";
        Ok(format!("{head}{}", toml::to_string(self)?))
    }
}

fn later(date: &mut String, other: &str) {
    if date.as_str() < other {
        other.clone_into(date);
    }
}

/// Every `results.json` in a folder and the folders in it, with its path there, in the order of their
/// names.
///
/// # Errors
/// One cannot be read: the text names it.
pub fn runs(folder: &Path) -> Result<Vec<(PathBuf, Results)>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let entries =
            fs::read_dir(&next).with_context(|| format!("cannot read {}", next.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "json") {
                let name = || format!("{}: not a results.json of a run", path.display());
                let text = input::file(&path, input::RESULTS).with_context(name)?;
                let run = serde_json::from_str(&text).with_context(name)?;
                found.push((path.strip_prefix(folder)?.to_owned(), run));
            }
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

#[cfg(test)]
mod tests;
