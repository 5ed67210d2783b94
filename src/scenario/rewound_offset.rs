//! A primary is killed and comes back from an older dump; its peer asks it for the rest of a stream
//! that it now continues in another way.
//!
//! What makes it a race on real servers is who syncs first. Here the relay turns the peer away until
//! the returned primary has synced, and has written more than it had before it was killed. No PING
//! is in the stream, so that with commands of equal size the old end falls between two new ones.

use anyhow::Result;
use redis::cmd;
use tokio::time::Instant;

use super::Scenario;
use crate::cluster::{Client, Node, Order, ready};
use crate::model::Class;
use crate::property::{agreement, resync};
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};
use crate::workload::write_bulk;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "rewound-offset",
    title: "primary1 is killed some writes after its last save, returns, and writes on",
    promise: "both primaries end with all that either acknowledged and that a live one had, and with what the returned one acknowledges",
    source: "KeyDB docs active-rep.md (both end with a superset of the data), replication.md (a replica asks for the part it missed)",
    seconds: 11,
    variants: &["equal-size", "unequal-size", "no-forward"],
    long: &[],
    damage: &[Class::LostWrite],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// Writes after the save, which the kill takes from primary1, and writes after its return.
const OLD: usize = 300;
const NEW: usize = 2 * OLD;
/// Seconds: no PING comes into a stream, and nobody minds.
const NEVER: &str = "3600";

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let topology = Topology::active_active()
        .without_proxy()
        .relayed()
        .option("repl-ping-replica-period", NEVER)
        .option("repl-timeout", NEVER);
    match variant {
        // primary1 gets nothing back of what it wrote itself.
        "no-forward" => topology.option("multi-master-no-forward", "yes").build(),
        // primary1 has to resync in full: of what it gets so nothing is in its own stream.
        _ => topology
            .node_option("primary2", "repl-backlog-size", "16kb")
            .build(),
    }
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (one, two) = (cluster.node("primary1")?, cluster.node("primary2")?);
    let relay = cluster.link("primary2", "primary1")?;
    let mut client = one.client().await?;
    client.query::<()>(&cmd("SAVE")).await?;
    let saved = offset(one).await?;
    write(&mut client, "old", OLD, "x").await?;
    agreement::reached(cluster).await?;
    let reached = offset(one).await?;
    relay.refuse(true);
    one.kill().await?;
    if trial.variant() != "no-forward" {
        write_bulk(&mut two.client().await?, "two").await?;
    }

    let before = resync::before(cluster).await?;
    let connections = relay.connections().made;
    let began = Instant::now();
    one.start().await?;
    let synced = eventually(cluster, "primary1 has synced", DEADLINE, || {
        ready::linked(cluster, one)
    });
    synced.await?;
    let value = match trial.variant() {
        "unequal-size" => "xx",
        _ => "x",
    };
    let returned = offset(one).await?;
    write(&mut one.client().await?, "new", NEW, value).await?;
    let written = offset(one).await?;
    let alone = relay.connections().made == connections;
    relay.refuse(false);
    let promise = "primary2 asks primary1 only once that has written on";
    if !alone {
        trial.inconclusive(
            "turned-away",
            promise,
            "a connection went through the relay",
        );
        return Ok(());
    }
    trial.measure("offset at the save", saved as f64, "bytes");
    trial.measure("offset at the kill", reached as f64, "bytes");
    trial.measure("offset after the return", returned as f64, "bytes");
    trial.measure("offset once written on", written as f64, "bytes");

    if !resync::check(trial, began, &before).await? {
        return Ok(());
    }
    agreement::check(trial, "agreement", (OLD + NEW) as u64).await;
    let promise = "what both primaries had before the kill both have afterwards";
    trial.check(
        "old-writes-survive",
        promise,
        survive(trial, "old", OLD).await?,
    );
    let promise = "what the returned primary acknowledged is on both";
    trial.check(
        "new-writes-survive",
        promise,
        survive(trial, "new", NEW).await?,
    );
    Ok(())
}

/// How far a node's own stream has come.
async fn offset(node: &Node) -> Result<i64> {
    let offset = node.info().await?.replication().master_repl_offset;
    Ok(offset.unwrap_or(0))
}

/// Writes keys of equal size one after the other, each until it is acknowledged.
async fn write(client: &mut Client, prefix: &str, count: usize, value: &str) -> Result<()> {
    for number in 0..count {
        let key = format!("{prefix}:{number:04}");
        client.query::<()>(cmd("SET").arg(key).arg(value)).await?;
    }
    Ok(())
}

/// Whether all keys are on every live node.
async fn survive(trial: &Trial, prefix: &str, count: usize) -> Result<Result<String, String>> {
    let mut missing = Vec::new();
    for node in trial.cluster().live() {
        let mut pipe = redis::pipe();
        for number in 0..count {
            pipe.cmd("EXISTS").arg(format!("{prefix}:{number:04}"));
        }
        let there: Vec<u64> = node.client().await?.pipeline(&pipe).await?;
        let gone = there.iter().filter(|there| **there == 0).count();
        if gone > 0 {
            missing.push(format!("{gone} of {count} on {}", node.name()));
        }
    }
    Ok(match missing.is_empty() {
        true => Ok(format!("{count} keys")),
        false => Err(format!(
            "acknowledged writes are missing: {}",
            missing.join(", ")
        )),
    })
}
