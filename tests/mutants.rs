//! The proof that no check is blind: the model passes every scenario, every quirk of it is caught
//! by at least one, and every scenario catches at least one. A scenario that needs what no model has
//! must be known to break on a release of KeyDB instead.
//!
//! Which check catches which quirk stands in `fixtures/mutants.toml`, which `keydb-harness list
//! --quirks` shows. Each time every quirk is tried in one trial that the table names for it; the
//! ignored test tries it in all of them and, with `KEYDB_HARNESS_BLESS=1`, writes the table.

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

/// Each quirk with the checks that caught it, `scenario/variant: check` each.
type Caught = BTreeMap<Quirk, BTreeSet<String>>;

/// Trials of quirks, by their id, with the checks that turned red.
type Outcomes = Vec<(Quirk, String, Vec<String>)>;

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
        let (trials, _) = available(&lab, plan(&[], false)).await;
        let mut faults = blind_spots(&trials, &known);
        let (alarms, costs) = sound(&lab, &trials).await;
        faults.extend(alarms);
        let chosen = cheapest(&trials, &known, &costs);
        let tried = chosen.len();
        let caught = caught(&lab, chosen).await;
        faults.extend(not_caught(&caught, &known));
        (faults, tried)
    });
    say(&format!(
        "{} quirks, each in the cheapest trial that the table names for it: {tried} trials in {:.0} s (budget {} s)\n",
        known.len(),
        began.elapsed().as_secs_f64(),
        BUDGET.as_secs()
    ));
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
#[ignore = "every quirk in every trial that looks for its damage: minutes; KEYDB_HARNESS_BLESS=1 writes the table"]
fn the_table_is_complete() {
    let (trials, caught) = runtime().block_on(async {
        let lab = lab().await;
        let (trials, _) = available(&lab, plan(&[], false)).await;
        let pairs = Quirk::ALL
            .iter()
            .flat_map(|quirk| of_its_class(&trials, *quirk).map(move |planned| (*quirk, planned)))
            .collect();
        let caught = by_quirk(caught(&lab, pairs).await);
        (trials, caught)
    });
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

/// For each quirk the trial that catches it at the least cost, best of a scenario that nothing else
/// stands for yet; and one for each scenario that is left.
fn cheapest(
    trials: &[Planned],
    known: &Caught,
    costs: &BTreeMap<String, Duration>,
) -> Vec<(Quirk, Planned)> {
    let catching = |quirk: &Quirk, planned: &Planned| {
        let id = format!("{}: ", planned.id());
        known[quirk].iter().any(|check| check.starts_with(&id))
    };
    let mut covered: BTreeSet<&str> = BTreeSet::new();
    let mut chosen = Vec::new();
    for quirk in known.keys() {
        let candidates = trials.iter().filter(|planned| catching(quirk, planned));
        let cost = |planned: &&Planned| {
            let seen = covered.contains(planned.scenario.name);
            (seen, costs.get(&planned.id()).copied())
        };
        if let Some(planned) = candidates.min_by_key(cost) {
            covered.insert(planned.scenario.name);
            chosen.push((*quirk, *planned));
        }
    }
    let pairs = known
        .keys()
        .flat_map(|quirk| trials.iter().map(move |planned| (*quirk, *planned)));
    let mut left: Vec<_> = pairs
        .filter(|(quirk, planned)| catching(quirk, planned))
        .collect();
    left.sort_by_key(|(_, planned)| costs.get(&planned.id()).copied());
    for (quirk, planned) in left {
        if covered.insert(planned.scenario.name) {
            chosen.push((quirk, planned));
        }
    }
    chosen
}

/// Trials in which nothing turned red of what the table says. Where the table says that a trial does
/// not even begin, it may as well not go on.
fn not_caught(caught: &Outcomes, known: &Caught) -> Vec<String> {
    let gets_nowhere = |check: &str, trial: &str| {
        ["starts", "completes"]
            .iter()
            .any(|it| *check == format!("{trial}: {it}"))
    };
    let missed = caught.iter().filter(|(quirk, trial, checks)| {
        let known = &known[quirk];
        let nowhere = known.iter().any(|check| gets_nowhere(check, trial));
        checks
            .iter()
            .all(|check| !known.contains(check) && !(nowhere && gets_nowhere(check, trial)))
    });
    missed
        .map(|(quirk, trial, checks)| {
            format!(
                "{quirk} is not caught by {trial}, as fixtures/mutants.toml has it; red: {checks:?}"
            )
        })
        .collect()
}

/// What the model without quirks does not pass, and how long each trial took.
async fn sound(lab: &Lab, trials: &[Planned]) -> (Vec<String>, BTreeMap<String, Duration>) {
    let trials = futures_util::stream::iter(trials)
        .map(|planned| async {
            let began = Instant::now();
            let outcome = run_one(lab, *planned).await.outcome;
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

/// What turned red in each of these trials.
async fn caught(lab: &Lab, pairs: Vec<(Quirk, Planned)>) -> Outcomes {
    let trials = futures_util::stream::iter(pairs).map(|(quirk, planned)| {
        let spec = KeydbSpec::Model([quirk].into_iter().collect());
        let lab = lab.impatient(DEADLINE).with_keydb(spec);
        async move {
            let outcome = run_one(&lab, planned).await.outcome;
            (quirk, planned.id(), broken(&outcome))
        }
    });
    trials.buffer_unordered(JOBS).collect().await
}

/// The checks of each quirk, over all its trials.
fn by_quirk(outcomes: Outcomes) -> Caught {
    let mut caught = Caught::new();
    for (quirk, _, checks) in outcomes {
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
