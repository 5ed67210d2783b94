//! Every kind of write against every other on the same keys, made on the two primaries while neither
//! hears the other: how each pair of writes ends. `keydb-harness matrix` shows it as a table.
//!
//! All pairs share a cluster and a fault. The first primary's writes are all made before the second's,
//! and neither has crossed when the second's are done; with links up they are sent at the same time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;
use redis::cmd;
use tokio::time::sleep;

use super::{PARTED, Scenario};
use crate::cluster::dataset::{Contents, contents};
use crate::cluster::{Cluster, Order};
use crate::fault::{BlackHole, Cut, Delay, Together};
use crate::model::Class;
use crate::property::agreement;
use crate::property::conflict::{Cell, Ending};
use crate::property::resync;
use crate::topology::{Topology, TopologyError};
use crate::trial::{Broken, Trial};
use crate::workload::conflict::{KEYS, Pair, pairs};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "conflict-matrix",
    title: "every kind of write against every other on the same keys, one on each primary",
    promise: "all nodes end with the same data: the newest write of a key, and every addition to it",
    source: "KeyDB docs active-rep.md (the last write wins; both servers end with a superset of the data)",
    seconds: 8,
    variants: &["up", "delayed", "frozen", "cut", FULL],
    long: &[],
    damage: &[Class::Divergence, Class::LostWrite],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// How late everything comes in the variant `delayed`.
const DELAY: Duration = Duration::from_millis(2500);
/// Between the first primary's writes and the second's: with 5 ms 5.3.3 does not tell which of two is
/// newer (measured).
const APART: Duration = Duration::from_millis(150);
/// The variant in which more is written than can be caught up with: both sides resync in full.
const FULL: &str = "cut-full";
/// How many further keys each primary writes for that, and the bytes of each value.
const FILLERS: usize = 64;
const FILLER: usize = 1024;
/// How many pairs that break a promise are named.
const NAMED: usize = 6;

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let topology = Topology::active_active().replicas(2).relayed();
    match variant {
        FULL => topology.option("repl-backlog-size", "16kb").build(),
        _ => topology.build(),
    }
}

fn between(variant: &str) -> Option<Together> {
    let (one, two) = ("primary1", "primary2");
    match variant {
        "delayed" => Some(Together::between(one, two, || Delay(DELAY))),
        "frozen" => Some(Together::between(one, two, || BlackHole)),
        "cut" | FULL => Some(Together::between(one, two, || Cut)),
        _ => None,
    }
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let primary1 = cluster.node("primary1")?;
    let mut before = redis::pipe();
    pairs().for_each(|pair| pair.prepare(&mut before));
    primary1.client().await?.pipeline::<()>(&before).await?;
    agreement::reached(cluster).await?;

    let served = resync::before(cluster).await?;
    let in_order = match between(trial.variant()) {
        None => {
            write_at_once(cluster).await?;
            false
        }
        Some(fault) => {
            let Some(fault) = trial.inflict(Arc::new(fault), PARTED).await else {
                return Ok(());
            };
            write_in_order(cluster).await?;
            if trial.variant() == FULL {
                fill_backlogs(cluster).await?;
            }
            let crossed = crossed(cluster).await?;
            fault.recover(cluster).await?;
            if let Some(crossed) = crossed {
                let why = format!("a write had crossed, the machine was too slow: {crossed}");
                trial.inconclusive("fault", PARTED, why);
                return Ok(());
            }
            true
        }
    };
    let rest = agreement::reached(cluster).await;
    let resyncs = resync::since(cluster, &served).await?;
    resyncs.measure(trial);
    trial.headline(resyncs.to_string());

    let ends = Ends::read(cluster).await?;
    let mut apart = Vec::new();
    for pair in pairs() {
        let cell = ends.cell(&pair, in_order);
        for measure in cell.measures(&pair.to_string()) {
            trial.measure(measure.name, measure.value, &measure.unit);
        }
        if !cell.converges() {
            apart.push(pair);
        }
    }
    let apart = named(&apart, pairs().count());
    let seen = match (apart, rest) {
        (None, Ok(comparison)) => Ok(comparison.to_string()),
        (Some(evidence), Err(unmet)) => Err(Broken {
            evidence,
            state: unmet.state,
        }),
        (Some(evidence), Ok(_)) => Err(evidence.into()),
        (None, Err(unmet)) => Err(unmet.into()),
    };
    trial.check("converges", agreement::PROMISE, seen);
    for (check, promise, of_it, right) in PROMISES {
        // Which of two writes at the same time is the newer one nobody can say.
        if *check == NEWEST && !in_order {
            continue;
        }
        let judged: Vec<Pair> = pairs().filter(of_it).collect();
        let wrong = judged.iter().filter(|pair| !ends.all(pair, *right));
        let wrong: Vec<Pair> = wrong.copied().collect();
        let seen = match named(&wrong, judged.len()) {
            None => Ok(format!("{} pairs, {KEYS} keys of each", judged.len())),
            Some(wrong) => Err(wrong),
        };
        trial.check(check, promise, seen);
    }
    Ok(())
}

const NEWEST: &str = "newest-wins";

/// What is right of one key's value: by the pair, and the text of what a node holds.
type Right = fn(&Pair, &str) -> bool;

/// Check, promise, the pairs that it is about, and what is right of them on every node.
type Promise = (&'static str, &'static str, fn(&Pair) -> bool, Right);

const PROMISES: &[Promise] = &[
    (
        NEWEST,
        "a SET or DEL that is newer than another write of its key wins",
        Pair::overwrites,
        |pair, held| pair.courses().second.to_string() == held,
    ),
    (
        "additions-stay",
        "what either primary adds to a key stays",
        Pair::adds,
        |pair, held| {
            let courses = pair.courses();
            let both = [courses.in_order, courses.against_order];
            both.iter().any(|it| it.to_string() == held)
        },
    ),
];

/// How many pairs of how many, and the first of them; none if there are none.
fn named(some: &[Pair], all: usize) -> Option<String> {
    let shown = some.iter().take(NAMED).map(ToString::to_string);
    let shown = shown.collect::<Vec<_>>().join(", ");
    let further = if some.len() > NAMED { ", …" } else { "" };
    let text = format!("{} of {all} pairs: {shown}{further}", some.len());
    (!some.is_empty()).then_some(text)
}

async fn write_in_order(cluster: &Cluster) -> Result<()> {
    for (side, name) in ["primary1", "primary2"].into_iter().enumerate() {
        let mut client = cluster.node(name)?.client().await?;
        for pair in pairs() {
            let mut writes = redis::pipe();
            pair.write(side, &mut writes);
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

async fn write_at_once(cluster: &Cluster) -> Result<()> {
    let mut one = cluster.node("primary1")?.client().await?;
    let mut two = cluster.node("primary2")?.client().await?;
    for pair in pairs() {
        let (mut first, mut second) = (redis::pipe(), redis::pipe());
        pair.write(0, &mut first);
        pair.write(1, &mut second);
        // A command that the other's write, which was faster, makes impossible is refused: no error.
        let (first, second) = (first.ignore_errors(), second.ignore_errors());
        tokio::try_join!(one.pipeline::<()>(first), two.pipeline::<()>(second))?;
    }
    Ok(())
}

/// The first key that does not hold its own primary's write alone.
async fn crossed(cluster: &Cluster) -> Result<Option<String>> {
    let ends = Ends::read(cluster).await?;
    for pair in pairs() {
        let courses = pair.courses();
        let own = [courses.first.to_string(), courses.second.to_string()];
        for key in (0..KEYS).map(|number| pair.key(number)) {
            let [one, two] = ends.on_primaries(&key);
            if [one, two] != [own[0].as_str(), own[1].as_str()] {
                return Ok(Some(format!("'{key}' is {one} and {two}")));
            }
        }
    }
    Ok(None)
}

/// What the live nodes hold.
struct Ends {
    primaries: [Contents; 2],
    replicas: Vec<Contents>,
}

impl Ends {
    async fn read(cluster: &Cluster) -> Result<Self> {
        let (one, two) = (cluster.node("primary1")?, cluster.node("primary2")?);
        let replicas = cluster.replicas().map(|node| contents(node, 0));
        let (one, two, replicas) =
            tokio::try_join!(contents(one, 0), contents(two, 0), try_join_all(replicas))?;
        Ok(Self {
            primaries: [one, two],
            replicas,
        })
    }

    fn on_primaries(&self, key: &str) -> [&str; 2] {
        let [one, two] = &self.primaries;
        [held(one, key), held(two, key)]
    }

    fn on_replicas<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.replicas
            .iter()
            .map(move |contents| held(contents, key))
    }

    fn cell(&self, pair: &Pair, in_order: bool) -> Cell {
        let courses = pair.courses();
        let mut cell = Cell::default();
        for key in (0..KEYS).map(|number| pair.key(number)) {
            let replicas: Vec<&str> = self.on_replicas(&key).collect();
            let ending = Ending::of(&courses, in_order, self.on_primaries(&key), &replicas);
            cell.add(ending, 1);
        }
        cell
    }

    /// Whether what every node holds of each key of a pair is right.
    fn all(&self, pair: &Pair, right: Right) -> bool {
        let mut keys = (0..KEYS).map(|number| pair.key(number));
        keys.all(|key| {
            let mut nodes = self
                .on_primaries(&key)
                .into_iter()
                .chain(self.on_replicas(&key));
            nodes.all(|held| right(pair, held))
        })
    }
}

/// What a node holds under a key, as [`crate::workload::conflict::Held`] is shown.
fn held<'a>(contents: &'a Contents, key: &str) -> &'a str {
    contents
        .get(key.as_bytes())
        .map_or("absent", String::as_str)
}
