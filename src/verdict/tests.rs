//! Hand-written findings, and the verdict of the trial that made them.

use super::*;
use Verdict::{Broken, Holds, Inconclusive};
use proptest::prelude::*;
use rstest::rstest;

/// An outcome of `s/v` with one finding for each verdict: `check0`, `check1`, ...
pub(super) fn outcome(verdicts: &[Verdict]) -> Outcome {
    let findings = verdicts
        .iter()
        .enumerate()
        .map(|(number, verdict)| Finding {
            check: format!("check{number}"),
            promise: String::new(),
            verdict: *verdict,
            evidence: String::new(),
            state: String::new(),
        })
        .collect();
    Outcome {
        scenario: "s".to_owned(),
        variant: "v".to_owned(),
        findings,
        measures: Vec::new(),
        headline: String::new(),
        seconds: 0.0,
        tries: 1,
        served_before: 0,
        environment: None,
    }
}

pub(super) fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop::sample::select(vec![Holds, Inconclusive, Broken])
}

#[rstest]
#[case::nothing_was_checked_unknown(&[], Inconclusive)]
#[case::one_check_holds(&[Holds], Holds)]
#[case::all_checks_holds(&[Holds, Holds], Holds)]
#[case::one_unclear_among_good_unknown(&[Holds, Inconclusive, Holds], Inconclusive)]
#[case::one_bad_among_good_broken(&[Holds, Holds, Broken], Broken)]
#[case::bad_outweighs_unclear_broken(&[Inconclusive, Broken, Holds], Broken)]
#[case::bad_first_outweighs_unclear_broken(&[Broken, Inconclusive], Broken)]
fn the_worst_finding_is_the_verdict(#[case] findings: &[Verdict], #[case] verdict: Verdict) {
    assert_eq!(outcome(findings).verdict(), verdict);
}

#[rstest]
#[case(Holds, "holds", "\"holds\"")]
#[case(Inconclusive, "inconclusive", "\"inconclusive\"")]
#[case(Broken, "broken", "\"broken\"")]
fn verdicts_have_one_word_each(#[case] verdict: Verdict, #[case] word: &str, #[case] json: &str) {
    assert_eq!(format!("{verdict:<13}|"), format!("{word:<13}|"));
    assert_eq!(serde_json::to_string(&verdict).unwrap(), json);
}

#[rstest]
#[case::whole_numbers_have_no_decimals(3.0, "writes", "n 3 writes")]
#[case::others_have_two(0.126, "s", "n 0.13 s")]
#[case::zero(0.0, "keys", "n 0 keys")]
#[case::negative(-1.5, "s", "n -1.50 s")]
fn measures_print(#[case] value: f64, #[case] unit: &str, #[case] text: &str) {
    let (name, unit) = ("n".to_owned(), unit.to_owned());
    assert_eq!(Measure { name, value, unit }.to_string(), text);
}

#[rstest]
#[case::one_of_several("s", "v", "s/v")]
#[case::the_only_variant("s", "", "s")]
fn trials_are_called_after_scenario_and_variant(
    #[case] scenario: &str,
    #[case] variant: &str,
    #[case] id: &str,
) {
    let mut outcome = outcome(&[]);
    outcome.scenario = scenario.to_owned();
    outcome.variant = variant.to_owned();
    assert_eq!(outcome.id(), id);
}

proptest! {
    #[test]
    fn one_more_finding_never_makes_a_verdict_better(
        mut findings in prop::collection::vec(any_verdict(), 1..8), one_more in any_verdict(),
    ) {
        let before = outcome(&findings).verdict();
        findings.push(one_more);
        let after = outcome(&findings).verdict();
        prop_assert!(after >= before && after >= one_more);
        prop_assert!(findings.contains(&after));
    }
}
