use std::fs;
use std::path::Path;

use super::*;
use crate::model::mutants;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn check(text: &str) -> Check {
    Check::try_from(text.to_owned()).unwrap()
}

/// The rows of a test's table as text: from one `between` to the next.
fn rows(path: &str, between: &str) -> Vec<String> {
    let text = read(path);
    text.split(between).skip(1).map(str::to_owned).collect()
}

/// Rows of `tests/red.rs`: trial, what is done to it, and the checks that must be broken then.
fn sabotages() -> Vec<Vec<String>> {
    let quoted = |text: &str| -> Vec<String> {
        let texts = text.split('"').skip(1).step_by(2);
        texts.map(str::to_owned).collect()
    };
    let row = |row: &String| {
        let (done, checks) = row.split_once("&[").unwrap();
        let (checks, _) = checks.split_once(']').unwrap();
        let mut cells = quoted(done);
        cells.truncate(2);
        cells.extend(quoted(checks));
        cells
    };
    rows("tests/red.rs", "\n    (\n").iter().map(row).collect()
}

/// Every check that a scenario was ever seen to make: in the runs, in what is known of releases, of
/// mutants and of sabotages.
pub(crate) fn checks_that_exist() -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    let caught = mutants::caught_by().unwrap();
    checks.extend(caught.values().flatten().map(|text| check(text)));
    for of_release in Expectations::shipped().unwrap() {
        for deviation in of_release.deviations {
            let (scenario, made) = (&deviation.scenario, &deviation.check);
            checks.push(check(&format!("{scenario}: {made}")));
            let variants = deviation.variants.iter();
            checks.extend(variants.map(|it| check(&format!("{scenario}/{it}: {made}"))));
        }
    }
    for row in sabotages() {
        let (trial, made) = (&row[0], &row[2..]);
        checks.extend(made.iter().map(|made| check(&format!("{trial}: {made}"))));
    }
    let runs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/runs");
    for file in fs::read_dir(runs).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|it| it != "json") {
            continue;
        }
        let run: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for trial in run["trials"].as_array().unwrap() {
            for finding in trial["findings"].as_array().unwrap() {
                let (id, made) = (
                    trial["id"].as_str().unwrap(),
                    finding["check"].as_str().unwrap(),
                );
                checks.push(check(&format!("{id}: {made}")));
            }
        }
    }
    checks
}

#[test]
fn every_promise_is_there_once_and_says_what_it_must() {
    let promises = all().unwrap();
    let ids: Vec<&str> = promises.iter().map(|it| it.id.as_str()).collect();
    let wanted: Vec<String> = (1..=66).map(|n| format!("P{n}")).collect();
    assert_eq!(ids, wanted);
    for it in &promises {
        assert!(!it.says.is_empty() && !it.source.is_empty(), "{}", it.id);
        let reason = matches!(it.strength, Strength::Contradicted | Strength::NotTestable);
        assert_eq!(it.why.is_some(), reason, "{}: why", it.id);
        if it.strength == Strength::NotTestable || !it.is_covered() {
            assert!(!it.was_seen_red(), "{} is not looked at", it.id);
        }
    }
}

#[test]
fn every_check_and_property_exists() {
    let exist = checks_that_exist();
    for it in all().unwrap() {
        for wanted in &it.checks {
            let made = exist.iter().any(|check| wanted.includes(check));
            assert!(made, "{}: nothing makes '{wanted}'", it.id);
            let scenario = scenario::all().iter().find(|s| s.name == wanted.scenario);
            let scenario = scenario.unwrap_or_else(|| panic!("{}: '{wanted}'", it.id));
            if let Some(variant) = &wanted.variant {
                let mut all = scenario.variants.iter().chain(scenario.long);
                assert!(all.any(|it| it == variant), "{}: '{wanted}'", it.id);
            }
        }
        for property in &it.properties {
            let known = over_history::named(property).is_some();
            assert!(known, "{}: no property '{property}'", it.id);
        }
    }
}

#[test]
fn every_quirk_is_caught_by_one_of_the_checks() {
    let caught = mutants::caught_by().unwrap();
    for it in all().unwrap() {
        assert_eq!(it.known_quirks().count(), it.quirks.len(), "{}", it.id);
        let looks = it.looked_at_by();
        for quirk in it.known_quirks() {
            let by = caught[&quirk].iter().map(|text| check(text));
            let mut by = by.filter(|by| looks.iter().any(|look| look.includes(by)));
            assert!(by.next().is_some(), "{}: '{quirk}' is not caught", it.id);
        }
    }
}

#[test]
fn every_row_of_the_relay_breaks_one_of_the_properties() {
    let judged = rows("tests/mutating_relay/histories.rs", "name: \"");
    let messages = read("tests/mutating_relay.rs");
    for it in all().unwrap() {
        for row in &it.relay {
            if messages.contains(&format!("\"{row}\",")) {
                assert!(it.properties.iter().any(|it| it == "messages"), "{row}");
                continue;
            }
            let rest = judged.iter().find_map(|text| text.strip_prefix(row));
            let rest = rest.unwrap_or_else(|| panic!("{}: no row '{row}'", it.id));
            let (_, red) = rest.split_once("red: &[").unwrap();
            let (red, _) = red.split_once(']').unwrap();
            let mut properties = it.properties.iter();
            let breaks = properties.any(|property| red.contains(&format!("\"{property}\"")));
            assert!(breaks, "{}: '{row}' breaks {red}", it.id);
        }
    }
}

#[test]
fn every_sabotage_breaks_one_of_the_checks() {
    let rows = sabotages();
    for it in all().unwrap() {
        for named in &it.sabotages {
            let row = rows
                .iter()
                .find(|row| format!("{}: {}", row[0], row[1]) == *named);
            let row = row.unwrap_or_else(|| panic!("{}: no row '{named}'", it.id));
            let mut made = row[2..]
                .iter()
                .map(|it| check(&format!("{}: {it}", row[0])));
            let looks = it.looked_at_by();
            let breaks = made.any(|made| looks.iter().any(|look| look.includes(&made)));
            assert!(breaks, "{}: '{named}'", it.id);
        }
    }
}

#[test]
fn every_defect_breaks_one_of_the_checks_on_a_release() {
    let expectations = Expectations::shipped().unwrap();
    let mut harmless = Vec::new();
    for it in all().unwrap() {
        let broken = it.broken_on(&expectations);
        for id in &it.defects {
            if !broken.values().any(|ids| ids.contains(id.as_str())) {
                harmless.push(format!("{}: {id}", it.id));
            }
        }
    }
    assert!(
        harmless.is_empty(),
        "break none of its checks: {harmless:?}"
    );
}
