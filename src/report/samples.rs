//! A run with one trial of each standing, for the tests of everything that shows runs.

use super::results::{FORMAT, Judged, Results};
use crate::lab::{HaproxyIdentity, Identity, KeydbIdentity};
use crate::verdict::expectation::{Expectations, judge, limitations};
use crate::verdict::{Finding, Measure, Outcome, Verdict};

/// What is known: one deviation that shows, one that does not.
const EXPECTATIONS: &str = r#"
version = "6.3.4"
holds = ["write-reaches-all", "primary-lost", "total-outage", "early-writes", "cold-start"]

[[deviation]]
scenario = "total-outage"
variants = ["aof"]
check = "newest-wins"
id = "F3"
kind = "broken"
frequency = "always"
reason = "a PING while the AOF loads stamps replayed values as new"

[[deviation]]
scenario = "early-writes"
check = "agreement"
id = "F2"
kind = "broken"
frequency = "always"
reason = "what was written before the first link is lost"
"#;

pub(super) fn identity(version: &str) -> Identity {
    Identity {
        testbed: "process".to_owned(),
        keydb: KeydbIdentity {
            spec: format!("version:{version}"),
            version: version.to_owned(),
            git_sha1: "00000000".to_owned(),
            build_id: "1f".to_owned(),
            sha256: "ab".repeat(32),
            model: None,
        },
        haproxy: HaproxyIdentity {
            spec: "path:/usr/sbin/haproxy".to_owned(),
            version: "3.2.4".to_owned(),
        },
    }
}

/// The run, and what it was judged by.
pub(super) fn run() -> (Results, Expectations) {
    use Verdict::{Broken, Holds, Inconclusive};
    let expectations: Expectations = toml::from_str(EXPECTATIONS).unwrap();
    let outcomes = [
        outcome(
            "write-reaches-all",
            "",
            &[("visible", Holds, "50 of 50 keys")],
        ),
        outcome(
            "primary-lost",
            "sigkill",
            &[
                ("survival", Broken, "2 of 614 acknowledged writes missing"),
                ("agreement", Holds, "4 nodes agree on 614 keys"),
            ],
        ),
        outcome(
            "total-outage",
            "aof",
            &[("newest-wins", Broken, "key:1 is old")],
        ),
        outcome("early-writes", "", &[("agreement", Holds, "5 nodes agree")]),
        outcome(
            "split-replids",
            "",
            &[("splits", Broken, "all follow primary1")],
        ),
        outcome(
            "cold-start",
            "",
            &[("fault", Inconclusive, "it did not bite")],
        ),
        Outcome {
            environment: Some("no address is free".to_owned()),
            ..outcome("proxy-restarts", "all-up", &[])
        },
    ];
    let trials: Vec<Judged> = outcomes
        .into_iter()
        .map(|outcome| Judged {
            id: outcome.id(),
            verdict: outcome.verdict(),
            standing: judge(&outcome, Some(&expectations)),
            limitations: limitations(&outcome, Some(&expectations)),
            outcome,
        })
        .collect();
    let unavailable = [("mixed-versions/5.3.3", "KeyDB 5.3.3 is not here")];
    let results = Results {
        format: FORMAT,
        harness: "0.1.0".to_owned(),
        date: "2026-11-25T10:34:50Z".to_owned(),
        identity: identity("6.3.4"),
        seed: 7,
        expectations: Some("6.3.4".to_owned()),
        n: trials.len(),
        seconds: 12.5,
        exit_code: 3,
        unavailable: unavailable
            .map(|(id, why)| (id.to_owned(), why.to_owned()))
            .into(),
        frequencies: std::collections::BTreeMap::new(),
        trials,
    };
    (results, expectations)
}

fn outcome(scenario: &str, variant: &str, findings: &[(&str, Verdict, &str)]) -> Outcome {
    let findings = findings.iter().map(|(check, verdict, evidence)| Finding {
        check: (*check).to_owned(),
        promise: format!("what {check} is about"),
        verdict: *verdict,
        evidence: (*evidence).to_owned(),
        state: String::new(),
    });
    Outcome {
        scenario: scenario.to_owned(),
        variant: variant.to_owned(),
        findings: findings.collect(),
        measures: vec![Measure {
            name: "links up after the start".to_owned(),
            value: 0.5,
            unit: "s".to_owned(),
        }],
        headline: "links up after 0.50 s".to_owned(),
        seconds: 1.5,
        tries: 1,
        served_before: 0,
        environment: None,
    }
}
