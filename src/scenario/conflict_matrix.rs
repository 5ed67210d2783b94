//! Every kind of write against every other on the same keys, made on the two primaries while neither
//! hears the other: how each pair of writes ends. `keydb-harness matrix` shows it as a table.
//!
//! All pairs share a cluster and a fault. The first primary's writes are all made before the second's,
//! and neither has crossed when the second's are done; with links up they are sent at the same time.
//! The first eight kinds and the further ones are judged by checks of their own. What a server lacks
//! (the embedded model has no streams and no Lua) is left out, and the headline says so.

mod ends;
mod promises;
mod twins;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use redis::cmd;
use tokio::time::sleep;

use super::{PARTED, Scenario};
use crate::behaviour::lacking;
use crate::cluster::{Cluster, Order};
use crate::fault::{BlackHole, Cut, Delay, Together};
use crate::model::Class;
use crate::property::agreement;
use crate::property::resync;
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;
use crate::workload::conflict::{COMMANDS, DATABASES, KEYS, Pair, pairs};
use ends::Ends;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "conflict-matrix",
    title: "every kind of write against every other on the same keys, one on each primary",
    promise: "all nodes end with the same data: the newest write of a key, and every addition to it",
    source: "KeyDB docs active-rep.md (the last write wins; both servers end with a superset of the data)",
    seconds: 8,
    variants: &["up", LATE, "frozen", "cut", FULL],
    long: &[],
    damage: &[Class::Divergence, Class::LostWrite],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// The variant in which everything comes late.
const LATE: &str = "delayed";
/// How late at first. Where that was too soon for this machine, it is tried again with twice the delay.
const DELAY: Duration = Duration::from_millis(2500);
/// How often that is tried.
const TRIES: u32 = 5;
/// Between the first primary's writes and the second's: with 5 ms 5.3.3 does not tell which of two is
/// newer (measured).
const APART: Duration = Duration::from_millis(150);
/// The variant in which more is written than can be caught up with: both sides resync in full.
const FULL: &str = "cut-full";
/// How many further keys each primary writes for that, and the bytes of each value.
const FILLERS: usize = 64;
const FILLER: usize = 1024;
/// Pairs whose writes are sent together.
const AT_ONCE: usize = 64;

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let topology = Topology::active_active().replicas(2).relayed();
    let topology = topology.option("databases", DATABASES.to_string());
    match variant {
        FULL => topology.option("repl-backlog-size", "16kb").build(),
        _ => topology.build(),
    }
}

fn between(variant: &str, delay: Duration) -> Option<Together> {
    let (one, two) = ("primary1", "primary2");
    match variant {
        LATE => Some(Together::between(one, two, || Delay(delay))),
        "frozen" => Some(Together::between(one, two, || BlackHole)),
        "cut" | FULL => Some(Together::between(one, two, || Cut)),
        _ => None,
    }
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let pairs = able(trial).await?;
    let mut delay = DELAY;
    let mut tries = 1;
    let (served, in_order) = loop {
        prepare(cluster, &pairs).await?;
        let served = resync::before(cluster).await?;
        let Some(fault) = between(trial.variant(), delay) else {
            write_at_once(cluster, &pairs).await?;
            break (served, false);
        };
        let Some(fault) = trial.inflict(Arc::new(fault), PARTED).await else {
            return Ok(());
        };
        write_in_order(cluster, &pairs).await?;
        twins::write(cluster).await?;
        if trial.variant() == FULL {
            fill_backlogs(cluster).await?;
        }
        let crossed = crossed(cluster, &pairs).await?;
        trial.heal(fault).await?;
        match crossed {
            None => break (served, true),
            Some(_) if trial.variant() == LATE && tries < TRIES => {}
            Some(crossed) => {
                let why = format!("a write had crossed, the machine was too slow: {crossed}");
                trial.inconclusive("fault", PARTED, why);
                return Ok(());
            }
        }
        delay *= 2;
        tries += 1;
        // Whether they agree on what crossed too soon is not asked here; that nothing is under way is.
        let _ = agreement::reached(cluster).await;
        let mut client = cluster.node("primary1")?.client().await?;
        client.query::<()>(&cmd("FLUSHALL")).await?;
    };
    let rest = agreement::reached(cluster).await;
    let resyncs = resync::since(cluster, &served).await?;
    resyncs.measure(trial);
    trial.headline(resyncs.to_string());

    let ends = Ends::read(cluster, &pairs).await?;
    for pair in &pairs {
        for measure in ends.cell(pair, in_order).measures(&pair.to_string()) {
            trial.measure(measure.name, measure.value, &measure.unit);
        }
    }
    promises::judge(trial, &pairs, &ends, in_order, rest);
    if in_order {
        twins::judge(trial).await?;
    }
    Ok(())
}

/// Gives the nodes the pairs' keys as they are before.
async fn prepare(cluster: &Cluster, pairs: &[Pair]) -> Result<()> {
    let primary1 = cluster.node("primary1")?;
    let mut before = redis::pipe();
    pairs.iter().for_each(|pair| pair.prepare(&mut before));
    twins::prepare(&mut before);
    primary1.client().await?.pipeline::<()>(&before).await?;
    agreement::reached(cluster).await?;
    Ok(())
}

/// The pairs of which the servers have both commands.
async fn able(trial: &Trial) -> Result<Vec<Pair>> {
    let words: Vec<&'static str> = COMMANDS.iter().flat_map(|it| it.words()).collect();
    let lacking = lacking(trial.cluster(), &words).await?;
    let has = |pair: &Pair| {
        let mut words = pair.first.words().chain(pair.second.words());
        words.all(|word| !lacking.contains(word))
    };
    if !lacking.is_empty() {
        let names: Vec<&str> = lacking.iter().copied().collect();
        trial.headline(format!(
            "left out, as a command lacks: {}",
            names.join(", ")
        ));
    }
    Ok(pairs().filter(has).collect())
}

async fn write_in_order(cluster: &Cluster, pairs: &[Pair]) -> Result<()> {
    for (side, name) in ["primary1", "primary2"].into_iter().enumerate() {
        let mut client = cluster.node(name)?.client().await?;
        for pairs in pairs.chunks(AT_ONCE) {
            let mut writes = redis::pipe();
            pairs.iter().for_each(|pair| pair.write(side, &mut writes));
            // What crossed too early makes a command impossible: that is seen afterwards.
            client.pipeline::<()>(writes.ignore_errors()).await?;
        }
        if side == 0 {
            sleep(APART).await;
        }
    }
    Ok(())
}

/// Makes each primary write more than a small backlog holds, to keys that the other leaves alone. One
/// at a time: in a burst the backlog of 6.3.0 and 6.3.4 grows while a replica reads it, and then holds
/// all (seen: one side resynced in part).
async fn fill_backlogs(cluster: &Cluster) -> Result<()> {
    for node in cluster.primaries() {
        let mut client = node.client().await?;
        for number in 0..FILLERS {
            let mut write = cmd("SET");
            let key = format!("filler:{}:{number}", node.name());
            write.arg(key).arg("x".repeat(FILLER));
            client.query::<()>(&write).await?;
        }
    }
    Ok(())
}

async fn write_at_once(cluster: &Cluster, pairs: &[Pair]) -> Result<()> {
    let mut one = cluster.node("primary1")?.client().await?;
    let mut two = cluster.node("primary2")?.client().await?;
    for pair in pairs {
        let (mut first, mut second) = (redis::pipe(), redis::pipe());
        pair.write(0, &mut first);
        pair.write(1, &mut second);
        // A command that the other's write, which was faster, makes impossible is refused: no error.
        let (first, second) = (first.ignore_errors(), second.ignore_errors());
        tokio::try_join!(one.pipeline::<()>(first), two.pipeline::<()>(second))?;
    }
    Ok(())
}

/// The first key that does not hold its own primary's write alone. Those of database 0 are enough, and
/// soon read: links keep the order, and the first pair's are the first to cross.
async fn crossed(cluster: &Cluster, pairs: &[Pair]) -> Result<Option<String>> {
    let together = pairs.iter().filter(|pair| pair.database == 0);
    let together: Vec<Pair> = together.copied().collect();
    let ends = Ends::of_primaries(cluster, &together).await?;
    for pair in &together {
        let courses = pair.courses();
        let own = [courses.first.to_string(), courses.second.to_string()];
        for key in (0..KEYS).map(|number| pair.key(number)) {
            let [one, two] = ends.on_primaries(pair, &key);
            if [one, two] != [own[0].as_str(), own[1].as_str()] {
                return Ok(Some(format!("'{key}' is {one} and {two}")));
            }
        }
    }
    Ok(None)
}
