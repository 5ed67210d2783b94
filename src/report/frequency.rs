//! How often what was seen in trials that were made several times: the same verdict each time, or a
//! race.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::results::Judged;
use crate::verdict::Verdict;

/// One trial, made several times.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Frequency {
    /// How often it was made and gave a verdict.
    pub n: usize,
    /// How often each verdict came up.
    pub verdicts: BTreeMap<Verdict, usize>,
    /// How often each check was broken; those that never were are left out.
    pub broken: BTreeMap<String, usize>,
}

impl Frequency {
    /// Whether it gave one verdict each time.
    pub fn is_steady(&self) -> bool {
        self.verdicts.len() == 1
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdicts: Vec<String> = self
            .verdicts
            .iter()
            .map(|(verdict, count)| format!("{count} of {} {verdict}", self.n))
            .collect();
        f.write_str(&verdicts.join(", "))?;
        let mut checks = self.broken.iter().peekable();
        if checks.peek().is_some() {
            let checks: Vec<String> = checks
                .map(|(check, count)| format!("{check} {count}"))
                .collect();
            write!(f, " ({})", checks.join(", "))?;
        }
        Ok(())
    }
}

/// How often what was seen, by trial. Trials that the machine kept from being made don't count.
pub fn frequencies(trials: &[Judged]) -> BTreeMap<String, Frequency> {
    let mut all: BTreeMap<String, Frequency> = BTreeMap::new();
    for trial in trials {
        let of_it = all.entry(trial.id.clone()).or_default();
        if trial.outcome.environment.is_some() {
            continue;
        }
        of_it.n += 1;
        *of_it.verdicts.entry(trial.verdict).or_default() += 1;
        for finding in &trial.outcome.findings {
            if finding.verdict == Verdict::Broken {
                *of_it.broken.entry(finding.check.clone()).or_default() += 1;
            }
        }
    }
    all
}

/// A line for each trial.
pub fn table(frequencies: &BTreeMap<String, Frequency>) -> String {
    let width = frequencies.keys().map(String::len).max().unwrap_or(0);
    let lines = frequencies.iter().map(|(id, of_it)| {
        let word = match (of_it.n, of_it.is_steady()) {
            (0, _) => "not run",
            (_, true) => "steady",
            (_, false) => "varies",
        };
        format!("{word:<8} {id:<width$}  {of_it}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::expectation::Standing;
    use crate::verdict::{Finding, Outcome};

    fn trial(id: &str, verdict: Verdict, environment: Option<&str>) -> Judged {
        let finding = Finding {
            check: "agreement".to_owned(),
            promise: String::new(),
            verdict,
            evidence: String::new(),
            state: String::new(),
        };
        Judged {
            id: id.to_owned(),
            verdict,
            standing: Standing::AsExpected,
            limitations: Vec::new(),
            outcome: Outcome {
                scenario: id.to_owned(),
                variant: String::new(),
                findings: vec![finding],
                measures: Vec::new(),
                headline: String::new(),
                seconds: 1.0,
                tries: 1,
                served_before: 0,
                environment: environment.map(str::to_owned),
            },
        }
    }

    #[test]
    fn verdicts_and_broken_checks_are_counted_by_trial() {
        use Verdict::{Broken, Holds};
        let all = frequencies(&[
            trial("a", Holds, None),
            trial("b", Holds, None),
            trial("a", Broken, None),
            trial("b", Holds, None),
            trial("a", Holds, Some("no engine")),
            trial("c", Holds, Some("no engine")),
        ]);
        assert!(!all["a"].is_steady() && all["b"].is_steady());
        assert_eq!(
            table(&all),
            "varies   a  1 of 2 holds, 1 of 2 broken (agreement 1)\n\
             steady   b  2 of 2 holds\n\
             not run  c  "
        );
    }
}
