//! The proof that no check is blind: the model passes every scenario, every quirk of it is caught
//! by at least one, and every scenario catches at least one. A scenario that needs what no model has
//! must be known to break on a release of KeyDB instead.
//!
//! `KEYDB_HARNESS_BLESS=1` writes the table to `fixtures/mutants.toml`, which `keydb-harness list
//! --quirks` shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use keydb_harness::check::{Planned, available, plan, run_one};
use keydb_harness::lab::Lab;
use keydb_harness::model::Quirk;
use keydb_harness::settings::{Expect, Settings, TestbedChoice};
use keydb_harness::spec::KeydbSpec;
use keydb_harness::testbed::TestbedKind;
use keydb_harness::verdict::expectation::{Expectations, Frequency};
use keydb_harness::verdict::{Outcome, Verdict};

/// How long a condition is waited for that a quirk may keep from coming true.
const DEADLINE: Duration = Duration::from_secs(2);
/// Trials at a time: they mostly wait.
const JOBS: usize = 12;
/// Within which all of it has to be done, on two cores that nothing else uses.
const BUDGET: Duration = Duration::from_secs(90);

/// The checks of a trial that are broken, `scenario/variant: check` each.
fn broken(outcome: &Outcome) -> Vec<String> {
    let findings = outcome.findings.iter();
    findings
        .filter(|finding| finding.verdict == Verdict::Broken)
        .map(|finding| format!("{}: {}", outcome.id(), finding.check))
        .collect()
}

async fn lab() -> Lab {
    let settings = Settings {
        testbed: TestbedChoice::Only(TestbedKind::Embedded),
        seed: Some(1),
        ..Settings::default()
    };
    Lab::open(&settings).await.expect("an embedded lab")
}

#[test]
fn the_model_passes_and_every_quirk_is_caught() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let began = Instant::now();
    let (trials, sound, caught) = runtime.block_on(async {
        let lab = lab().await;
        let (trials, _) = available(&lab, plan(&[], false)).await;
        let (sound, caught) = (sound(&lab, &trials).await, caught(&lab, &trials).await);
        (trials, sound, caught)
    });
    let took = began.elapsed();

    let mut said = table(&caught);
    let mut faults = sound;
    faults.extend(blind_spots(&trials, &caught));
    let _ = writeln!(
        said,
        "{} quirks, {} trials in {:.0} s (budget {} s)",
        caught.len(),
        trials.len()
            + Quirk::ALL
                .iter()
                .map(|quirk| of_its_class(&trials, *quirk).count())
                .sum::<usize>(),
        took.as_secs_f64(),
        BUDGET.as_secs()
    );
    // Not through `print!`, which a passing test swallows.
    let _ = std::io::stderr().write_all(said.as_bytes());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/mutants.toml");
    if std::env::var_os("KEYDB_HARNESS_BLESS").is_some() {
        std::fs::write(path, toml(&caught)).expect("the table can be written");
    } else {
        let known = keydb_harness::model::mutants::caught_by().expect("the table is TOML");
        let unknown = known.iter().filter(|(_, checks)| checks.is_empty());
        faults.extend(unknown.map(|(quirk, _)| {
            format!("fixtures/mutants.toml lacks {quirk}: run with KEYDB_HARNESS_BLESS=1")
        }));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What the model without quirks does not pass.
async fn sound(lab: &Lab, trials: &[Planned]) -> Vec<String> {
    let trials = futures_util::stream::iter(trials)
        .map(|planned| run_one(lab, *planned))
        .buffer_unordered(JOBS);
    let finished: Vec<_> = trials.collect().await;
    let outcomes = finished.into_iter().map(|finished| finished.outcome);
    outcomes
        .filter(|outcome| outcome.verdict() != Verdict::Holds || outcome.environment.is_some())
        .map(|outcome| {
            let findings = outcome.findings.iter();
            let findings = findings
                .filter(|finding| finding.verdict != Verdict::Holds)
                .map(|f| format!("{} {}: {}\n{}", f.verdict, f.check, f.evidence, f.state));
            format!(
                "false alarm in {}: {:?} {}",
                outcome.id(),
                outcome.environment,
                findings.collect::<Vec<_>>().join("; ")
            )
        })
        .collect()
}

/// The trials that look for the damage a quirk does.
fn of_its_class(trials: &[Planned], quirk: Quirk) -> impl Iterator<Item = Planned> {
    trials
        .iter()
        .copied()
        .filter(move |planned| planned.scenario.damage.contains(&quirk.class()))
        .filter(|planned| !PASSED_OVER.contains(&&*planned.id()))
}

/// Trials that cost much and look at nothing that others of their scenario do not: the sound model
/// passes them, quirks are not tried on them.
const PASSED_OVER: [&str; 3] = [
    "mixed-traffic/pause",
    "mixed-traffic/killed-rdb",
    "mixed-traffic/in-turn",
];

/// What catches each quirk.
async fn caught(lab: &Lab, trials: &[Planned]) -> BTreeMap<Quirk, BTreeSet<String>> {
    let pairs = Quirk::ALL
        .iter()
        .flat_map(|quirk| of_its_class(trials, *quirk).map(move |planned| (*quirk, planned)));
    let trials = futures_util::stream::iter(pairs).map(|(quirk, planned): (Quirk, Planned)| {
        let spec = KeydbSpec::Model([quirk].into_iter().collect());
        let lab = lab.impatient(DEADLINE).with_keydb(spec);
        async move { (quirk, run_one(&lab, planned).await.outcome) }
    });
    let mut caught: BTreeMap<Quirk, BTreeSet<String>> = BTreeMap::new();
    let mut trials = trials.buffer_unordered(JOBS);
    while let Some((quirk, outcome)) = trials.next().await {
        caught.entry(quirk).or_default().extend(broken(&outcome));
    }
    caught
}

/// What the table must not have: a quirk that nothing catches, two quirks caught by the same
/// checks, a scenario that catches nothing.
fn blind_spots(trials: &[Planned], caught: &BTreeMap<Quirk, BTreeSet<String>>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut sets: BTreeMap<&BTreeSet<String>, Quirk> = BTreeMap::new();
    for (quirk, checks) in caught {
        if checks.is_empty() {
            faults.push(format!("nothing catches {quirk}: {}", quirk.does()));
        } else if let Some(twin) = sets.insert(checks, *quirk) {
            faults.push(format!("{quirk} and {twin} are caught by the same checks"));
        }
    }
    for scenario in keydb_harness::scenario::all() {
        let catches = |checks: &BTreeSet<String>| {
            checks
                .iter()
                .any(|check| check.split(['/', ':']).next() == Some(scenario.name))
        };
        let runs = trials.iter().any(|it| it.scenario.name == scenario.name);
        if runs && !caught.values().any(catches) {
            faults.push(format!("{} catches no quirk", scenario.name));
        }
        if !runs && !surely_breaks(scenario.name) {
            faults.push(format!(
                "{} runs on no model, and is not known to break on any release",
                scenario.name
            ));
        }
    }
    faults
}

/// Whether a release is known to break a check of this scenario every time.
fn surely_breaks(scenario: &str) -> bool {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/expectations");
    let files = std::fs::read_dir(folder).expect("the folder can be read");
    let files = files.map(|entry| entry.expect("an entry").path());
    let tables = files.filter(|path| path.extension().is_some_and(|it| it == "toml"));
    tables.into_iter().any(|path| {
        let known = Expectations::load(&Expect::File(path), "").expect("expectations parse");
        let deviations = known.map(|known| known.deviations).unwrap_or_default();
        deviations
            .iter()
            .any(|it| it.scenario == scenario && it.frequency == Frequency::Always)
    })
}

fn table(caught: &BTreeMap<Quirk, BTreeSet<String>>) -> String {
    let mut text = String::from("\n");
    for (quirk, checks) in caught {
        let first = checks.iter().next().map_or("NOTHING", String::as_str);
        let _ = writeln!(
            text,
            "{:<26} {:<20} {:>3} checks, among them {first}",
            quirk.name(),
            quirk.class().to_string(),
            checks.len()
        );
    }
    text
}

fn toml(caught: &BTreeMap<Quirk, BTreeSet<String>>) -> String {
    let mut text = String::from(
        "# Which checks catch which quirk of the model: written by tests/mutants.rs with KEYDB_HARNESS_BLESS=1.\n",
    );
    for (quirk, checks) in caught {
        let _ = writeln!(text, "\n{quirk} = [");
        for check in checks {
            let _ = writeln!(text, "    \"{check}\",");
        }
        text.push_str("]\n");
    }
    text
}
