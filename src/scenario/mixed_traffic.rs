//! Traffic of every kind through the proxy and on each primary, while a schedule of faults is
//! followed; then the whole history is judged.
//!
//! Clients that work on a primary have keys of their own, and what they share through the proxy
//! commutes: nothing conflicts, so that everything has to come out right.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Scenario;
use crate::cluster::{Order, finals};
use crate::history::{
    FILE, History, INTERVAL, Moment, Phase, Recording, Saved, Subject, Taps, Watch,
};
use crate::judge::judge;
use crate::model::Class;
use crate::property::agreement;
use crate::property::over_history::check_of;
use crate::schedule::{Draw, Schedule, Stage, perform};
use crate::topology::{Persistence, Topology, TopologyError};
use crate::trial::Trial;
use crate::workload::traffic::{Confirm, Contention, Kind, Mix, Plan, Route, Subscribers, Traffic};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "mixed-traffic",
    title: "traffic of every kind, on every primary and through the proxy, while something fails",
    promise: "nothing acknowledged is lost, nothing counts twice, nothing deleted returns, all nodes end equal",
    source: "KeyDB docs active-rep.md (both nodes stay synced; writes reach the other side); replication.md, WAIT",
    seconds: 15,
    variants: &["steady", "cut", "pause", "sigkill", "killed-rdb", "in-turn"],
    long: &[
        "frozen",
        "one-way",
        "killed-none",
        "killed-aof",
        "replicas-move",
        "random-minute",
        "random-ten-minutes",
    ],
    damage: &[Class::DoubleApplication, Class::Expiry, Class::Messages],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// Below this rate before the fault the run says nothing, operations a second of each traffic.
const MINIMUM_RATE: f64 = 20.0;
/// How many operations of each traffic are acknowledged when all that goes wrong has gone wrong.
const ENOUGH: usize = 150;
/// How long after the end of traffic no key that it set briefly may be anywhere: two seconds to live
/// at most, and one within which a node ought to have seen that they are over.
const BRIEF_LIFE_IS_OVER: Duration = Duration::from_millis(3_200);

/// What a variant is.
struct Row {
    variant: &'static str,
    persistence: Persistence,
    plan: Faults,
}

/// What goes wrong in a variant.
enum Faults {
    /// These steps.
    Steps(&'static [&'static str]),
    /// What chance has, so long. Clients take their time, so that a history stays small.
    Drawn(Duration),
}

const ROWS: &[Row] = &{
    use Faults::{Drawn, Steps};
    use Persistence::{Aof, None, Rdb};
    const fn row(variant: &'static str, persistence: Persistence, plan: Faults) -> Row {
        Row {
            variant,
            persistence,
            plan,
        }
    }
    const KILLED: Faults = Steps(&[
        "after 150 operations: kill primary1",
        "after 150 operations: recover",
    ]);
    [
        row("steady", None, Steps(&["after 150 operations: nothing"])),
        row(
            "cut",
            None,
            Steps(&[
                "after 150 operations: cut primary1<->primary2",
                "after 150 operations: recover",
            ]),
        ),
        row(
            "frozen",
            None,
            Steps(&[
                "after 150 operations: black-hole primary1<->primary2",
                "after 150 operations: recover",
            ]),
        ),
        row(
            "one-way",
            None,
            Steps(&[
                "after 150 operations: one-way primary1->primary2",
                "after 150 operations: recover",
            ]),
        ),
        row(
            "pause",
            None,
            Steps(&[
                "after 150 operations: pause primary1",
                "after 150 operations: recover",
            ]),
        ),
        // It stays away.
        row(
            "sigkill",
            None,
            Steps(&["after 150 operations: kill primary1"]),
        ),
        row("killed-none", None, KILLED),
        row("killed-rdb", Rdb, KILLED),
        row("killed-aof", Aof, KILLED),
        row(
            "in-turn",
            Rdb,
            Steps(&[
                "after 150 operations: stop primary1",
                "after 150 operations: recover",
                "after 150 operations: stop primary2",
                "after 150 operations: recover",
            ]),
        ),
        row(
            "replicas-move",
            None,
            Steps(&[
                "after 150 operations: maintenance primary1",
                "after 150 operations: recover",
                "after 150 operations: maintenance primary2",
                "after 150 operations: recover",
            ]),
        ),
        row("random-minute", Rdb, Drawn(Duration::from_secs(60))),
        row("random-ten-minutes", Rdb, Drawn(Duration::from_secs(600))),
    ]
};

/// Between the operations of a client where a run takes minutes.
const LEISURE: Duration = Duration::from_millis(40);

fn row(variant: &str) -> &'static Row {
    let found = ROWS.iter().find(|row| row.variant == variant);
    found.unwrap_or(&ROWS[0])
}

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let row = row(variant);
    let topology = Topology::active_active()
        .replicas(2)
        // Whatever a machine makes of a while without a link: the rest can be caught up with.
        .option("repl-backlog-size", "64mb")
        .persistence(row.persistence);
    match row.plan {
        Faults::Steps(_) => topology.relayed().build(),
        Faults::Drawn(_) => topology.relayed_to_the_proxy_too().build(),
    }
}

/// What goes wrong when: what the run asks for, or the variant's own.
fn schedule(trial: &Trial) -> Result<Schedule> {
    if let Some(schedule) = trial.schedule() {
        return Ok(schedule.clone());
    }
    let milliseconds = |(least, most)| (Duration::from_millis(least), Duration::from_millis(most));
    match row(trial.variant()).plan {
        Faults::Steps(steps) => Ok(Schedule::of(trial.seed(), steps)?),
        Faults::Drawn(length) => Ok(Draw {
            length,
            calm: milliseconds((1000, 4000)),
            lasts: milliseconds((500, 4000)),
        }
        .of(trial.seed(), trial.cluster())),
    }
}

/// What a client may do on keys that nobody else has.
const ALONE: &[Kind] = &[
    Kind::Set,
    Kind::Get,
    Kind::Delete,
    Kind::SetFor,
    Kind::GetMortal,
    Kind::SetBriefly,
    Kind::CutShort,
    Kind::GetBrief,
    Kind::Increment,
    Kind::GetCounter,
    Kind::Append,
    Kind::Push,
    Kind::Add,
    Kind::Remove,
    Kind::PutField,
    Kind::Score,
    Kind::Log,
    Kind::Entries,
    Kind::SetAll,
    Kind::ScriptSetAll,
    Kind::GetAll,
    Kind::Publish,
];
/// What clients may do on the same keys at the same time.
const TOGETHER: &[Kind] = &[Kind::Increment, Kind::Add, Kind::Publish];
/// What one client does on keys that others read elsewhere.
const BRIEF: &[Kind] = &[Kind::SetBriefly, Kind::CutShort, Kind::GetBrief];

/// The traffics: on each primary, through the proxy, and on the other primary and a replica of what
/// soon expires; without what the servers lack.
fn plans(trial: &Trial) -> Vec<Plan> {
    let (seed, lacks) = (trial.seed(), trial.cluster().lacks());
    let alike = |kinds: &[Kind]| Mix::new(kinds.iter().map(|kind| (*kind, 1))).without(lacks);
    let on = |node: &str, number: u64| Plan {
        route: Route::Node(node.to_owned()),
        contention: Contention::Own(4),
        databases: 2,
        seed: seed ^ number,
        ..Plan::new(node, alike(ALONE))
    };
    let shared = Plan {
        seed: seed ^ 3,
        confirm: Some(Confirm {
            every: 10,
            replicas: 1,
            within: Duration::from_millis(500),
        }),
        ..Plan::new("shared", alike(TOGETHER))
    };
    let brief = |node: &str, kinds: &[Kind], number: u64| Plan {
        clients: 1,
        route: Route::Node(node.to_owned()),
        seed: seed ^ number,
        ..Plan::new("brief", alike(kinds))
    };
    let mut plans = vec![
        on("primary1", 1),
        on("primary2", 2),
        shared,
        brief("primary1", BRIEF, 4),
        brief("primary2", &[Kind::GetBrief], 5),
        brief("replica1", &[Kind::GetBrief], 6),
    ];
    if matches!(row(trial.variant()).plan, Faults::Drawn(_)) {
        for plan in &mut plans {
            plan.pace = LEISURE;
        }
    }
    plans
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let schedule = schedule(trial)?;
    trial.announce(schedule.to_string());
    let recording = Recording::new();
    let watch = Watch::start(cluster, &recording, INTERVAL);
    let taps = Taps::on(cluster, &recording);
    let subscribers = Subscribers::start(cluster, &recording).await?;
    let plans = plans(trial);
    let mut traffics = Vec::new();
    for plan in &plans {
        let traffic = Traffic::start(cluster, &recording, plan)?;
        traffics.push((plan.route.clone(), traffic));
    }
    let stage = Stage {
        cluster,
        recording: &recording,
        traffics: &traffics,
    };
    // Whatever comes first, there is traffic before it.
    stage.more(ENOUGH).await?;
    if let Some(toothless) = perform(&schedule, &stage).await? {
        trial.inconclusive("fault", "the faults bite", toothless.to_string());
        return Ok(());
    }
    stage.more(ENOUGH).await?;
    for (_, traffic) in traffics.drain(..) {
        traffic.end().await?;
    }
    let ended = Instant::now();
    subscribers.end(cluster).await?;
    let agreed = agreement::check(trial, "agreement", 1).await;
    // Time itself is what is waited for.
    tokio::time::sleep_until((ended + BRIEF_LIFE_IS_OVER).into()).await;
    let ends = finals::collect_twice(cluster, &recording, &taps).await?;
    watch.stop().await;
    let crossed = taps.finish();
    let saved = Saved {
        seed: trial.seed(),
        identity: format!("{}, mixed-traffic/{}", trial.identity(), trial.variant()),
        schedule: schedule.to_string(),
        persistence: cluster.persistence(),
        history: recording.finish(),
        finals_from: ends.finals_from,
        crossings: crossed.crossings,
        forgotten: crossed.forgotten,
        finals: ends.finals,
        finals_at: Some(ends.finals_at),
        later: Some(ends.later),
    };
    // Kept before it is judged.
    let folder = tempfile::tempdir()?;
    trial.attach(FILE, std::fs::read(saved.save(folder.path())?)?);

    let struck_at = first_fault(&saved.history);
    let mut exercised = Vec::new();
    for plan in &plans {
        exercised.push(plan.exercised(&saved.history, struck_at, MINIMUM_RATE));
    }
    let promise = "there is traffic of every kind before the fault";
    match exercised.into_iter().collect::<Result<Vec<_>, _>>() {
        Ok(said) => trial.check("traffic", promise, Ok::<_, String>(said.join("; "))),
        Err(missing) => {
            trial.inconclusive("traffic", promise, missing);
            return Ok(());
        }
    };
    let faults = schedule.faults().count();
    let (operations, s) = (
        saved.history.operations.len(),
        if faults == 1 { "" } else { "s" },
    );
    trial.headline(format!("{operations} operations, {faults} fault{s}"));
    for judgement in judge(&saved) {
        // Where nodes are not equal that is told above, and each property tells why.
        if judgement.finding.check == "convergence" && !agreed {
            continue;
        }
        let mut finding = judgement.finding;
        if finding.verdict == crate::verdict::Verdict::Holds {
            finding.evidence = format!("{}; {}", finding.evidence, judgement.power);
        }
        finding.check = check_of(&finding.check).to_owned();
        trial.found(finding);
        for measure in judgement.measures {
            trial.measure(measure.name, measure.value, &measure.unit);
        }
    }
    Ok(())
}

/// When the first fault was injected; the end, if there was none.
fn first_fault(history: &History) -> Moment {
    let injected = history.events.iter().find(|event| {
        matches!(
            event.subject,
            Subject::Fault {
                phase: Phase::Injected,
                ..
            }
        )
    });
    injected.map_or(history.length, |event| event.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_variant_has_a_row_and_a_schedule() {
        let variants = SCENARIO.variants.iter().chain(SCENARIO.long);
        let variants: BTreeSet<_> = variants.collect();
        let rows: BTreeSet<_> = ROWS.iter().map(|row| &row.variant).collect();
        assert_eq!(rows, variants);
        for row in ROWS {
            if let Faults::Steps(steps) = row.plan {
                Schedule::of(1, steps).unwrap();
            }
        }
    }
}
