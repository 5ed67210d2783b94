use super::*;
use crate::verdict::expectation::{Standing, judge};

/// A run of kept evidence, with these trials of one scenario: variant, and the checks it makes, those
/// that are broken with a `!`.
fn run(trials: &[(&str, &[&str])]) -> Results {
    let text = include_str!("../../../fixtures/runs/process-6.3.4-echo.json");
    let mut run: Results = serde_json::from_str(text).unwrap();
    let like = run.trials.remove(0).outcome;
    run.trials = trials
        .iter()
        .map(|(variant, checks)| {
            let findings = checks.iter().map(|check| Finding {
                check: check.trim_end_matches('!').to_owned(),
                promise: "it stays".to_owned(),
                verdict: match check.ends_with('!') {
                    true => Verdict::Broken,
                    false => Verdict::Holds,
                },
                evidence: String::new(),
                state: String::new(),
            });
            let outcome = Outcome {
                variant: (*variant).to_owned(),
                findings: findings.collect(),
                measures: Vec::new(),
                ..like.clone()
            };
            super::super::results::Judged {
                id: outcome.id(),
                verdict: outcome.verdict(),
                standing: Standing::New,
                limitations: Vec::new(),
                outcome,
            }
        })
        .collect();
    run
}

fn seen(frozen: &Expectations) -> Vec<(&str, usize, usize, Frequency)> {
    let deviations = frozen.deviations.iter();
    deviations
        .map(|it| {
            let Seen { broken, n } = it.seen.unwrap();
            (it.check.as_str(), broken, n, it.frequency)
        })
        .collect()
}

#[test]
fn what_was_frozen_is_as_expected_from_then_on_and_a_change_is_told() {
    let first = run(&[("a", &["kept", "lost!"]), ("b", &["kept"])]);
    let frozen = freeze(None, &first).unwrap();
    for trial in &first.trials {
        let standing = judge(&trial.outcome, Some(&frozen));
        assert!(matches!(standing, Standing::AsExpected | Standing::Known));
    }
    let worse = &run(&[("b", &["kept!"])]).trials[0].outcome;
    assert_eq!(judge(worse, Some(&frozen)), Standing::Regression);
    let better = &run(&[("a", &["kept", "lost"])]).trials[0].outcome;
    assert_eq!(judge(better, Some(&frozen)), Standing::Fixed);
}

#[test]
fn counts_grow_and_what_varies_becomes_a_race() {
    let frozen = freeze(None, &run(&[("a", &["x!"]), ("a", &["x!"])])).unwrap();
    assert_eq!(seen(&frozen), [("x", 2, 2, Frequency::Always)]);
    let frozen = freeze(Some(frozen), &run(&[("a", &["x"]), ("a", &["x", "y!"])])).unwrap();
    let both = [
        ("x", 2, 4, Frequency::Sometimes),
        ("y", 1, 4, Frequency::Sometimes),
    ];
    assert_eq!(seen(&frozen), both);
    assert_eq!(frozen.trials.values().sum::<usize>(), 4);
}

#[test]
fn a_file_is_read_back_as_it_was_written_and_one_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ours.toml");
    let one = run(&[("a", &["x!"])]);
    let write = |run: &Results| {
        let version = run.identity.release();
        Frozen::into(&file, true, version)?.write(run)
    };
    std::fs::write(&file, "").unwrap();
    let told = write(&one).unwrap();
    assert!(told.contains("1 trials"), "{told}");
    let told = write(&one).unwrap();
    assert!(
        told.contains("2 trials, 1 deviations, 0 of them by chance"),
        "{told}"
    );
    let frozen = Expectations::from_file(&file).unwrap();
    assert_eq!(seen(&frozen), [("x", 2, 2, Frequency::Always)]);
    let error = |file: &Path, version: &str| {
        format!("{:#}", Frozen::into(file, true, version).unwrap_err())
    };
    let other = error(&file, "6.2.2");
    assert!(
        other.contains("of 6.3.4") && other.contains("ours.toml"),
        "{other}"
    );
    let nowhere = error(&folder.path().join("no/such.toml"), "6.3.4");
    assert!(
        nowhere.contains("name a file that can be written"),
        "{nowhere}"
    );
    assert_eq!(seen(&Expectations::from_file(&file).unwrap()).len(), 1);
}
