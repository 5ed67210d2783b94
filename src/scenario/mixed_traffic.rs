//! Traffic of every kind through the proxy and on each primary, while a schedule of faults is
//! followed; then the whole history is judged.
//!
//! Clients that work on a primary have keys of their own, and what they share through the proxy
//! commutes: nothing conflicts, so that everything has to come out right.

use std::time::Duration;

use anyhow::Result;

use super::Scenario;
use crate::cluster::Order;
use crate::exercise::{Exercise, Label};
use crate::history::FILE;
use crate::model::Class;
use crate::property::agreement;
use crate::property::over_history::check_of;
use crate::schedule::{Draw, Schedule, perform};
use crate::topology::{Persistence, Topology, TopologyError};
use crate::trial::Trial;
use crate::verdict::Verdict;
use crate::workload::traffic::{Plan, compatible};

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
        "rolling-none",
        "rolling-rdb",
        "rolling-aof",
        "random-minute",
        "random-ten-minutes",
    ],
    damage: &[Class::DoubleApplication, Class::Expiry, Class::Messages],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// How many operations of each traffic are acknowledged when all that goes wrong has gone wrong.
const ENOUGH: usize = 150;

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
    // Every node in turn, the replicas first: what an upgrade does, without another release.
    const ROLLING: Faults = Steps(&[
        "after 150 operations: stop replica1",
        "after 150 operations: recover",
        "after 150 operations: stop replica2",
        "after 150 operations: recover",
        "after 150 operations: stop primary2",
        "after 150 operations: recover",
        "after 150 operations: stop primary1",
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
        row("rolling-none", None, ROLLING),
        row("rolling-rdb", Rdb, ROLLING),
        row("rolling-aof", Aof, ROLLING),
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

/// The traffics: what comes out right whatever order it crosses in; with leisure where a run takes
/// minutes.
fn plans(trial: &Trial) -> Vec<Plan> {
    let mut plans = compatible(trial.cluster(), trial.seed());
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
    let exercise = Exercise::start(cluster, plans(trial)).await?;
    let stage = exercise.stage();
    // Whatever comes first, there is traffic before it.
    stage.more(ENOUGH).await?;
    if let Some(toothless) = perform(&schedule, &stage).await? {
        trial.inconclusive("fault", "the faults bite", toothless.to_string());
        return Ok(());
    }
    stage.more(ENOUGH).await?;
    let ended = exercise.end().await?;
    let agreed = agreement::check(trial, agreement::AT_THE_END, 1).await;
    let exercised = ended
        .read(Label {
            seed: trial.seed(),
            identity: format!("{}, mixed-traffic/{}", trial.identity(), trial.variant()),
            schedule: schedule.to_string(),
        })
        .await?;
    let saved = &exercised.saved;
    // Kept before it is judged.
    let folder = tempfile::tempdir()?;
    trial.attach(FILE, std::fs::read(saved.save(folder.path())?)?);

    let enough = exercised.enough();
    let is_enough = enough.verdict == Verdict::Holds;
    trial.found(enough);
    if !is_enough {
        return Ok(());
    }
    let faults = schedule.faults().count();
    let (operations, s) = (
        saved.history.operations.len(),
        if faults == 1 { "" } else { "s" },
    );
    trial.headline(format!("{operations} operations, {faults} fault{s}"));
    for mut judgement in exercised.judgements(agreed) {
        judgement.finding.check = check_of(&judgement.finding.check).to_owned();
        trial.found(judgement.finding);
        for measure in judgement.measures {
            trial.measure(measure.name, measure.value, &measure.unit);
        }
    }
    Ok(())
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
