use std::collections::BTreeMap;

use super::*;
use crate::promise::tests::checks_that_exist;
use crate::scenario;
use crate::verdict::{Finding, Outcome};

/// The releases whose tests were read.
const RELEASES: [&str; 5] = ["5.3.3", "6.0.18", "6.2.2", "6.3.0", "6.3.4"];

#[test]
fn every_test_is_there_once_and_says_what_it_must() {
    let tests = all().unwrap();
    let numbers: Vec<u32> = tests.iter().map(|it| it.number).collect();
    assert_eq!(numbers, (1..=47).collect::<Vec<_>>());
    for it in &tests {
        let number = it.number;
        assert!(!it.says.is_empty() && !it.file.is_empty(), "{number}");
        assert!(RELEASES.contains(&it.since.as_str()), "{number}");
        assert!(!it.checks.is_empty(), "{number} is asked nowhere");
        assert!(!it.commands.is_empty(), "{number} asks no command");
    }
}

#[test]
fn every_check_exists() {
    let exist = checks_that_exist();
    for it in all().unwrap() {
        for wanted in &it.checks {
            let number = it.number;
            let made = exist.iter().any(|check| wanted.includes(check));
            assert!(made, "{number}: nothing makes '{wanted}'");
            let scenario = scenario::all().iter().find(|s| s.name == wanted.scenario);
            let scenario = scenario.unwrap_or_else(|| panic!("{number}: '{wanted}'"));
            if let Some(variant) = &wanted.variant {
                let mut all = scenario.variants.iter().chain(scenario.long);
                assert!(all.any(|it| it == variant), "{number}: '{wanted}'");
            }
        }
    }
}

/// The other way round: what a scenario of upstream's tests checks is asked for by one of them.
#[test]
fn every_check_of_these_scenarios_stands_for_a_test() {
    let asked: Vec<Check> = all()
        .unwrap()
        .into_iter()
        .flat_map(|it| it.checks)
        .collect();
    // What every trial, or a cluster's start, is checked for.
    let of_all = [
        "alive",
        "temp-files",
        "ends",
        "descriptors",
        "logs",
        "starts",
        "completes",
        "fault",
    ];
    for made in checks_that_exist() {
        let general = of_all.contains(&&*made.check) || made.check.starts_with("log:");
        if made.scenario.starts_with("upstream-") && !general {
            let stands = asked
                .iter()
                .any(|it| it.includes(&made) || made.includes(it));
            assert!(stands, "'{made}' stands for none of upstream's tests");
        }
    }
}

fn finished(check: &str, verdict: Verdict, transcript: &str) -> Finished {
    let planned =
        crate::check::plan(&["upstream-pair".to_owned()], crate::scenario::Cost::Normal)[0];
    let finding = Finding {
        check: check.to_owned(),
        promise: String::new(),
        verdict,
        evidence: String::new(),
        state: String::new(),
    };
    Finished {
        planned,
        outcome: Outcome {
            scenario: "upstream-pair".to_owned(),
            variant: String::new(),
            findings: vec![finding],
            measures: Vec::new(),
            headline: String::new(),
            seconds: 1.0,
            tries: 1,
            served_before: 0,
            environment: None,
        },
        artifacts: vec![(TRANSCRIPT.to_owned(), transcript.as_bytes().to_vec())],
    }
}

#[test]
fn what_a_check_did_not_send_is_told() {
    let sent = finished("databases", Verdict::Holds, "SELECT 3\nSET there abcd\n");
    assert_eq!(unsaid(&sent).unwrap(), Vec::<String>::new());
    let not_sent = finished("databases", Verdict::Holds, "SET there abcd\n");
    assert_eq!(
        unsaid(&not_sent).unwrap(),
        ["upstream-pair never said 'SELECT 3', which upstream's test 14 asks for"]
    );
    // One that is broken may have ended before.
    let broken = finished("databases", Verdict::Broken, "");
    assert_eq!(unsaid(&broken).unwrap(), Vec::<String>::new());
    let other = finished("alive", Verdict::Holds, "");
    assert_eq!(unsaid(&other).unwrap(), Vec::<String>::new());
}

#[test]
fn what_is_known_of_a_release_is_read_from_its_expectations() {
    let text = r#"
version = "1.2.3"
holds = ["upstream-pair"]

[[deviation]]
scenario = "upstream-pair"
check = "role"
id = "X1"
kind = "broken"
frequency = "always"
reason = "because"
"#;
    let expectations = [toml::from_str::<Expectations>(text).unwrap()];
    let tests = all().unwrap();
    let ids = |number: usize| tests[number - 1].known(&expectations);
    assert_eq!(ids(1), BTreeMap::from([("1.2.3", BTreeSet::from(["X1"]))]));
    assert_eq!(ids(2), BTreeMap::from([("1.2.3", BTreeSet::new())]));
    assert_eq!(ids(18), BTreeMap::new(), "never measured there");
    let counts = Counts::of(&tests, &expectations);
    assert!(
        counts
            .to_string()
            .ends_with("known to be broken: 1 on 1.2.3")
    );
}
