//! Keys and members are removed, and TTLs run out, while the other primary does not hear of it.

use std::sync::Arc;

use anyhow::Result;
use tokio::time::Instant;

use super::{PARTED, Scenario};
use crate::cluster::{Cluster, Node, Order};
use crate::fault::{Cut, Together};
use crate::model::Class;
use crate::property::{agreement, resync};
use crate::topology::{Persistence, Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};
use crate::workload::kind::{self, GONE, Kind};
use crate::workload::write_bulk;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "removals-while-apart",
    title: "keys, members and TTLs go while the link is cut, or primary1 down",
    promise: "what is removed while the other primary does not hear of it is gone from both afterwards",
    source: "KeyDB docs active-rep.md (any command written to one node is seen on the other; both remain synced); upstream #442",
    seconds: 7,
    variants: &["cut", "cut-full", "down", "down-full"],
    long: &[],
    damage: &[Class::ResurrectedDelete],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let topology = Topology::active_active()
        .without_proxy()
        .persistence(Persistence::Rdb)
        .relayed();
    match variant {
        "cut-full" | "down-full" => topology.option("repl-backlog-size", "16kb").build(),
        _ => topology.build(),
    }
}

const KEYS: &str = "deletes-stay";
const MEMBERS: &str = "members-stay-removed";
const EXPIRED: &str = "expired-stay";
/// Milliseconds.
const SHORT: &str = "200";

/// Changed on primary2 only: what both variants have.
const ON_TWO: &[Kind] = &[
    Kind::new(
        "deleted",
        &["SET", "x"],
        &[(1, &["DEL"])],
        &["GET"],
        GONE,
        KEYS,
    ),
    Kind::new(
        "unlinked",
        &["SET", "x"],
        &[(1, &["UNLINK"])],
        &["GET"],
        GONE,
        KEYS,
    ),
    Kind::new(
        "popped",
        &["RPUSH", "m"],
        &[(1, &["LPOP"])],
        &["LRANGE", "0", "-1"],
        GONE,
        KEYS,
    ),
    Kind::new(
        "last-field",
        &["HSET", "f", "m"],
        &[(1, &["HDEL", "f"])],
        &["HVALS"],
        GONE,
        KEYS,
    ),
    Kind::new(
        "written-and-deleted",
        &["SET", "x"],
        &[(1, &["SET", "y"]), (1, &["DEL"])],
        &["GET"],
        GONE,
        KEYS,
    ),
    Kind::new(
        "member",
        &["SADD", "m", "n"],
        &[(1, &["SREM", "m"])],
        &["SMEMBERS"],
        &[&["n"]],
        MEMBERS,
    ),
    Kind::new(
        "field",
        &["HSET", "f", "m", "g", "n"],
        &[(1, &["HDEL", "f"])],
        &["HVALS"],
        &[&["n"]],
        MEMBERS,
    ),
    Kind::new(
        "element",
        &["RPUSH", "m", "n"],
        &[(1, &["LPOP"])],
        &["LRANGE", "0", "-1"],
        &[&["n"]],
        MEMBERS,
    ),
    Kind::new(
        "scored",
        &["ZADD", "1", "m", "2", "n"],
        &[(1, &["ZREM", "m"])],
        &["ZRANGE", "0", "-1"],
        &[&["n"]],
        MEMBERS,
    ),
    Kind::new(
        "expired",
        &["SET", "x"],
        &[(1, &["PEXPIRE", SHORT])],
        &["GET"],
        GONE,
        EXPIRED,
    ),
];

/// Changed on primary1.
const ON_ONE: &[Kind] = &[
    Kind::new(
        "deleted-on-1",
        &["SET", "x"],
        &[(0, &["DEL"])],
        &["GET"],
        GONE,
        KEYS,
    ),
    Kind::new(
        "member-on-1",
        &["SADD", "m", "n"],
        &[(0, &["SREM", "m"])],
        &["SMEMBERS"],
        &[&["n"]],
        MEMBERS,
    ),
    Kind::new(
        "expired-on-1",
        &["SET", "x"],
        &[(0, &["PEXPIRE", SHORT])],
        &["GET"],
        GONE,
        EXPIRED,
    ),
];

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (one, two) = (cluster.node("primary1")?, cluster.node("primary2")?);
    let is_down = trial.variant().starts_with("down");
    let both = [ON_TWO, ON_ONE].concat();
    let kinds = if is_down { ON_TWO } else { &both };
    kind::write(one, kinds).await?;
    agreement::reached(cluster).await?;
    if is_down {
        one.stop().await?;
    }
    let before = resync::before(cluster).await?;
    let began = if is_down {
        remove(cluster, [two, two], kinds).await?;
        if trial.variant() == "down-full" {
            write_bulk(&mut two.client().await?, "two").await?;
        }
        let began = Instant::now();
        one.start().await?;
        began
    } else {
        let cut = Arc::new(Together::between("primary1", "primary2", || Cut));
        let Some(cut) = trial.inflict(cut, PARTED).await else {
            return Ok(());
        };
        remove(cluster, [one, two], kinds).await?;
        if trial.variant() == "cut-full" {
            write_bulk(&mut one.client().await?, "one").await?;
            write_bulk(&mut two.client().await?, "two").await?;
        }
        let began = Instant::now();
        trial.heal(cut).await?;
        began
    };
    if !resync::check(trial, began, &before).await? {
        return Ok(());
    }
    agreement::check(trial, "agreement", 0).await;
    let promises = [
        (KEYS, "a key that was deleted stays deleted"),
        (MEMBERS, "what was removed from a key stays removed"),
        (EXPIRED, "a key whose time was over does not return"),
    ];
    kind::check(trial, kinds, &promises).await?;
    Ok(())
}

/// Removes all, and waits until the TTLs have run out where they were set.
async fn remove(cluster: &Cluster, nodes: [&Node; 2], kinds: &[Kind]) -> Result<()> {
    kind::change(nodes, kinds).await?;
    for kind in kinds.iter().filter(|kind| kind.check == EXPIRED) {
        let node = nodes[kind.changes[0].0];
        let what = format!("TTLs run out on {}", node.name());
        eventually(cluster, &what, DEADLINE, || async {
            match kind::wrong_on(node, kind).await {
                Ok(left) if left.is_empty() => Ok(()),
                Ok(left) => Err(format!("{} keys are there", left.len())),
                Err(error) => Err(error.to_string()),
            }
        })
        .await?;
    }
    Ok(())
}
