//! One primary does not hear the other, which hears it all the while.

use std::sync::Arc;

use anyhow::Result;
use tokio::time::Instant;

use super::Scenario;
use crate::cluster::{Node, Order};
use crate::fault::{Cut, Fault, Link, OneWay};
use crate::model::Class;
use crate::property::{agreement, resync};
use crate::relay::Direction;
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};
use crate::workload::kind::{self, GONE, Kind};
use crate::workload::write_bulk;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "one-way-partition",
    title: "one primary does not hear the other; both write and delete",
    promise: "all nodes end with the same data: what the deaf one missed it has afterwards, and nothing older than its own",
    source: "KeyDB docs active-rep.md (the last write wins; both remain synced)",
    seconds: 11,
    variants: &["cut-to-primary2", "cut-to-primary1", "full-to-primary2"],
    // They wait until a silent link is given up.
    long: &["silent-to-primary2", "silent-to-primary1"],
    damage: &[
        Class::ResurrectedDelete,
        Class::LostWrite,
        Class::Divergence,
    ],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// Seconds until a link on which nothing is heard is given up.
const TIMEOUT: &str = "4";

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let topology = Topology::active_active().without_proxy().relayed();
    match variant.split('-').next() {
        Some("silent") => topology
            .option("repl-ping-replica-period", "1")
            .option("repl-timeout", TIMEOUT)
            .build(),
        // So that the deaf one has missed more than it can catch up with.
        Some("full") => topology.option("repl-backlog-size", "16kb").build(),
        _ => topology.build(),
    }
}

const NEWEST: &str = "newest-wins";
const ADDED: &str = "additions-stay";
const DELETED: &str = "deletes-stay";
/// Who is not heard, and who does not hear.
const MUTE: usize = 0;
const DEAF: usize = 1;

const KINDS: &[Kind] = &[
    Kind::new(
        "mute-then-deaf",
        &["SET", "m"],
        &[(MUTE, &["SET", "old"]), (DEAF, &["SET", "new"])],
        &["GET"],
        &[&["new"]],
        NEWEST,
    ),
    Kind::new(
        "deaf-then-mute",
        &["SET", "m"],
        &[(DEAF, &["SET", "old"]), (MUTE, &["SET", "new"])],
        &["GET"],
        &[&["new"]],
        NEWEST,
    ),
    Kind::new(
        "deleted-by-mute",
        &["SET", "m"],
        &[(MUTE, &["DEL"])],
        &["GET"],
        GONE,
        DELETED,
    ),
    Kind::new(
        "deleted-by-deaf",
        &["SET", "m"],
        &[(DEAF, &["DEL"])],
        &["GET"],
        GONE,
        DELETED,
    ),
    Kind::new(
        "set-and-deleted",
        &["SET", "m"],
        &[(MUTE, &["SET", "x"]), (MUTE, &["DEL"])],
        &["GET"],
        GONE,
        DELETED,
    ),
    Kind::new(
        "member-removed",
        &["SADD", "m", "n"],
        &[(MUTE, &["SREM", "m"])],
        &["SMEMBERS"],
        &[&["n"]],
        DELETED,
    ),
    Kind::new(
        "set",
        &["SADD", "m"],
        &[(MUTE, &["SADD", "a"]), (DEAF, &["SADD", "b"])],
        &["SMEMBERS"],
        &[&["a", "b", "m"]],
        ADDED,
    ),
    Kind::new(
        "counter",
        &["SET", "10"],
        &[(MUTE, &["INCRBY", "1"]), (DEAF, &["INCRBY", "2"])],
        &["GET"],
        &[&["13"]],
        ADDED,
    ),
];

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (mute, deaf) = match trial.variant().ends_with("primary2") {
        true => ("primary1", "primary2"),
        false => ("primary2", "primary1"),
    };
    let link = Link::new(mute, deaf);
    let (mute, deaf) = (cluster.node(mute)?, cluster.node(deaf)?);
    kind::write(cluster.node("primary1")?, KINDS).await?;
    agreement::reached(cluster).await?;
    let before = resync::before(cluster).await?;

    let silent = trial.variant().starts_with("silent");
    let fault: Arc<dyn Fault> = match silent {
        true => Arc::new(link.struck_by(OneWay(Direction::TowardsDownstream))),
        false => Arc::new(link.struck_by(Cut)),
    };
    let promise = "one primary does not hear the other";
    let Some(fault) = trial.inflict(fault, promise).await else {
        return Ok(());
    };
    kind::change([mute, deaf], KINDS).await?;
    if trial.variant().starts_with("full") {
        write_bulk(&mut mute.client().await?, "mute").await?;
    }
    if silent {
        let what = format!("{} gives its silent link up", deaf.name());
        eventually(cluster, &what, DEADLINE, || gave_up(deaf)).await?;
    }
    let began = Instant::now();
    trial.heal(fault).await?;
    if !resync::check(trial, began, &before).await? {
        return Ok(());
    }
    agreement::check(trial, "agreement", 0).await;
    let promises = [
        (NEWEST, "the newest write of a key wins"),
        (ADDED, "what either primary adds to a key stays"),
        (DELETED, "what was deleted stays deleted"),
    ];
    kind::check(trial, KINDS, &promises).await?;
    Ok(())
}

async fn gave_up(node: &Node) -> Result<(), String> {
    let info = node.glance().await.map_err(|error| error.to_string())?;
    let masters = info.replication().masters;
    match masters.iter().any(|master| master.link_up) {
        true => Err("its link is up".to_owned()),
        false => Ok(()),
    }
}
