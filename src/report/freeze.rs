//! Freezing what a release does: an expectation file made from runs, which grows over runs.
//!
//! A team freezes the release that it has in production, and is told only of changes from then on.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::results::Results;
use crate::verdict::expectation::{Deviation, Expectations, Frequency, Kind, Seen, was_made};
use crate::verdict::{Finding, Outcome, Verdict};

/// The id of a deviation that nobody has looked into yet.
pub const UNEXPLAINED: &str = "new";

/// What was known and what a run saw of it, put together. Trials that gave no verdict add nothing.
///
/// A check that broke and that nothing is known of becomes a deviation with the id [`UNEXPLAINED`];
/// one that is known to break always, and did not, is one that breaks sometimes from then on.
///
/// # Errors
/// The run was of another version.
pub fn freeze(known: Option<Expectations>, run: &Results) -> Result<Expectations> {
    let version = run.identity.release();
    let mut frozen = known.unwrap_or_else(|| Expectations {
        version: version.to_owned(),
        ..Expectations::default()
    });
    same_version(&frozen, version)?;
    frozen.binaries.insert(run.identity.keydb.sha256.clone());
    for trial in &run.trials {
        let outcome = &trial.outcome;
        if outcome.environment.is_some() || trial.verdict == Verdict::Inconclusive {
            continue;
        }
        let id = outcome.id();
        if !frozen.expects_to_hold(outcome) {
            frozen.holds.push(id.clone());
        }
        let before = frozen.trials.get(&id).copied().unwrap_or(0);
        frozen.trials.insert(id, before + 1);
        count(&mut frozen, outcome, before);
    }
    for deviation in &mut frozen.deviations {
        if deviation.seen.is_some_and(|seen| seen.broken < seen.n) {
            deviation.frequency = Frequency::Sometimes;
        }
    }
    Ok(frozen)
}

/// Counts what one trial broke; `before` is how many trials of it were counted.
fn count(frozen: &mut Expectations, outcome: &Outcome, before: usize) {
    let broken: Vec<&Finding> = outcome
        .findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Broken)
        .collect();
    let checks: BTreeSet<&str> = broken.iter().map(|it| it.check.as_str()).collect();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for deviation in frozen.deviations.iter_mut().filter(|it| it.is_of(outcome)) {
        known.insert(deviation.check.clone());
        // Where logs were read and no rule matched there is no finding of the rule.
        if was_made(outcome, &deviation.check) {
            let seen = deviation.seen.get_or_insert_default();
            seen.n += 1;
            seen.broken += usize::from(checks.contains(deviation.check.as_str()));
        }
    }
    for finding in broken {
        if !known.insert(finding.check.clone()) {
            continue;
        }
        let variants = match outcome.variant.as_str() {
            "" => Vec::new(),
            variant => vec![variant.to_owned()],
        };
        frozen.deviations.push(Deviation {
            scenario: outcome.scenario.clone(),
            variants,
            check: finding.check.clone(),
            id: UNEXPLAINED.to_owned(),
            kind: Kind::Broken,
            frequency: Frequency::Always,
            reason: format!("not kept when this was frozen: {}", finding.promise),
            measured: Default::default(),
            seen: Some(Seen {
                broken: 1,
                n: before + 1,
            }),
        });
    }
}

/// A file that a run is going to be frozen into, found usable before the run.
#[derive(Debug)]
pub struct Frozen {
    file: PathBuf,
    known: Option<Expectations>,
}

impl Frozen {
    /// Into this file: alone, or, with `merge`, together with what it holds already.
    ///
    /// # Errors
    /// It is of another version, does not parse or cannot be written; the text names it and the mend.
    pub fn into(file: &Path, merge: bool, version: &str) -> Result<Self> {
        let name = || format!("--write-expectations {}", file.display());
        // A run that was broken off left an empty file.
        let holds_some = || file.metadata().is_ok_and(|it| it.len() > 0);
        let known = (merge && holds_some()).then(|| Expectations::from_file(file));
        let known = known.transpose().with_context(name)?;
        if let Some(known) = &known {
            same_version(known, version).with_context(name)?;
        }
        // Not emptied: what it holds is kept until the run is over.
        let opened = OpenOptions::new().append(true).create(true).open(file);
        opened.with_context(|| format!("{}: name a file that can be written", name()))?;
        Ok(Self {
            file: file.to_owned(),
            known,
        })
    }

    /// Writes what the file held and what a run saw. Gives back what to say of it.
    ///
    /// # Errors
    /// It cannot be written after all.
    pub fn write(self, run: &Results) -> Result<String> {
        let Self { file, known } = self;
        let frozen = freeze(known, run)?;
        let head = format!(
            "# What KeyDB {} does in the scenarios, frozen from runs by `keydb-harness check \
             --write-expectations`.\n",
            frozen.version
        );
        let text = toml::to_string(&frozen)?;
        std::fs::write(&file, format!("{head}{text}"))
            .with_context(|| format!("--write-expectations {}", file.display()))?;
        let count = |wanted: &dyn Fn(&Deviation) -> bool| {
            let found = frozen.deviations.iter().filter(|it| wanted(it));
            found.count()
        };
        Ok(format!(
            "{}: {} trials, {} deviations, {} of them by chance, {} with the id '{UNEXPLAINED}'",
            file.display(),
            frozen.trials.values().sum::<usize>(),
            frozen.deviations.len(),
            count(&|it| it.frequency == Frequency::Sometimes),
            count(&|it| it.id == UNEXPLAINED),
        ))
    }
}

fn same_version(known: &Expectations, version: &str) -> Result<()> {
    ensure!(
        known.version == version,
        "it is of {}, and this is {version}: name another file",
        known.version
    );
    Ok(())
}

#[cfg(test)]
mod tests;
