//! What KeyDB's own tests ask of active replicas, and which checks ask the same: the table
//! `fixtures/upstream-tests.toml`.
//!
//! Which releases break what stands in `fixtures/expectations/` alone, and is read from there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

use crate::behaviour::TRANSCRIPT;
use crate::check::Finished;
use crate::verdict::Check;
use crate::verdict::Verdict;
use crate::verdict::expectation::Expectations;

const TABLE: &str = include_str!("../../fixtures/upstream-tests.toml");

/// One thing that a test of upstream's asserts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// 1 to 47.
    pub number: u32,
    /// The file in KeyDB's `tests/`.
    pub file: String,
    /// What it asks, in the harness's words.
    pub says: String,
    /// The first release whose tests have it.
    pub since: String,
    /// Whether upstream's runner runs the file.
    #[serde(default = "ran")]
    pub ran: bool,
    /// The checks that ask the same.
    pub checks: Vec<Check>,
    /// Words that the transcript of a trial which makes one of them must hold.
    pub commands: Vec<String>,
    /// What is asked differently.
    pub note: Option<String>,
}

fn ran() -> bool {
    true
}

impl Test {
    /// By which defects each release is known to break one of its checks; none if it holds. A release
    /// whose scenarios were not all measured is left out.
    pub fn known<'a>(
        &self,
        expectations: &'a [Expectations],
    ) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
        let measured = |of: &&'a Expectations| {
            let mut checks = self.checks.iter();
            checks.all(|check| of.holds.contains(&check.scenario))
        };
        let ids = |of: &'a Expectations| {
            let broken = of.deviations.iter().filter(|deviation| {
                let mut checks = self.checks.iter();
                checks.any(|check| check.is_broken_by(deviation))
            });
            (
                of.version.as_str(),
                broken.map(|it| it.id.as_str()).collect(),
            )
        };
        expectations.iter().filter(measured).map(ids).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    test: Vec<Test>,
}

/// All of them, in order.
///
/// # Errors
/// The table is no TOML, or has a row that is no test.
pub fn all() -> Result<Vec<Test>, toml::de::Error> {
    toml::from_str(TABLE).map(|File { test }| test)
}

/// What the transcript of a trial lacks of the words that the checks which held in it must have sent;
/// a sentence each.
///
/// # Errors
/// The table cannot be read.
pub fn unsaid(finished: &Finished) -> Result<Vec<String>, toml::de::Error> {
    let transcript = finished
        .artifacts
        .iter()
        .find(|(name, _)| name == TRANSCRIPT);
    let transcript = transcript.map(|(_, content)| String::from_utf8_lossy(content));
    let transcript = transcript.unwrap_or_default();
    let outcome = &finished.outcome;
    let held = outcome
        .findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Holds);
    let held: Vec<Check> = held
        .map(|finding| Check {
            scenario: outcome.scenario.clone(),
            variant: Some(outcome.variant.clone()),
            check: finding.check.clone(),
        })
        .collect();
    let mut unsaid = Vec::new();
    for test in all()? {
        let mut checks = test.checks.iter();
        if !checks.any(|asks| held.iter().any(|held| asks.includes(held))) {
            continue;
        }
        let missing = test.commands.iter().filter(|it| !transcript.contains(*it));
        unsaid.extend(missing.map(|words| {
            let (trial, number) = (outcome.id(), test.number);
            format!("{trial} never said '{words}', which upstream's test {number} asks for")
        }));
    }
    Ok(unsaid)
}

/// How many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    tests: usize,
    asked: usize,
    left_out: usize,
    /// Those that a release is known to break.
    broken: BTreeMap<String, usize>,
}

impl Counts {
    /// Counts.
    pub fn of(tests: &[Test], expectations: &[Expectations]) -> Self {
        let mut broken = BTreeMap::new();
        for test in tests {
            for (release, ids) in test.known(expectations) {
                *broken.entry(release.to_owned()).or_default() += usize::from(!ids.is_empty());
            }
        }
        Self {
            tests: tests.len(),
            asked: tests.iter().filter(|it| !it.checks.is_empty()).count(),
            left_out: tests.iter().filter(|it| !it.ran).count(),
            broken,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} things that upstream's tests ask, {} of them asked here; {} stand in files that its runner leaves out\nknown to be broken:",
            self.tests, self.asked, self.left_out
        )?;
        for (release, count) in &self.broken {
            write!(f, " {count} on {release}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
