//! Hand-written outcomes, and how they stand to hand-written expectations.

use std::fs;

use super::*;
use crate::verdict::tests::{any_verdict, outcome};
use crate::verdict::{Finding, Measure};
use Frequency::{Always, Sometimes};
use Verdict::{Broken, Holds, Inconclusive};
use proptest::prelude::*;
use rstest::rstest;

/// One deviation of `s/v` in this check, and that `s` holds otherwise.
fn expecting(check: &str, frequency: Frequency) -> Expectations {
    Expectations {
        version: "1.2.3".to_owned(),
        holds: vec!["s".to_owned()],
        deviations: vec![Deviation {
            scenario: "s".to_owned(),
            variants: vec!["v".to_owned()],
            check: check.to_owned(),
            id: "F0".to_owned(),
            kind: Kind::Broken,
            frequency,
            reason: "because".to_owned(),
            measured: BTreeMap::new(),
            seen: None,
        }],
        ..Expectations::default()
    }
}

fn expectations(frequency: Frequency) -> Expectations {
    expecting("check0", frequency)
}

#[rstest]
#[case::known_breaks_known(&[Broken, Holds], Always, Standing::Known)]
#[case::known_race_breaks_known(&[Broken, Holds], Sometimes, Standing::Known)]
#[case::known_is_gone_fixed(&[Holds, Holds], Always, Standing::Fixed)]
#[case::known_race_does_not_show_holds(&[Holds, Holds], Sometimes, Standing::AsExpected)]
#[case::another_check_breaks_broken(&[Holds, Broken], Sometimes, Standing::Regression)]
#[case::another_check_breaks_too_broken(&[Broken, Broken], Always, Standing::Regression)]
#[case::one_unclear_unknown(&[Holds, Inconclusive], Sometimes, Standing::Inconclusive)]
#[case::one_unclear_beside_a_known_break_unknown(
    &[Broken, Inconclusive], Always, Standing::Inconclusive
)]
#[case::the_known_one_is_unclear_unknown(&[Inconclusive, Holds], Always, Standing::Inconclusive)]
#[case::broken_outweighs_unclear_broken(&[Inconclusive, Broken], Always, Standing::Regression)]
#[case::nothing_was_checked_unknown(&[], Sometimes, Standing::Inconclusive)]
#[case::nothing_was_checked_of_a_sure_break_unknown(&[], Always, Standing::Inconclusive)]
fn standing(#[case] findings: &[Verdict], #[case] frequency: Frequency, #[case] wanted: Standing) {
    let expectations = expectations(frequency);
    assert_eq!(judge(&outcome(findings), Some(&expectations)), wanted);
}

#[rstest]
#[case::all_checks_holds(&[Holds], Standing::AsExpected)]
#[case::one_check_broken(&[Holds, Broken], Standing::New)]
#[case::one_unclear_unknown(&[Holds, Inconclusive], Standing::Inconclusive)]
#[case::nothing_was_checked_unknown(&[], Standing::Inconclusive)]
fn without_expectations_promises_count(#[case] findings: &[Verdict], #[case] wanted: Standing) {
    assert_eq!(judge(&outcome(findings), None), wanted);
}

/// What stands in `holds`, the deviation's variants, and what a break of `check1` in `s/v` is then.
#[rstest]
#[case::the_scenario_is_known_to_hold_regression(&["s"], &["w"], Standing::Regression)]
#[case::the_trial_is_known_to_hold_regression(&["s/v"], &["w"], Standing::Regression)]
#[case::a_deviation_is_known_of_the_trial_regression(&[], &["v"], Standing::Regression)]
#[case::a_deviation_is_known_of_all_variants_regression(&[], &[], Standing::Regression)]
#[case::another_variant_is_known_to_hold_new(&["s/w"], &["w"], Standing::New)]
#[case::nothing_is_known_new(&[], &["w"], Standing::New)]
fn an_unexpected_break(
    #[case] holds: &[&str],
    #[case] variants: &[&str],
    #[case] wanted: Standing,
) {
    let mut expectations = expectations(Sometimes);
    expectations.holds = holds.iter().map(|id| (*id).to_owned()).collect();
    expectations.deviations[0].variants = variants.iter().map(|v| (*v).to_owned()).collect();
    assert_eq!(
        judge(&outcome(&[Holds, Broken]), Some(&expectations)),
        wanted
    );
}

#[rstest]
#[case::of_its_variant_known("s", &["v"], Standing::Known)]
#[case::of_one_of_its_variants_known("s", &["w", "v"], Standing::Known)]
#[case::of_all_variants_known("s", &[], Standing::Known)]
#[case::of_another_variant_broken("s", &["w"], Standing::Regression)]
#[case::of_another_scenario_broken("t", &["v"], Standing::Regression)]
#[case::of_another_scenario_with_all_variants_broken("t", &[], Standing::Regression)]
fn a_deviation_excuses_its_own_trial_only(
    #[case] scenario: &str,
    #[case] variants: &[&str],
    #[case] wanted: Standing,
) {
    let mut expectations = expectations(Always);
    expectations.deviations[0].scenario = scenario.to_owned();
    expectations.deviations[0].variants = variants.iter().map(|v| (*v).to_owned()).collect();
    assert_eq!(judge(&outcome(&[Broken]), Some(&expectations)), wanted);
}

/// The deviation's check, and checks that were made with what they gave.
#[rstest]
#[case::the_logs_were_read_fixed("log:a", &[("logs", Holds)], Standing::Fixed)]
#[case::another_rule_matched_broken("log:a", &[("log:b", Broken)], Standing::Regression)]
#[case::the_rule_matched_known("log:a", &[("log:a", Broken)], Standing::Known)]
#[case::the_logs_were_not_read_holds("log:a", &[("alive", Holds)], Standing::AsExpected)]
#[case::the_check_was_not_made_holds("data", &[("logs", Holds)], Standing::AsExpected)]
#[case::the_check_was_made_fixed("data", &[("data", Holds)], Standing::Fixed)]
#[case::the_check_broke_once_of_twice_known("data", &[("data", Broken), ("data", Holds)],
    Standing::Known)]
#[case::names_are_taken_to_the_letter_holds("data", &[("data-kept", Holds)], Standing::AsExpected)]
fn a_sure_deviation_is_gone_only_if_its_check_was_made(
    #[case] check: &str,
    #[case] made: &[(&str, Verdict)],
    #[case] wanted: Standing,
) {
    let verdicts: Vec<Verdict> = made.iter().map(|(_, verdict)| *verdict).collect();
    let mut outcome = outcome(&verdicts);
    for (finding, (check, _)) in outcome.findings.iter_mut().zip(made) {
        (*check).clone_into(&mut finding.check);
    }
    assert_eq!(judge(&outcome, Some(&expecting(check, Always))), wanted);
}

#[test]
fn another_known_rule_that_matched_shows_that_the_logs_were_read() {
    let mut both = expecting("log:a", Always);
    both.deviations
        .extend(expecting("log:b", Always).deviations);
    let mut outcome = outcome(&[Broken]);
    outcome.findings[0].check = "log:b".to_owned();
    assert_eq!(judge(&outcome, Some(&both)), Standing::Fixed);
}

/// The deviation's signature is that `full resyncs` is 1, and perhaps that `bytes` is 0.
#[rstest]
#[case::nothing_was_measured_broken(&[], false, Standing::Regression)]
#[case::another_number_broken(&[("full resyncs", 2.0)], false, Standing::Regression)]
#[case::the_number_of_something_else_broken(&[("resyncs", 1.0)], false, Standing::Regression)]
#[case::the_number_known(&[("full resyncs", 1.0)], false, Standing::Known)]
#[case::once_of_twice_known(&[("full resyncs", 2.0), ("full resyncs", 1.0)], false,
    Standing::Known)]
#[case::one_of_two_numbers_broken(&[("full resyncs", 1.0)], true, Standing::Regression)]
#[case::both_numbers_known(&[("full resyncs", 1.0), ("bytes", 0.0)], true, Standing::Known)]
fn a_deviation_is_told_by_its_signature(
    #[case] measured: &[(&str, f64)],
    #[case] bytes_too: bool,
    #[case] wanted: Standing,
) {
    let mut expectations = expectations(Sometimes);
    let signature = &mut expectations.deviations[0].measured;
    signature.insert("full resyncs".to_owned(), 1.0);
    if bytes_too {
        signature.insert("bytes".to_owned(), 0.0);
    }
    let mut outcome = outcome(&[Broken]);
    outcome.measures = measured
        .iter()
        .map(|(name, value)| Measure {
            name: (*name).to_owned(),
            value: *value,
            unit: "resyncs".to_owned(),
        })
        .collect();
    assert_eq!(judge(&outcome, Some(&expectations)), wanted);
}

#[test]
fn every_file_of_the_folder_is_shipped() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/expectations");
    let mut files: Vec<String> = fs::read_dir(folder)
        .expect("folder")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    let mut shipped: Vec<&str> = SHIPPED.iter().map(|(version, _)| *version).collect();
    files.sort();
    shipped.sort_unstable();
    assert_eq!(files, shipped);
}

#[test]
fn a_break_that_nothing_is_known_of_is_new() {
    let mut unknown = outcome(&[Broken]);
    unknown.scenario = "t".to_owned();
    assert_eq!(judge(&unknown, Some(&expectations(Always))), Standing::New);
    assert_eq!(judge(&unknown, None), Standing::New);
}

#[test]
fn every_shipped_file_parses_and_names_what_exists() {
    let scenarios = crate::scenario::all();
    for (version, text) in SHIPPED {
        let file = Expectations::parse(version, text).expect(version);
        assert_eq!(&file.version, version);
        let known = |id: &str| {
            scenarios.iter().any(|scenario| {
                scenario.name == id
                    || scenario
                        .variants
                        .iter()
                        .chain(scenario.long)
                        .any(|v| trial_id(scenario.name, v) == id)
            })
        };
        for id in &file.holds {
            assert!(known(id), "{version}: no trial is called {id}");
        }
        for deviation in &file.deviations {
            let variants = &deviation.variants;
            assert!(
                known(&deviation.scenario),
                "{version}: {}",
                deviation.scenario
            );
            for variant in variants {
                let id = trial_id(&deviation.scenario, variant);
                assert!(known(&id), "{version}: no trial is called {id}");
            }
        }
    }
}

const DEVIATION: &str = "version = \"1\"\n[[deviation]]\nscenario = \"s\"\ncheck = \"c\"\n\
                         id = \"F1\"\nkind = \"limitation\"\nfrequency = \"sometimes\"\nreason = \"r\"\n";

#[test]
fn a_file_may_leave_out_what_has_a_default() {
    let file = Expectations::parse("f", DEVIATION).unwrap();
    let deviation = &file.deviations[0];
    assert!(file.holds.is_empty() && deviation.variants.is_empty());
    assert!(deviation.measured.is_empty());
    assert_eq!(
        (deviation.kind, deviation.frequency),
        (Kind::Limitation, Sometimes)
    );
}

#[rstest]
#[case::no_toml("[[", "TOML parse error at line 1")]
#[case::no_version("holds = []", "missing field `version`")]
#[case::misspelt_field("version = \"1\"\nhold = []", "unknown field `hold`")]
#[case::other_frequency(&DEVIATION.replace("sometimes", "often"), "unknown variant `often`")]
#[case::other_kind(&DEVIATION.replace("limitation", "bug"), "unknown variant `bug`")]
#[case::misspelt_deviation_field(&format!("{DEVIATION}variant = [\"v\"]\n"), "unknown field `variant`")]
#[case::a_signature_that_is_no_number(&format!("{DEVIATION}measured = {{ n = \"1\" }}\n"), "invalid type")]
fn unusable_files_are_refused(#[case] text: &str, #[case] cause: &str) {
    let error = Expectations::parse("my.toml", text)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("expectations my.toml: "), "{error}");
    assert!(error.contains(cause), "{error}");
    assert_eq!(error.trim_end(), error);
}

#[rstest]
#[case::shipped_for_a_known_version(Expect::Shipped, "6.3.4", Some("6.3.4"))]
#[case::shipped_for_another(Expect::Shipped, "6.3.40", None)]
#[case::shipped_for_no_version(Expect::Shipped, "", None)]
#[case::none_whatever_the_version(Expect::None, "6.3.4", None)]
fn expectations_are_loaded(
    #[case] expect: Expect,
    #[case] version: &str,
    #[case] wanted: Option<&str>,
) {
    let loaded = Expectations::load(&expect, version).unwrap();
    assert_eq!(loaded.as_ref().map(|file| &*file.version), wanted);
}

#[test]
fn a_file_is_taken_whatever_the_version() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let load = || Expectations::load(&Expect::File(file.clone()), "6.3.4");
    let missing = load().unwrap_err().to_string();
    assert!(missing.contains("mine.toml"), "{missing}");
    fs::write(&file, DEVIATION).unwrap();
    assert_eq!(load().unwrap(), Expectations::parse("", DEVIATION).ok());
}

#[rstest]
#[case(Standing::AsExpected, "as expected", "as-expected")]
#[case(Standing::Known, "known deviation", "known")]
#[case(Standing::Fixed, "fixed", "fixed")]
#[case(Standing::Regression, "regression", "regression")]
#[case(Standing::New, "new", "new")]
#[case(Standing::Inconclusive, "inconclusive", "inconclusive")]
fn standings_have_one_word_each(
    #[case] standing: Standing,
    #[case] word: &str,
    #[case] json: &str,
) {
    assert_eq!(format!("{standing:<16}|"), format!("{word:<16}|"));
    assert_eq!(
        serde_json::to_string(&standing).unwrap(),
        format!("\"{json}\"")
    );
}

fn name(from: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(from).prop_map(str::to_owned)
}

const CHECKS: &[&str] = &["a", "b", "logs", "log:x", "log:y"];

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let finding = (name(CHECKS), any_verdict()).prop_map(|(check, verdict)| Finding {
        check,
        promise: String::new(),
        verdict,
        evidence: String::new(),
        state: String::new(),
    });
    let findings = prop::collection::vec(finding, 0..5);
    (name(&["s", "t"]), name(&["", "v", "w"]), findings).prop_map(
        |(scenario, variant, findings)| Outcome {
            scenario,
            variant,
            findings,
            ..outcome(&[])
        },
    )
}

fn any_deviation() -> impl Strategy<Value = Deviation> {
    let variants = prop::collection::vec(name(&["", "v", "w"]), 0..3);
    let frequency = prop::sample::select(vec![Always, Sometimes]);
    let measured = prop::collection::btree_map(name(&["n"]), Just(1.0), 0..2);
    (
        name(&["s", "t"]),
        variants,
        name(CHECKS),
        frequency,
        measured,
    )
        .prop_map(
            |(scenario, variants, check, frequency, measured)| Deviation {
                scenario,
                variants,
                measured,
                ..expecting(&check, frequency).deviations.remove(0)
            },
        )
}

fn any_expectations() -> impl Strategy<Value = Expectations> {
    let holds = prop::collection::vec(name(&["s", "t", "s/v", "t/w"]), 0..3);
    let deviations = prop::collection::vec(any_deviation(), 0..5);
    (holds, deviations).prop_map(|(holds, deviations)| Expectations {
        holds,
        deviations,
        ..Expectations::default()
    })
}

fn is_green(standing: Standing) -> bool {
    use Standing::{AsExpected, Fixed, Known};
    matches!(standing, AsExpected | Fixed | Known)
}

proptest! {
    #[test]
    fn green_means_that_all_was_clear_and_every_break_is_known(
        outcome in any_outcome(), expectations in any_expectations(),
    ) {
        let excused = |finding: &Finding| {
            expectations.deviations_of(&outcome).any(|known| known.check == finding.check)
        };
        let clear = !outcome.findings.is_empty()
            && outcome.findings.iter().all(|finding| finding.verdict != Inconclusive);
        let known = outcome
            .findings
            .iter()
            .all(|finding| finding.verdict != Broken || excused(finding));
        let standing = judge(&outcome, Some(&expectations));
        prop_assert_eq!(is_green(standing), clear && known);
        if outcome.verdict() == Holds {
            prop_assert!(matches!(standing, Standing::AsExpected | Standing::Fixed));
        }
        if standing == Standing::AsExpected {
            prop_assert_eq!(outcome.verdict(), Holds);
        }
    }

    #[test]
    fn deviations_of_other_trials_change_nothing(
        outcome in any_outcome(),
        expectations in any_expectations(),
        others in prop::collection::vec(any_deviation(), 0..4),
    ) {
        let mut more = expectations.clone();
        more.deviations.extend(others.into_iter().map(|mut other| {
            other.scenario = "u".to_owned();
            other
        }));
        prop_assert_eq!(
            judge(&outcome, Some(&more)),
            judge(&outcome, Some(&expectations))
        );
    }

    #[test]
    fn a_known_deviation_never_makes_an_outcome_red(
        outcome in any_outcome(),
        expectations in any_expectations(),
        one_more in any_deviation(),
    ) {
        let mut more = expectations.clone();
        more.deviations.push(one_more);
        let before = judge(&outcome, Some(&expectations));
        prop_assert!(!is_green(before) || is_green(judge(&outcome, Some(&more))));
    }

    #[test]
    fn nothing_known_is_as_no_expectations(outcome in any_outcome()) {
        prop_assert_eq!(
            judge(&outcome, Some(&Expectations::default())),
            judge(&outcome, None)
        );
    }

    #[test]
    fn any_text_is_a_file_or_an_error(text in any::<String>(), with_start in any::<bool>()) {
        let text = if with_start { format!("{DEVIATION}{text}") } else { text };
        if let Err(error) = Expectations::parse("f", &text) {
            prop_assert!(error.to_string().starts_with("expectations f: "));
        }
    }
}

#[test]
fn a_file_without_an_end_is_refused() {
    let error = Expectations::from_file(std::path::Path::new("/dev/zero")).unwrap_err();
    let wanted = "expectations /dev/zero: it is longer than 16 MiB";
    assert!(error.to_string().starts_with(wanted), "{error}");
}
