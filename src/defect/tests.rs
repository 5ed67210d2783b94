use std::path::Path;

use super::*;
use crate::model::mutants;
use crate::record::runs;

fn shipped() -> (Vec<Defect>, Vec<Expectations>, Record) {
    let expectations = Expectations::shipped().unwrap();
    (all().unwrap(), expectations, Record::shipped().unwrap())
}

#[test]
fn every_defect_is_there_once() {
    let defects = all().unwrap();
    let ids: BTreeSet<&str> = defects.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids.len(), defects.len());
    let kinds = [
        ("D", 27),
        ("Q", 13),
        ("C", 16),
        ("L", 16),
        ("I", 13),
        ("E", 6),
        ("K", 7),
        ("U", 12),
    ];
    let wanted = kinds
        .iter()
        .flat_map(|(kind, last)| (1..=*last).map(move |n| format!("{kind}{n}")));
    assert_eq!(
        defects.iter().map(|it| it.id.clone()).collect::<Vec<_>>(),
        wanted.collect::<Vec<_>>()
    );
}

/// Every check that a kept run made, by trial.
fn made() -> BTreeSet<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/runs");
    let trials = runs(&folder)
        .unwrap()
        .into_iter()
        .flat_map(|(_, run)| run.trials);
    let findings = trials.flat_map(|trial| {
        let findings = trial.outcome.findings.into_iter();
        findings.map(move |finding| (trial.id.clone(), finding.check))
    });
    findings.collect()
}

#[test]
fn what_a_row_names_exists() {
    let (defects, expectations, _) = shipped();
    let made = made();
    let caught = mutants::caught_by().unwrap();
    for defect in &defects {
        let id = &defect.id;
        assert_eq!(defect.unknown_quirks().collect::<Vec<_>>(), [""; 0], "{id}");
        for check in &defect.checks {
            let of_it = |(trial, name): &(String, String)| {
                let made = Check::try_from(format!("{trial}: {name}")).unwrap();
                check.includes(&made)
            };
            assert!(made.iter().any(of_it), "{id}: no run made '{check}'");
        }
        for known in &defect.known_as {
            let breaks = expectations.iter().flat_map(|it| &it.deviations).any(|it| {
                it.id == *known && defect.checks.iter().any(|check| check.is_broken_by(it))
            });
            assert!(breaks, "{id}: {known} breaks none of its checks anywhere");
        }
        for name in &defect.quirks {
            let quirk: Quirk = name.parse().unwrap();
            let mut by = caught[&quirk].iter();
            let sees = by.any(|text| {
                let caught = Check::try_from(text.clone()).unwrap();
                defect.checks.iter().any(|check| check.includes(&caught))
            });
            assert!(sees, "{id}: none of its checks catches {name}");
        }
    }
}

#[test]
fn every_defect_ends_in_one_way() {
    let (defects, expectations, record) = shipped();
    for release in expectations.iter().map(|it| it.version.as_str()) {
        let counts = counts(&defects, release, &expectations, &record);
        assert_eq!(counts.values().sum::<usize>(), defects.len(), "{release}");
    }
    let on = |id: &str, release: &str| {
        let defect = defects.iter().find(|it| it.id == id).unwrap();
        defect.on(release, &expectations, &record)
    };
    assert!(matches!(on("D1", "6.3.4"), Ending::Reproduced { .. }));
    assert!(matches!(on("D2", "6.2.2"), Ending::Fixed { .. }));
    assert!(matches!(on("D27", "6.3.4"), Ending::Undecidable(_)));
    assert_eq!(on("D1", "1.0.0"), Ending::NotTried);
}
