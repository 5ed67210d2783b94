//! The proof that no check is blind: the model passes every scenario, every quirk of it is caught
//! by at least one, and every scenario catches at least one. A scenario that needs what no model has
//! must be known to break on a release of KeyDB instead.
//!
//! Which check catches which quirk stands in `fixtures/mutants.toml`, which `keydb-harness list
//! --quirks` shows. Each time every quirk is tried in trials that the table names for it, until one
//! catches it; the ignored test tries it in all and, with `KEYDB_HARNESS_BLESS=1`, writes the table.
//! `KEYDB_HARNESS_ONLY=NAME` has it try the trials alone whose name contains that, and leaves what the
//! table says of others as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use keydb_harness::check::{Planned, available, plan, run_one, run_until_conclusive};
use keydb_harness::lab::Lab;
use keydb_harness::model::Quirk;
use keydb_harness::scenario::Cost;
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

/// Each quirk with the checks that caught it, `scenario/variant: check` each.
type Caught = BTreeMap<Quirk, BTreeSet<String>>;

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
    let began = Instant::now();
    let known = keydb_harness::model::mutants::caught_by().expect("the table is TOML");
    let known: Caught = known
        .into_iter()
        .map(|(quirk, checks)| (quirk, checks.into_iter().collect()))
        .collect();
    let (faults, tried) = runtime().block_on(async {
        let lab = lab().await;
        let (trials, _) = available(&lab, plan(&[], Cost::Normal)).await;
        let mut faults = blind_spots(&trials, &known);
        let (alarms, costs) = sound(&lab, &trials).await;
        faults.extend(alarms);
        let (missed, tried) = tried(&lab, rows(&trials, &known, &costs)).await;
        faults.extend(missed);
        (faults, tried)
    });
    say(&format!(
        "{} quirks, each in the cheapest trials that the table names for it until one catches it: \
         {tried} trials in {:.0} s (budget {} s)\n",
        known.len(),
        began.elapsed().as_secs_f64(),
        BUDGET.as_secs()
    ));
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
#[ignore = "every quirk in every trial that looks for its damage: minutes; KEYDB_HARNESS_BLESS=1 writes the table"]
fn the_table_is_complete() {
    let only: Vec<String> = std::env::var("KEYDB_HARNESS_ONLY").into_iter().collect();
    let (trials, mut caught) = runtime().block_on(async {
        let lab = lab().await;
        let (trials, _) = available(&lab, plan(&[], Cost::Normal)).await;
        let (tried, _) = available(&lab, plan(&only, Cost::Normal)).await;
        let pairs = Quirk::ALL
            .iter()
            .flat_map(|quirk| of_its_class(&tried, *quirk).map(move |planned| (*quirk, planned)))
            .collect();
        let caught = caught(&lab, pairs).await;
        (trials, caught)
    });
    if let [name] = &only[..] {
        let known = keydb_harness::model::mutants::caught_by().expect("the table is TOML");
        for (quirk, checks) in known {
            let others = checks.into_iter().filter(|check| {
                let trial = check.split(": ").next().unwrap_or_default();
                !trial.contains(name.as_str())
            });
            caught.entry(quirk).or_default().extend(others);
        }
    }
    say(&table(&caught));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/mutants.toml");
    if std::env::var_os("KEYDB_HARNESS_BLESS").is_some() {
        std::fs::write(path, toml(&caught)).expect("the table can be written");
    }
    let faults = blind_spots(&trials, &caught);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

/// Not through `print!`, which a passing test swallows.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// What has to be caught, and the trials that may catch it, best first.
struct Row {
    what: String,
    trials: Vec<(Quirk, Planned, BTreeSet<String>)>,
}

/// A row for each quirk, and one for each scenario that is nobody's first choice. Trials that the
/// quirk does not just keep from starting come first, then cheap ones, and among scenarios those
/// that nothing stands for yet.
fn rows(trials: &[Planned], known: &Caught, costs: &BTreeMap<String, Duration>) -> Vec<Row> {
    let catching = |quirk: Quirk| {
        trials.iter().filter_map(move |planned| {
            let id = format!("{}: ", planned.id());
            let checks = known[&quirk].iter().filter(|check| check.starts_with(&id));
            let checks: BTreeSet<String> = checks.cloned().collect();
            (!checks.is_empty()).then_some((quirk, *planned, checks))
        })
    };
    let cost = |(_, planned, checks): &(Quirk, Planned, BTreeSet<String>)| {
        let weak = checks
            .iter()
            .all(|check| check.ends_with(": starts") || check.ends_with(": completes"));
        (weak, costs.get(&planned.id()).copied())
    };
    let mut covered: BTreeSet<&str> = BTreeSet::new();
    let mut rows = Vec::new();
    for quirk in known.keys() {
        let mut trials: Vec<_> = catching(*quirk).collect();
        trials.sort_by_key(|trial| (covered.contains(trial.1.scenario.name), cost(trial)));
        covered.extend(trials.first().map(|(_, planned, _)| planned.scenario.name));
        let what = format!("{quirk} is caught");
        rows.push(Row { what, trials });
    }
    let all: BTreeSet<&str> = trials.iter().map(|it| it.scenario.name).collect();
    for scenario in all.difference(&covered) {
        let trials = known.keys().flat_map(|quirk| catching(*quirk));
        let mut trials: Vec<_> = trials
            .filter(|(_, planned, _)| planned.scenario.name == *scenario)
            .collect();
        trials.sort_by_key(cost);
        let what = format!("{scenario} catches a quirk");
        rows.push(Row { what, trials });
    }
    rows
}

/// How often the trials of a row are gone through. That a check can turn red is shown by once; a machine
/// under load may keep a trial from coming to it.
const ROUNDS: usize = 2;

/// Goes through the trials of each row until one turns red as the table has it; the rows of which
/// none did, and how many trials were made.
async fn tried(lab: &Lab, rows: Vec<Row>) -> (Vec<String>, usize) {
    let rows = futures_util::stream::iter(rows).map(|row| async move {
        let mut red = Vec::new();
        let rounds = (0..ROUNDS).flat_map(|_| &row.trials);
        for (count, (quirk, planned, checks)) in rounds.enumerate() {
            let found = under(lab, *quirk, *planned).await;
            if found.iter().any(|check| checks.contains(check)) {
                return (None, count + 1);
            }
            red.push(format!("{quirk} in {}: red are {found:?}", planned.id()));
        }
        let missed = format!("not so: {}; {}", row.what, red.join("; "));
        (Some(missed), red.len())
    });
    let (missed, counts): (Vec<_>, Vec<_>) = rows.buffer_unordered(JOBS).collect().await;
    (missed.into_iter().flatten().collect(), counts.iter().sum())
}

/// What the model without quirks does not pass, and how long each trial took.
async fn sound(lab: &Lab, trials: &[Planned]) -> (Vec<String>, BTreeMap<String, Duration>) {
    let trials = futures_util::stream::iter(trials)
        .map(|planned| async {
            let began = Instant::now();
            let outcome = run_until_conclusive(lab, *planned).await.outcome;
            (outcome, began.elapsed())
        })
        .buffer_unordered(JOBS);
    let finished: Vec<(Outcome, Duration)> = trials.collect().await;
    let costs = finished.iter().map(|(outcome, took)| (outcome.id(), *took));
    let costs = costs.collect();
    let outcomes = finished.into_iter().map(|(outcome, _)| outcome);
    let alarms = outcomes
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
        .collect();
    (alarms, costs)
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

/// The checks that turn red in a trial of the model with a quirk.
async fn under(lab: &Lab, quirk: Quirk, planned: Planned) -> Vec<String> {
    let spec = KeydbSpec::Model([quirk].into_iter().collect());
    let lab = lab.impatient(DEADLINE).with_keydb(spec);
    broken(&run_one(&lab, planned).await.outcome)
}

/// The checks of each quirk, over all its trials.
async fn caught(lab: &Lab, pairs: Vec<(Quirk, Planned)>) -> Caught {
    let trials = futures_util::stream::iter(pairs)
        .map(|(quirk, planned)| async move { (quirk, under(lab, quirk, planned).await) });
    let mut trials = trials.buffer_unordered(JOBS);
    let mut caught = Caught::new();
    while let Some((quirk, checks)) = trials.next().await {
        caught.entry(quirk).or_default().extend(checks);
    }
    caught
}

/// What the table must not have: a quirk that nothing catches, two quirks caught by the same
/// checks, a scenario that catches nothing.
fn blind_spots(trials: &[Planned], caught: &Caught) -> Vec<String> {
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

fn table(caught: &Caught) -> String {
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

fn toml(caught: &Caught) -> String {
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
