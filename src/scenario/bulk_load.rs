//! Much data at once: up to two hundred thousand keys and values of ten megabytes through a full resync while
//! clients write, a bulk load that has to settle, and output buffers that are too small for it.

use std::time::Duration;

use anyhow::Result;
use redis::cmd;
use tokio::time::Instant;

use super::Scenario;
use crate::cluster::{Client, Cluster, Node, Order};
use crate::model::Class;
use crate::property::survival::losses;
use crate::property::{agreement, relink, resync};
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};
use crate::workload::WriteStream;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "bulk-load",
    title: "many keys are loaded at once, or cross in a full resync while clients write",
    promise: "after a bulk load the nodes settle on the same data, and need no resync for it",
    source: "KeyDB docs active-rep.md (data syncing is almost negligible under high load); upstream #389, #333, #569, #456",
    seconds: 8,
    variants: &["20k", "throughput"],
    long: &["200k", "tight-buffers", "joins", "large-values"],
    damage: &[Class::LostWrite, Class::Performance],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// Keys of a load, and bytes of a value.
const KEYS: usize = 200_000;
const VALUE: usize = 100;
/// Values of the variant `large-values`, and bytes of each.
const LARGE: usize = 8;
const LARGE_VALUE: usize = 10 << 20;
/// Writes in a pipeline.
const AT_ONCE: usize = 2000;
const CLIENTS: usize = 4;
/// Writes that are acknowledged before and after the node joins.
const ENOUGH: usize = 100;
const STREAM: &str = "bulk:stream";
/// For how long writes are counted, and how often: the fastest time counts.
const STRETCH: Duration = Duration::from_millis(500);
const STRETCHES: usize = 3;
/// Only a collapse goes below both: writes a second with a peer, and what part that is of those without.
/// On a machine under load 19 of 260 were measured (6.3.4).
const COLLAPSED: f64 = 5.0;
const LEAST_PART: f64 = 0.1;

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let topology = Topology::active_active().replicas(1);
    match variant {
        "throughput" => Topology::active_active().without_proxy().build(),
        // Soft and hard limit, and for how long the soft one may be exceeded.
        "tight-buffers" => topology
            .option("client-output-buffer-limit", "replica 1mb 512kb 5")
            .build(),
        _ => topology.build(),
    }
}

async fn run(trial: &Trial) -> Result<()> {
    match trial.variant() {
        "joins" => joins(trial, KEYS, VALUE).await,
        "large-values" => joins(trial, LARGE, LARGE_VALUE).await,
        "throughput" => throughput(trial).await,
        "20k" => settles(trial, KEYS / 10).await,
        _ => settles(trial, KEYS).await,
    }
}

/// Loads on one primary what the other and the replica have to keep up with.
async fn settles(trial: &Trial, keys: usize) -> Result<()> {
    let cluster = trial.cluster();
    let before = resync::before(cluster).await?;
    load(&mut cluster.node("primary1")?.client().await?, keys, VALUE).await?;
    let began = Instant::now();
    let arrived = arrived(cluster, keys).await;
    trial.measure("settled after", began.elapsed().as_secs_f64(), "s");
    trial.check(
        "arrives",
        "a bulk load arrives on every node",
        arrived.map(|()| format!("{keys} keys")),
    );
    if !resync::check(trial, began, &before).await? {
        return Ok(());
    }
    let needed = resync::since(cluster, &before).await?;
    let told = needed.to_string();
    trial.check(
        "no-resync",
        "a bulk load needs no full resync",
        if needed.full == 0 {
            Ok(told)
        } else {
            Err(told)
        },
    );
    agreement::check(trial, "agreement", keys as u64).await;
    Ok(())
}

/// Lets a primary without data join one that has much, while clients write through the proxy.
async fn joins(trial: &Trial, keys: usize, bytes: usize) -> Result<()> {
    let cluster = trial.cluster();
    let (has, joins) = (cluster.node("primary1")?, cluster.node("primary2")?);
    joins.stop().await?;
    load(&mut has.client().await?, keys, bytes).await?;
    let stream = WriteStream::start(cluster, STREAM, CLIENTS).await?;
    acknowledged(cluster, &stream, ENOUGH).await?;
    let before = resync::before(cluster).await?;
    let began = Instant::now();
    joins.start().await?;
    let linked = resync::check(trial, began, &before).await?;
    let so_far = stream.acknowledged();
    acknowledged(cluster, &stream, so_far + ENOUGH).await?;
    let log = stream.stop().await;
    trial.measure(
        "longest write gap",
        log.longest_gap(Duration::ZERO, log.length).as_secs_f64(),
        "s",
    );
    if !linked {
        return Ok(());
    }
    // A stream that is damaged by the return drops links once more, seconds later (F2); and a replica
    // takes its time for so much, on a slow machine.
    relink::reached(cluster, began).await?;
    arrived(cluster, keys).await?;
    let agreed = agreement::reached(cluster).await;
    trial.check("agreement", agreement::PROMISE, agreed);
    let mut present = std::collections::BTreeMap::new();
    for node in cluster.live() {
        // One that is behind a primary that resyncs once more (F2) loads meanwhile.
        let what = format!("{} tells its keys", node.name());
        let written = eventually(cluster, &what, DEADLINE, || async {
            let written = WriteStream::keys_on(node, STREAM).await;
            written.map_err(|error| error.to_string())
        });
        present.insert(node.name().to_owned(), written.await?);
    }
    let losses = losses(&log, &present, &[]);
    trial.check(
        "survival",
        "what is acknowledged while a primary joins is on every node",
        losses.verdict(),
    );
    Ok(())
}

/// How fast a primary takes writes alone, and with its peer attached.
async fn throughput(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (one, two) = (cluster.node("primary1")?, cluster.node("primary2")?);
    two.stop().await?;
    // Without its files: what becomes of one that returns from an older dump (F2) is looked at elsewhere.
    two.server().wipe().await?;
    let alone = fastest(one, "alone").await?;
    let began = Instant::now();
    two.start().await?;
    relink::reached(cluster, began).await?;
    let attached = fastest(one, "attached").await?;
    trial.measure("writes of one client alone", alone, "writes/s");
    trial.measure("writes of one client with a peer", attached, "writes/s");
    let part = attached / alone;
    trial.measure("with a peer, of those alone", part, "");
    let told = format!("{attached:.0} writes a second with a peer, {alone:.0} without");
    trial.headline(told.clone());
    trial.check(
        "throughput-kept",
        "the rate at which a primary takes writes does not collapse with its peer attached",
        match attached < COLLAPSED && part < LEAST_PART {
            true => Err(told),
            false => Ok(told),
        },
    );
    let agreed = agreement::reached(cluster).await;
    trial.check("agreement", agreement::PROMISE, agreed);
    Ok(())
}

/// The most writes a second that a primary takes from one client, of several stretches.
async fn fastest(node: &Node, name: &str) -> Result<f64> {
    let mut client = node.client().await?;
    let mut most: f64 = 0.0;
    for _ in 0..STRETCHES {
        let (began, mut count) = (Instant::now(), 0_u32);
        while began.elapsed() < STRETCH {
            let mut write = cmd("SET");
            write
                .arg(format!("bulk:{name}:{}", count % 1000))
                .arg(count);
            client.query::<()>(&write).await?;
            count += 1;
        }
        most = most.max(f64::from(count) / began.elapsed().as_secs_f64());
    }
    Ok(most)
}

async fn load(client: &mut Client, keys: usize, bytes: usize) -> Result<()> {
    let value = "x".repeat(bytes);
    let at_once = (AT_ONCE * VALUE / bytes).max(1);
    for first in (0..keys).step_by(at_once) {
        let mut pipe = redis::pipe();
        for number in first..keys.min(first + at_once) {
            let mut write = cmd("SET");
            write.arg(format!("bulk:load:{number}")).arg(&value);
            pipe.add_command(write).ignore();
        }
        client.pipeline::<()>(&pipe).await?;
    }
    Ok(())
}

/// Waits until every node counts so many keys.
async fn arrived(cluster: &Cluster, keys: usize) -> Result<(), crate::wait::Unmet> {
    let what = format!("every node has {keys} keys");
    eventually(cluster, &what, DEADLINE, || async {
        for node in cluster.live() {
            let count = count(node).await.map_err(|error| error.to_string())?;
            if count < keys {
                return Err(format!("{} has {count}", node.name()));
            }
        }
        Ok(())
    })
    .await
}

async fn count(node: &Node) -> Result<usize, crate::cluster::ClientError> {
    node.client().await?.query(&cmd("DBSIZE")).await
}

async fn acknowledged(cluster: &Cluster, stream: &WriteStream, wanted: usize) -> Result<()> {
    let what = format!("{wanted} writes are acknowledged");
    eventually(cluster, &what, DEADLINE, || async {
        match stream.acknowledged() {
            count if count >= wanted => Ok(()),
            count => Err(format!("{count} so far")),
        }
    })
    .await?;
    Ok(())
}
