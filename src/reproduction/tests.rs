use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;
use crate::settings::Expect;
use crate::verdict::expectation::{Expectations, Frequency};

const VERSIONS: [&str; 5] = ["5.3.3", "6.0.18", "6.2.2", "6.3.0", "6.3.4"];

#[test]
fn ids_are_unique_and_found_in_small_letters_too() {
    let ids: BTreeSet<&str> = all().iter().map(|it| it.id).collect();
    assert_eq!(ids.len(), all().len());
    assert_eq!(named("f6").map(|it| it.id), Some("F6"));
    assert!(named("F99").is_none());
}

#[test]
fn every_reproduction_makes_a_folder_whose_script_is_short_and_parses() {
    for it in all() {
        let script = (it.script)();
        assert!(
            script.lines() <= MOST_LINES,
            "{}: {}",
            it.id,
            script.lines()
        );
        assert_eq!(script.answers(), it.expected.len(), "{}: answers", it.id);
        assert_eq!(it.right.len(), it.expected.len(), "{}: right", it.id);
        assert_ne!(it.right, it.expected, "{}", it.id);
        assert!(!it.seen_on.is_empty(), "{}", it.id);
        assert!(
            it.seen_on.iter().all(|on| !it.not_on.contains(on)),
            "{}",
            it.id
        );
        let folder = it.folder(None).expect(it.id);
        let text = &folder.files[SCRIPT];
        assert!(
            text.lines()
                .filter(|line| line.contains("keydb-cli"))
                .count()
                <= MOST_LINES,
            "{}",
            it.id
        );
        parses(text);
        assert!(!folder.files[EXPECTED].trim().is_empty());
        assert!(folder.files["README.md"].contains(it.promise));
        assert!(folder.files.contains_key("primary2.conf"));
        assert_eq!(
            folder.files.contains_key("haproxy.cfg"),
            text.contains("HAPROXY_IMAGE")
        );
    }
}

/// `sh -n` has nothing against it.
fn parses(script: &str) {
    let mut sh = Command::new("sh")
        .arg("-n")
        .stdin(Stdio::piped())
        .spawn()
        .expect("sh");
    let mut stdin = sh.stdin.take().expect("piped");
    stdin.write_all(script.as_bytes()).expect("written");
    drop(stdin);
    assert!(sh.wait().expect("ended").success(), "{script}");
}

#[test]
fn every_known_deviation_is_shown_or_it_is_said_why_not() {
    let mut lacking = Vec::new();
    for version in VERSIONS {
        let shipped = Expectations::load(&Expect::Shipped, version).expect("parses");
        for deviation in shipped.expect(version).deviations {
            let id = &*deviation.id;
            let excused = NOT_SHOWN.iter().any(|(known, _)| *known == id);
            let shown = all().iter().any(|it| it.id == id);
            assert!(shown || excused, "{version}: {id}");
            if deviation.frequency == Frequency::Always && !excused {
                let (scenario, check) = (&*deviation.scenario, &*deviation.check);
                let all = vec![String::new()];
                let variants = if deviation.variants.is_empty() {
                    &all
                } else {
                    &deviation.variants
                };
                for variant in variants {
                    let found = explaining(scenario, variant, check, version);
                    let found = found.map_or("nothing", |found| found.id);
                    if !found.starts_with(id) {
                        lacking.push(format!(
                            "{version} {scenario}/{variant}: {check} is {id}, not {found}"
                        ));
                    }
                }
            }
        }
    }
    assert!(lacking.is_empty(), "\n{}", lacking.join("\n"));
}

#[test]
fn what_is_not_shown_is_not_shown() {
    for (id, reason) in NOT_SHOWN {
        assert!(named(id).is_none(), "{id}");
        assert!(!reason.is_empty(), "{id}");
    }
}

#[test]
fn every_explained_trial_is_one() {
    for (trial, check) in all().iter().flat_map(|it| it.explains) {
        let (scenario, variant) = trial.split_once('/').unwrap_or((trial, ""));
        let known = crate::scenario::all().iter().find(|it| it.name == scenario);
        let known = known.unwrap_or_else(|| panic!("{trial}: {check}"));
        assert!(
            variant.is_empty() || known.variants.contains(&variant),
            "{trial}"
        );
    }
}

#[test]
fn images_are_those_of_the_version_or_by_reference() {
    let compose = |keydb: Option<&str>| {
        let keydb = keydb.map(|text| text.parse().expect("a SPEC"));
        let folder = named("F6").expect("there").folder(keydb.as_ref());
        folder.map(|folder| folder.files["docker-compose.yml"].clone())
    };
    let text = compose(None).expect("renders");
    assert!(
        text.contains("${KEYDB_IMAGE:-eqalpha/keydb:x86_64_v6.3.4}"),
        "{text}"
    );
    let text = compose(Some("version:6.2.2")).expect("renders");
    assert!(
        text.contains("${KEYDB_IMAGE:-eqalpha/keydb:x86_64_v6.2.2}"),
        "{text}"
    );
    let text = compose(Some("image:mine:1")).expect("renders");
    assert!(text.contains("${KEYDB_IMAGE:-mine:1}"), "{text}");
    let error = compose(Some("path:/opt/keydb-server")).expect_err("no image");
    assert!(error.to_string().contains("image:REF"), "{error}");
}
