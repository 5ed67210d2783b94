//! Keys of every shape, and commands of every kind, on both primaries, with links up and across a
//! resync: what no document speaks of has to arrive all the same.

mod overwritten;

use std::sync::Arc;

use anyhow::Result;
use tokio::time::Instant;

use super::{PARTED, Scenario};
use crate::cluster::holdings::{Holdings, TRAVEL};
use crate::cluster::{Cluster, Node, Order};
use crate::fault::{Cut, Together};
use crate::model::Class;
use crate::property::{agreement, resync};
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;
use crate::workload::shapes;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "value-shapes",
    title: "keys of every type, encoding and size in four databases, and commands that change, combine and remove them",
    promise: "whatever is written on one node is the same on every other, to the last byte and TTL",
    source: "KeyDB docs active-rep.md (any command written to one node is seen on the other), replication.md (replicas are exact copies)",
    seconds: 8,
    variants: &["up", "partial", "full", "overwritten"],
    long: &[],
    damage: &[
        Class::Divergence,
        Class::WrongDatabase,
        Class::Expiry,
        Class::LostWrite,
    ],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

const ONE: &str = "primary1";
const TWO: &str = "primary2";

/// What reads from a group sets off an exchange on 5.3.3 that never ends (Q2): looked at elsewhere.
const WITHOUT: &[&str] = &["XREADGROUP"];

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let topology = Topology::active_active().replicas(2).relayed();
    match variant {
        "partial" => topology.option("repl-backlog-size", "64mb").build(),
        "full" | "overwritten" => topology.option("repl-backlog-size", "16kb").build(),
        _ => topology.build(),
    }
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (one, two) = (cluster.node(ONE)?, cluster.node(TWO)?);
    if trial.variant() == "overwritten" {
        return overwritten::run(trial).await;
    }
    if trial.variant() == "up" {
        let counts = tokio::try_join!(write(one), write(two))?;
        trial.headline(format!("{} keys and changes", counts.0 + counts.1));
    } else {
        let before = resync::before(cluster).await?;
        let cut = Arc::new(Together::between(ONE, TWO, || Cut));
        let Some(cut) = trial.inflict(cut, PARTED).await else {
            return Ok(());
        };
        let counts = tokio::try_join!(write(one), write(two))?;
        trial.headline(format!("{} keys and changes", counts.0 + counts.1));
        let began = Instant::now();
        trial.heal(cut).await?;
        if !resync::check(trial, began, &before).await? {
            return Ok(());
        }
    }
    let agreed = agreement::reached(cluster).await;
    trial.check("agreement", agreement::PROMISE, agreed);
    compare(trial, cluster).await
}

/// All shapes and all changes, with keys of the node's own.
async fn write(node: &Node) -> Result<usize> {
    let mut client = node.client().await?;
    let written = shapes::write(&mut client, node.name(), WITHOUT).await?;
    let changed = shapes::change(&mut client, &format!("{}:changed", node.name())).await?;
    Ok(written + changed)
}

/// Records for each aspect whether every node holds what the first does.
async fn compare(trial: &Trial, cluster: &Cluster) -> Result<()> {
    let mut nodes = cluster.live();
    let Some(first) = nodes.next() else {
        return Ok(());
    };
    let held = Holdings::of(first).await?;
    let mut seen: Vec<(&str, &str, Vec<String>, String)> = Vec::new();
    for node in nodes {
        let other = Holdings::of(node).await?;
        for (position, (aspect, promise, found)) in
            held.kept(&other, TRAVEL).into_iter().enumerate()
        {
            if seen.len() == position {
                seen.push((aspect, promise, Vec::new(), String::new()));
            }
            match found {
                Ok(found) => seen[position].3 = found,
                Err(wrong) => {
                    let wrong = format!("{} beside {}: {wrong}", node.name(), first.name());
                    seen[position].2.push(wrong);
                }
            }
        }
    }
    for (aspect, promise, wrong, told) in seen {
        let found = match wrong.is_empty() {
            true => Ok(told),
            false => Err(wrong.join("; ")),
        };
        trial.check(aspect, promise, found);
    }
    Ok(())
}
