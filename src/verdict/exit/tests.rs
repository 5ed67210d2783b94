//! Hand-written runs, and their exit codes.

use super::*;
use crate::verdict::Verdict;
use crate::verdict::tests::outcome;
use Standing::{AsExpected, Fixed, Inconclusive, Known, New, Regression};
use proptest::prelude::*;
use rstest::rstest;

/// A trial by its standing, and whether the machine kept it from being made.
type Trial = (Standing, bool);

fn code_of(trials: &[Trial], strict: bool) -> u8 {
    let made = outcome(&[Verdict::Holds]);
    let mut failed = outcome(&[]);
    failed.environment = Some("no engine".to_owned());
    let judged = trials
        .iter()
        .map(|&(standing, environment)| match environment {
            true => (&failed, standing),
            false => (&made, standing),
        });
    code(judged, strict)
}

fn made(standings: &[Standing]) -> Vec<Trial> {
    standings
        .iter()
        .map(|standing| (*standing, false))
        .collect()
}

#[rstest]
#[case::nothing_ran_unknown(&[], INCONCLUSIVE, INCONCLUSIVE)]
#[case::as_expected_holds(&[AsExpected], AS_EXPECTED, AS_EXPECTED)]
#[case::known_deviation_holds(&[Known], AS_EXPECTED, AS_EXPECTED)]
#[case::as_expected_and_known_holds(&[AsExpected, Known], AS_EXPECTED, AS_EXPECTED)]
#[case::fixed_deviation_holds_unless_strict(&[Fixed], AS_EXPECTED, BROKEN)]
#[case::regression_broken(&[Regression], BROKEN, BROKEN)]
#[case::new_break_broken(&[New], BROKEN, BROKEN)]
#[case::one_regression_among_good_broken(&[AsExpected, Regression, Known], BROKEN, BROKEN)]
#[case::one_unclear_unknown(&[Inconclusive], INCONCLUSIVE, INCONCLUSIVE)]
#[case::one_unclear_among_good_unknown(&[AsExpected, Inconclusive], INCONCLUSIVE, INCONCLUSIVE)]
#[case::a_break_outweighs_what_is_unclear_broken(&[Inconclusive, New], BROKEN, BROKEN)]
#[case::what_is_unclear_does_not_hide_a_break_broken(&[New, Inconclusive], BROKEN, BROKEN)]
#[case::fixed_and_unclear_unknown_unless_strict(&[Fixed, Inconclusive], INCONCLUSIVE, BROKEN)]
fn exit(#[case] standings: &[Standing], #[case] lenient: u8, #[case] strict: u8) {
    let trials = made(standings);
    assert_eq!(
        (code_of(&trials, false), code_of(&trials, true)),
        (lenient, strict)
    );
}

#[rstest]
#[case::the_only_trial(&[(Inconclusive, true)])]
#[case::before_a_break(&[(Inconclusive, true), (Regression, false)])]
#[case::after_a_break(&[(New, false), (AsExpected, true)])]
#[case::whatever_its_standing(&[(Regression, true), (AsExpected, false)])]
fn the_environment_outweighs_everything(#[case] trials: &[Trial]) {
    assert_eq!(code_of(trials, false), ENVIRONMENT);
}

/// Scripts go by these numbers.
#[test]
fn codes_are_what_the_readme_says() {
    assert_eq!((AS_EXPECTED, BROKEN, INCONCLUSIVE), (0, 1, 2));
    assert_eq!((ENVIRONMENT, USAGE), (3, 64));
}

fn any_trial() -> impl Strategy<Value = Trial> {
    let standing = vec![AsExpected, Known, Fixed, Regression, New, Inconclusive];
    (prop::sample::select(standing), prop::bool::weighted(0.1))
}

fn severity(code: u8) -> Option<usize> {
    [AS_EXPECTED, INCONCLUSIVE, BROKEN, ENVIRONMENT]
        .iter()
        .position(|known| *known == code)
}

proptest! {
    #[test]
    fn the_worst_trial_decides_whatever_the_order(
        (trials, shuffled) in prop::collection::vec(any_trial(), 1..8)
            .prop_flat_map(|trials| (Just(trials.clone()), Just(trials).prop_shuffle())),
        strict in any::<bool>(),
    ) {
        let code = code_of(&trials, strict);
        prop_assert_eq!(code, code_of(&shuffled, strict));
        let alone = trials.iter().map(|trial| severity(code_of(&[*trial], strict)));
        prop_assert_eq!(severity(code), alone.max().flatten());
    }

    #[test]
    fn strict_is_never_milder(trials in prop::collection::vec(any_trial(), 0..8)) {
        prop_assert!(severity(code_of(&trials, true)) >= severity(code_of(&trials, false)));
    }
}
