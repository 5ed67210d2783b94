//! A run as `junit.xml`, for what reads that: a case for each trial, by scenario.
//!
//! What the team has to look at fails; what is known is skipped, with its reason, as nobody can mend it
//! here; what says nothing is an error.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::results::{Judged, Results};
use crate::explanation::{self, Explanation};
use crate::verdict::expectation::{Deviation, Expectations, Kind, Standing};
use crate::verdict::{Finding, Verdict};

/// Writes it.
///
/// # Errors
/// The file cannot be written; the harness's own explanations cannot be read.
pub fn write(results: &Results, expectations: Option<&Expectations>, file: &Path) -> Result<()> {
    let text = text(results, expectations)?;
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// The text of the file.
///
/// # Errors
/// The harness's own explanations cannot be read.
pub fn text(results: &Results, expectations: Option<&Expectations>) -> Result<String> {
    let explanations = explanation::all()?;
    let mut report = Report::new(format!("keydb-harness {}", results.identity.release()));
    report.set_time(Duration::from_secs_f64(results.seconds));
    let mut suites: Vec<TestSuite> = Vec::new();
    for trial in &results.trials {
        let scenario = &*trial.outcome.scenario;
        let known = suites
            .iter()
            .position(|suite| suite.name.as_str() == scenario);
        let position = known.unwrap_or_else(|| {
            let mut suite = TestSuite::new(scenario.to_owned());
            suite.add_property(Property::new("against", results.identity.to_string()));
            suite.add_property(Property::new("seed", results.seed.to_string()));
            suites.push(suite);
            suites.len() - 1
        });
        suites[position].add_test_case(case(trial, expectations, &explanations));
    }
    for (id, why) in &results.unavailable {
        let scenario = id.split('/').next().unwrap_or(id);
        let mut status = TestCaseStatus::skipped();
        status.set_message(clean(why));
        let case = TestCase::new(id.clone(), status);
        match suites
            .iter_mut()
            .find(|suite| suite.name.as_str() == scenario)
        {
            Some(suite) => suite.add_test_case(case),
            None => {
                let mut suite = TestSuite::new(scenario.to_owned());
                suite.add_test_case(case);
                suites.push(suite);
                continue;
            }
        };
    }
    report.add_test_suites(suites);
    Ok(report.to_string()?)
}

fn case(
    trial: &Judged,
    expectations: Option<&Expectations>,
    explanations: &[Explanation],
) -> TestCase {
    let outcome = &trial.outcome;
    let known: Vec<&Deviation> =
        expectations.map_or_else(Vec::new, |it| it.deviations_of(outcome).collect());
    let of = |verdict| {
        outcome
            .findings
            .iter()
            .filter(move |it| it.verdict == verdict)
    };
    let deviation = |finding: &Finding| known.iter().find(|it| it.check == finding.check);
    let (mut status, findings): (TestCaseStatus, Vec<&Finding>) = match trial.standing {
        _ if outcome.environment.is_some() => (
            TestCaseStatus::non_success(NonSuccessKind::Error),
            Vec::new(),
        ),
        Standing::Regression | Standing::New => (
            TestCaseStatus::non_success(NonSuccessKind::Failure),
            of(Verdict::Broken)
                .filter(|it| deviation(it).is_none())
                .collect(),
        ),
        Standing::Inconclusive => (
            TestCaseStatus::non_success(NonSuccessKind::Error),
            of(Verdict::Inconclusive).collect(),
        ),
        Standing::Known => (TestCaseStatus::skipped(), of(Verdict::Broken).collect()),
        Standing::AsExpected | Standing::Fixed => (TestCaseStatus::success(), Vec::new()),
    };
    let mut said: Vec<String> = Vec::new();
    said.extend(outcome.environment.clone());
    for finding in findings {
        said.push(match deviation(finding) {
            Some(it) => format!("{}: known as {}: {}", finding.check, it.id, it.reason),
            None => format!(
                "{}: {}: {}\n{}",
                finding.check, finding.promise, finding.evidence, finding.state
            ),
        });
    }
    if !matches!(status, TestCaseStatus::Success { .. }) {
        let message = said.first().and_then(|text| text.lines().next());
        status.set_message(clean(message.unwrap_or("it says nothing")));
        status.set_description(clean(&said.join("\n")));
    }
    let mut case = TestCase::new(outcome.id(), status);
    case.set_classname(outcome.scenario.clone());
    case.set_time(Duration::from_secs_f64(outcome.seconds));
    case.add_property(Property::new("standing", trial.standing.to_string()));
    let advice = known
        .iter()
        .filter(|it| it.kind == Kind::Broken)
        .filter_map(|it| explanations.iter().find(|known| known.id == it.id));
    let mut out = vec![outcome.headline.clone()];
    for explanation in advice {
        let line = format!("{}: {}", explanation.id, explanation.advice.join(" "));
        if !out.contains(&line) {
            out.push(line);
        }
    }
    case.set_system_out(clean(&out.join("\n")));
    case
}

/// Without what XML cannot hold: servers' words may have any bytes.
fn clean(text: &str) -> String {
    let allowed = |c: &char| {
        matches!(c, '\t' | '\n' | '\r') || (*c >= ' ' && *c != '\u{fffe}' && *c != '\u{ffff}')
    };
    text.chars().filter(allowed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn what_has_to_be_looked_at_fails_and_what_is_known_is_skipped() {
        let (results, expectations) = samples::run();
        let text = text(&results, Some(&expectations)).unwrap();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn whatever_a_server_says_is_xml() {
        let (mut results, _) = samples::run();
        let finding = &mut results.trials[1].outcome.findings[0];
        finding.evidence = "<b>&\u{0}\u{1b}[31m]]>".to_owned();
        let text = text(&results, None).unwrap();
        assert!(!text.contains('\u{0}') && !text.contains("<b>"), "{text}");
        Report::deserialize_from_str(&text).unwrap();
    }
}
