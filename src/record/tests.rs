use super::*;
use crate::verdict::expectation::Expectations;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/runs")
}

#[test]
fn what_is_shipped_is_the_sum_of_the_runs() {
    let summed = Record::of(&fixtures()).unwrap();
    assert!(
        Record::shipped().unwrap() == summed,
        "fixtures/record.toml is not what fixtures/runs/ sums up to: run `keydb-harness tables`"
    );
    assert!(summed.0.len() >= 5);
    assert!(
        summed
            .0
            .values()
            .all(|release| !release.binaries.is_empty())
    );
}

#[test]
fn nothing_is_expected_that_no_run_has_shown() {
    let record = Record::shipped().unwrap();
    let mut unseen = Vec::new();
    for release in Expectations::shipped().unwrap() {
        for deviation in &release.deviations {
            let Seen { broken, n } = record.seen(&release.version, deviation);
            if broken == 0 {
                let Deviation {
                    scenario,
                    variants,
                    check,
                    id,
                    ..
                } = deviation;
                let version = &release.version;
                unseen.push(format!(
                    "{version}: {scenario} {variants:?}: {check} ({id}), 0 of {n}"
                ));
            }
        }
    }
    assert!(
        unseen.is_empty(),
        "a deviation that no kept run shows would hide a regression:\n{}",
        unseen.join("\n")
    );
}

#[test]
fn a_deviation_is_counted_over_its_variants() {
    let tally = |n, check: &str, broken| Tally {
        n,
        broken: [(
            check.to_owned(),
            Broken {
                n: broken,
                last: String::new(),
            },
        )]
        .into(),
        ..Tally::default()
    };
    let trials = [
        ("s/one".to_owned(), tally(5, "c", 2)),
        ("s/two".to_owned(), tally(7, "other", 7)),
        ("s/three".to_owned(), tally(9, "c", 9)),
        ("t".to_owned(), tally(3, "c", 3)),
    ];
    let release = Release {
        trials: trials.into(),
        ..Release::default()
    };
    let record = Record([("1.0".to_owned(), release)].into());
    let text = r#"
        scenario = "s"
        variants = ["one", "two"]
        check = "c"
        id = "X1"
        kind = "broken"
        frequency = "sometimes"
        reason = ""
    "#;
    let deviation: Deviation = toml::from_str(text).unwrap();
    assert_eq!(record.seen("1.0", &deviation), Seen { broken: 2, n: 12 });
    assert_eq!(record.seen("2.0", &deviation), Seen::default());
}

#[test]
fn a_folder_that_holds_something_else_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("other.json"), "{}").unwrap();
    let error = format!("{:#}", runs(folder.path()).unwrap_err());
    assert!(error.contains("other.json"), "{error}");
}
