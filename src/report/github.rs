//! A run as annotations, which GitHub's runners show beside a change:
//! `::error title=...::...`, one line each.

use super::results::Results;
use crate::verdict::Verdict;
use crate::verdict::expectation::{Expectations, Standing};

/// An error for what the team has to look at, a warning for what says nothing, a notice for what is
/// known and for what is gone.
pub fn annotations(results: &Results, expectations: Option<&Expectations>) -> Vec<String> {
    let mut lines = Vec::new();
    for trial in &results.trials {
        let outcome = &trial.outcome;
        let known: Vec<_> =
            expectations.map_or_else(Vec::new, |it| it.deviations_of(outcome).collect());
        let mut add = |level: &str, check: &str, text: &str| {
            let title = format!("{} {check}", outcome.id());
            lines.push(format!(
                "::{level} title={}::{}",
                property(title.trim()),
                message(text)
            ));
        };
        if let Some(why) = &outcome.environment {
            add("warning", "", &format!("not run: {why}"));
            continue;
        }
        for finding in &outcome.findings {
            let of_it = known.iter().find(|it| it.check == finding.check);
            match (finding.verdict, of_it) {
                (Verdict::Holds, _) => {}
                (Verdict::Inconclusive, _) => add("warning", &finding.check, &finding.evidence),
                (Verdict::Broken, Some(known)) => add(
                    "notice",
                    &finding.check,
                    &format!("known as {}: {}", known.id, known.reason),
                ),
                (Verdict::Broken, None) => add(
                    "error",
                    &finding.check,
                    &format!("{}: {}", finding.promise, finding.evidence),
                ),
            }
        }
        if trial.standing == Standing::Fixed {
            add("notice", "", "a known deviation is gone");
        }
    }
    lines
}

/// What may not stand in a message as it is.
fn message(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// And not in a property.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn each_finding_has_its_level() {
        let (results, expectations) = samples::run();
        let lines = annotations(&results, Some(&expectations)).join("\n");
        insta::assert_snapshot!(lines);
    }

    #[test]
    fn a_message_is_one_line_and_a_title_ends_where_it_ends() {
        assert_eq!(message("50 %\nof it"), "50 %25%0Aof it");
        assert_eq!(property("a: b, c"), "a%3A b%2C c");
    }
}
