//! One of three primaries is cut off while data change on both sides, and returns: what that costs in
//! memory and on the wire, then and afterwards.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use redis::cmd;
use tokio::time::{Instant, sleep};

use super::Scenario;
use crate::cluster::{Cluster, Node, Order};
use crate::fault::{Cut, Together};
use crate::model::Class;
use crate::property::{agreement, resync};
use crate::relay::Direction;
use crate::topology::Topology;
use crate::trial::Trial;
use crate::wait::{Unmet, eventually};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "returns-to-mesh",
    title: "one of three primaries is cut off while data change, and returns",
    promise: "what a primary missed costs memory and traffic once, and nothing afterwards",
    source: "KeyDB docs multi-master.md, active-rep.md (data syncing is almost negligible under high load); upstream #844, #207",
    seconds: 12,
    variants: &[""],
    long: &[],
    damage: &[Class::Performance],
    needs: &[],
    order: Order::Staged,
    topology: |_| Topology::mesh(3).without_proxy().relayed().build(),
    run: |trial| Box::pin(run(trial)),
};

const ALL: [&str; 3] = ["primary1", "primary2", "primary3"];
/// Who is cut off from both others.
const AWAY: &str = "primary3";
/// Keys of each primary, and bytes of each.
const KEYS: usize = 1000;
const BYTES: usize = 500;
/// Writes on each primary whose traffic is counted, before the cut and after it.
const COUNTED: usize = 200;
/// What crosses all six links once the primary returns, at most, in sizes of the whole data set. Full
/// resyncs both ways are four; each merged key is passed on to others, wrapped, and comes back.
const ROUNDS: u64 = 100;
/// How much more traffic the same writes may make after the return.
const FACTOR: u64 = 4;
/// How much more memory a node may take than the fullest did before: merges, buffers and backlogs that
/// have grown.
const MEMORY_FACTOR: i64 = 3;
const MEMORY_SLACK: i64 = 64 << 20;
/// Over this time bytes are counted to tell silence, and what may cross all links in it.
const WINDOW: Duration = Duration::from_millis(500);
const SILENCE: u64 = 12_000;
/// For how long silence, and memory that is given back, are waited for.
const PATIENCE: Duration = Duration::from_secs(60);

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    write_on_all(cluster, "before", KEYS).await?;
    agreement::reached(cluster).await?;
    quiet(cluster).await?;
    let usual = counted(cluster, "usual").await?;
    let memory = fullest(cluster).await?;

    let before = resync::before(cluster).await?;
    let ends = ["primary1", "primary2"].map(|other| Together::between(AWAY, other, || Cut));
    let mut cuts = Vec::new();
    for cut in ends {
        let promise = "nobody hears the primary that is cut off, and it hears nobody";
        let Some(cut) = trial.inflict(Arc::new(cut), promise).await else {
            return Ok(());
        };
        cuts.push(cut);
    }
    write_on_all(cluster, "before", KEYS / 2).await?;
    write_on_all(cluster, "meanwhile", KEYS).await?;
    let from = crossed(cluster);
    let began = Instant::now();
    for cut in cuts {
        trial.heal(cut).await?;
    }
    if !resync::check(trial, began, &before).await? {
        return Ok(());
    }
    let promise = "links are silent once the primary that returned has what it missed";
    let settled = quiet(cluster).await;
    let silent = settled.is_ok();
    trial.check("goes-quiet", promise, settled.map(|()| "they are"));
    if !silent {
        return Ok(());
    }
    let caught_up = crossed(cluster) - from;
    let size = (2 * KEYS * ALL.len() * BYTES) as u64;
    trial.measure("crossed at the return", caught_up as f64, "bytes");
    let told = format!("{caught_up} bytes crossed, of a data set of {size}");
    trial.check(
        "catching-up-bounded",
        "what crosses all links at the return is bounded by the data set",
        bounded(caught_up <= size * ROUNDS, told),
    );

    let now = counted(cluster, "after").await?;
    trial.measure("crossed for the same writes before", usual as f64, "bytes");
    trial.measure("crossed for the same writes after", now as f64, "bytes");
    let told = format!("{now} bytes, {usual} before it was cut off");
    trial.headline(format!("the same writes: {told}"));
    trial.check(
        "traffic-bounded",
        "writes cross no more often after the return than before the cut",
        bounded(now <= usual * FACTOR, told),
    );
    if let Some(memory) = memory {
        let seen = given_back(trial, cluster, memory).await;
        let promise = "no node keeps much more memory after the return than before the cut";
        trial.check("memory-bounded", promise, seen);
    }
    let agreed = agreement::reached(cluster).await;
    trial.check("agreement", agreement::PROMISE, agreed);
    Ok(())
}

fn bounded(holds: bool, told: String) -> Result<String, String> {
    match holds {
        true => Ok(told),
        false => Err(told),
    }
}

/// Keys of each primary's own, new or again with another value.
async fn write_on_all(cluster: &Cluster, prefix: &str, keys: usize) -> Result<()> {
    for name in ALL {
        let value = format!("{prefix} {keys} {}", "x".repeat(BYTES));
        let mut pipe = redis::pipe();
        for n in 0..keys {
            let key = format!("mesh:{prefix}:{name}:{n}");
            pipe.cmd("SET").arg(key).arg(&value).ignore();
        }
        let mut client = cluster.node(name)?.client().await?;
        client.pipeline::<()>(&pipe).await?;
    }
    Ok(())
}

/// What crosses all links for the same writes each time, until all is silent again.
async fn counted(cluster: &Cluster, prefix: &str) -> Result<u64> {
    let from = crossed(cluster);
    write_on_all(cluster, prefix, COUNTED).await?;
    quiet(cluster).await?;
    Ok(crossed(cluster) - from)
}

fn crossed(cluster: &Cluster) -> u64 {
    let relays = cluster.relays().iter();
    let both = relays.flat_map(|relay| Direction::BOTH.map(|direction| relay.traffic(direction)));
    both.map(|traffic| traffic.seen).sum()
}

/// Waits for a window in which next to nothing crosses.
async fn quiet(cluster: &Cluster) -> Result<(), Unmet> {
    eventually(cluster, "links are silent", PATIENCE, || async {
        let before = crossed(cluster);
        sleep(WINDOW).await;
        match crossed(cluster) - before {
            ..SILENCE => Ok(()),
            many => Err(format!("{many} bytes crossed in {} ms", WINDOW.as_millis())),
        }
    })
    .await
}

/// The most memory that a node takes; none where servers do not tell.
async fn fullest(cluster: &Cluster) -> Result<Option<i64>> {
    let mut all = Vec::new();
    for node in cluster.live() {
        all.push(used(node).await?);
    }
    Ok(all.into_iter().flatten().max())
}

async fn used(node: &Node) -> Result<Option<i64>> {
    let text: String = node
        .client()
        .await?
        .query(cmd("INFO").arg("memory"))
        .await
        .with_context(|| format!("INFO memory of {}", node.name()))?;
    Ok(crate::cluster::info::Info::parse(&text).stat("used_memory"))
}

/// Waits until no node takes much more than the fullest did before.
async fn given_back(trial: &Trial, cluster: &Cluster, before: i64) -> Result<String, Unmet> {
    let bound = before * MEMORY_FACTOR + MEMORY_SLACK;
    let what = format!("no node takes more than {bound} bytes");
    let now = eventually(cluster, &what, PATIENCE, || async {
        match fullest(cluster).await {
            Ok(Some(now)) if now <= bound => Ok(now),
            Ok(now) => Err(format!("the fullest takes {now:?}, {before} before")),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .await?;
    trial.measure("memory of the fullest before", before as f64, "bytes");
    trial.measure("memory of the fullest after", now as f64, "bytes");
    Ok(format!("the fullest takes {now} bytes, {before} before"))
}
