//! Three primaries: one takes in the data of the second, slowly, while clients write on the third.
//!
//! What the third passes on meanwhile meets a node that loads. With forwarding it comes a second time,
//! by way of the second primary, behind the data; without it comes once.

use anyhow::{Context, Result};
use redis::cmd;

use super::Scenario;
use crate::cluster::{Cluster, Node, Order, ready};
use crate::model::Class;
use crate::property::agreement;
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "writes-during-merge",
    title: "one of three primaries merges another's data while clients write on the third",
    promise: "a primary that syncs with one of several merges what the others write meanwhile",
    source: "KeyDB docs multi-master.md (it will merge any reads and writes from the master with its own internal database); upstream #402, #507, #554",
    seconds: 8,
    variants: &["forward", "no-forward"],
    long: &[],
    damage: &[Class::LostWrite],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

const MERGES: &str = "primary1";
const GIVES: &str = "primary2";
const WRITES: &str = "primary3";
const DELAY: &str = "key-load-delay";
/// Keys that are merged.
const KEYS: usize = 1000;
/// How long the merge lasts, in health checks of a proxy: models are as much faster as their checks. Each
/// key takes its share of that time.
const LASTS: u32 = 20;
/// Writes on the third meanwhile.
const MEANWHILE: usize = 50;

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let mesh = Topology::mesh(3)
        .without_proxy()
        .option(DELAY, "0")
        // By default a server looks up from what it loads every 2 MB, and is mute in between.
        .option("loading-process-events-interval-bytes", "1024");
    match variant {
        "no-forward" => mesh.option("multi-master-no-forward", "yes").build(),
        _ => mesh.build(),
    }
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (merges, writes) = (cluster.node(MERGES)?, cluster.node(WRITES)?);
    write(cluster.node(GIVES)?, "before", KEYS).await?;
    agreement::reached(cluster).await?;

    let lasts = cluster.pace().health_check * LASTS;
    set_delay(merges, lasts.as_micros() / KEYS as u128).await?;
    let gives = cluster.known_at(MERGES, GIVES);
    let (host, port) = (gives.ip().to_string(), gives.port());
    let mut client = merges.client().await?;
    let mut drop = cmd("REPLICAOF");
    drop.arg("REMOVE").arg(&host).arg(port);
    client
        .query::<()>(&drop)
        .await
        .context("REPLICAOF REMOVE")?;
    let mut follow = cmd("REPLICAOF");
    follow.arg(&host).arg(port);
    client.query::<redis::Value>(&follow).await?;
    let seen = seen_loading(cluster).await?;
    write(writes, "meanwhile", MEANWHILE).await?;
    let still = seen && heard_while_loading(cluster).await?;
    // A node that loads takes no CONFIG SET.
    let what = "every link is up and nothing loads";
    eventually(cluster, what, DEADLINE, || ready::links(cluster)).await?;
    set_delay(merges, 0).await?;
    let promise = "what another primary writes during a merge arrives";
    if !still {
        trial.inconclusive(
            "arrives",
            promise,
            "the merge was over before it was seen, or before all was written",
        );
        return Ok(());
    }
    let agreed = agreement::reached(cluster).await;
    let missing = missing(cluster).await?;
    let seen = match missing.is_empty() {
        true => Ok(format!("{MEANWHILE} keys on every node")),
        false => Err(missing.join("; ")),
    };
    trial.check("arrives", promise, seen);
    trial.check("agreement", agreement::PROMISE, agreed);
    Ok(())
}

async fn write(node: &Node, prefix: &str, keys: usize) -> Result<()> {
    let mut pipe = redis::pipe();
    for number in 0..keys {
        pipe.cmd("SET")
            .arg(format!("{prefix}:{number}"))
            .arg("x")
            .ignore();
    }
    Ok(node.client().await?.pipeline(&pipe).await?)
}

async fn set_delay(node: &Node, microseconds: u128) -> Result<()> {
    let mut set = cmd("CONFIG");
    set.arg("SET").arg(DELAY).arg(microseconds.to_string());
    Ok(node.client().await?.query(&set).await?)
}

/// Waits until the one that merges has heard all that the third wrote; whether it loads then.
async fn heard_while_loading(cluster: &Cluster) -> Result<bool> {
    let (merges, writes) = (cluster.node(MERGES)?, cluster.node(WRITES)?);
    let sent = writes.info().await?.replication().master_repl_offset;
    let at = cluster.known_at(MERGES, WRITES);
    let (host, port) = (at.ip().to_string(), at.port());
    let what = format!("{MERGES} has heard what {WRITES} wrote");
    let still = eventually(cluster, &what, DEADLINE, || async {
        let info = merges.glance().await.map_err(|error| error.to_string())?;
        let links = info.replication().masters;
        let link = links.iter().find(|it| it.host == host && it.port == port);
        let heard = link.and_then(|link| link.slave_repl_offset);
        match heard >= sent {
            true => Ok(info.loading() == Some(true)),
            false => Err(format!("it is at {heard:?} of {sent:?}")),
        }
    });
    Ok(still.await?)
}

/// Waits until the one that merges loads; not so if it is done before that was seen.
async fn seen_loading(cluster: &Cluster) -> Result<bool> {
    let merges = cluster.node(MERGES)?;
    let gives = cluster.known_at(MERGES, GIVES);
    let (host, port) = (gives.ip().to_string(), gives.port());
    let what = format!("{MERGES} loads the data of {GIVES}");
    let seen = eventually(cluster, &what, DEADLINE, || async {
        let info = merges.glance().await.map_err(|error| error.to_string())?;
        let links = info.replication().masters;
        let link = links.iter().find(|it| it.host == host && it.port == port);
        let done = link.is_some_and(|link| link.link_up && !link.sync_in_progress);
        match (info.loading(), done) {
            (Some(true), _) => Ok(true),
            (_, true) => Ok(false),
            _ => Err("it does not load".to_owned()),
        }
    });
    Ok(seen.await?)
}

/// How many of the keys that were written meanwhile each node lacks, of those that lack any.
async fn missing(cluster: &Cluster) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for node in cluster.live() {
        let mut ask = cmd("EXISTS");
        for number in 0..MEANWHILE {
            ask.arg(format!("meanwhile:{number}"));
        }
        let there: usize = node.client().await?.query(&ask).await?;
        if there < MEANWHILE {
            told.push(format!(
                "{} lacks {} of {MEANWHILE}",
                node.name(),
                MEANWHILE - there
            ));
        }
    }
    Ok(told)
}
