//! Keys and members are removed, and TTLs run out, while the other primary does not hear of it.

use std::sync::Arc;

use anyhow::Result;
use tokio::time::Instant;

use super::Scenario;
use crate::cluster::{Cluster, Node, Order};
use crate::fault::{Cut, Inflicted, Link, Together};
use crate::model::Class;
use crate::property::{agreement, relink, resync};
use crate::topology::{Persistence, Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};
use crate::workload::kind::{self, Kind};
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
    kind("deleted", &["SET", "x"], &[(1, &["DEL"])], &["GET"], KEYS),
    kind(
        "unlinked",
        &["SET", "x"],
        &[(1, &["UNLINK"])],
        &["GET"],
        KEYS,
    ),
    kind(
        "popped",
        &["RPUSH", "m"],
        &[(1, &["LPOP"])],
        &["LRANGE", "0", "-1"],
        KEYS,
    ),
    kind(
        "last-field",
        &["HSET", "f", "m"],
        &[(1, &["HDEL", "f"])],
        &["HVALS"],
        KEYS,
    ),
    kind(
        "written-and-deleted",
        &["SET", "x"],
        &[(1, &["SET", "y"]), (1, &["DEL"])],
        &["GET"],
        KEYS,
    ),
    Kind {
        right: &[&["n"]],
        ..kind(
            "member",
            &["SADD", "m", "n"],
            &[(1, &["SREM", "m"])],
            &["SMEMBERS"],
            MEMBERS,
        )
    },
    Kind {
        right: &[&["n"]],
        ..kind(
            "field",
            &["HSET", "f", "m", "g", "n"],
            &[(1, &["HDEL", "f"])],
            &["HVALS"],
            MEMBERS,
        )
    },
    Kind {
        right: &[&["n"]],
        ..kind(
            "element",
            &["RPUSH", "m", "n"],
            &[(1, &["LPOP"])],
            &["LRANGE", "0", "-1"],
            MEMBERS,
        )
    },
    Kind {
        right: &[&["n"]],
        ..kind(
            "scored",
            &["ZADD", "1", "m", "2", "n"],
            &[(1, &["ZREM", "m"])],
            &["ZRANGE", "0", "-1"],
            MEMBERS,
        )
    },
    kind(
        "expired",
        &["SET", "x"],
        &[(1, &["PEXPIRE", SHORT])],
        &["GET"],
        EXPIRED,
    ),
];

/// Changed on primary1.
const ON_ONE: &[Kind] = &[
    kind(
        "deleted-on-1",
        &["SET", "x"],
        &[(0, &["DEL"])],
        &["GET"],
        KEYS,
    ),
    Kind {
        right: &[&["n"]],
        ..kind(
            "member-on-1",
            &["SADD", "m", "n"],
            &[(0, &["SREM", "m"])],
            &["SMEMBERS"],
            MEMBERS,
        )
    },
    kind(
        "expired-on-1",
        &["SET", "x"],
        &[(0, &["PEXPIRE", SHORT])],
        &["GET"],
        EXPIRED,
    ),
];

/// A kind of keys that are gone in the end.
const fn kind(
    name: &'static str,
    before: &'static [&'static str],
    changes: &'static [(usize, &'static [&'static str])],
    read: &'static [&'static str],
    check: &'static str,
) -> Kind {
    Kind {
        name,
        before,
        changes,
        read,
        right: &[&[]],
        check,
    }
}

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
        let cut = |from, to| Arc::new(Link::new(from, to).struck_by(Cut)) as _;
        let both = Together(vec![
            cut("primary1", "primary2"),
            cut("primary2", "primary1"),
        ]);
        let fault = match Inflicted::on(cluster, Arc::new(both)).await {
            Ok(fault) => fault,
            Err(toothless) => {
                let promise = "neither primary hears the other";
                trial.inconclusive("fault", promise, toothless.to_string());
                return Ok(());
            }
        };
        remove(cluster, [one, two], kinds).await?;
        if trial.variant() == "cut-full" {
            write_bulk(&mut one.client().await?, "one").await?;
            write_bulk(&mut two.client().await?, "two").await?;
        }
        let began = Instant::now();
        fault.recover(cluster).await?;
        began
    };
    let promise = "every link is up again";
    if relink::check(trial, "resyncs", promise, began)
        .await
        .is_none()
    {
        return Ok(());
    }
    let resyncs = resync::since(cluster, &before).await?;
    trial.measure("full resyncs", resyncs.full as f64, "resyncs");
    trial.measure("partial resyncs", resyncs.partial as f64, "resyncs");
    trial.headline(resyncs.to_string());
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
