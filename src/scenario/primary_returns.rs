//! Guide, step 5: writes and deletes while primary1 is down; then it comes back and resyncs.

use anyhow::Result;
use redis::Value;
use tokio::time::Instant;

use super::Scenario;
use crate::cluster::dataset::digest;
use crate::cluster::info::ServerRole;
use crate::cluster::{Client, Order, ready};
use crate::model::Class;
use crate::property::{agreement, failover, relink, resync};
use crate::topology::{Persistence, Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};
use crate::workload::{KEYS_PER_COUNT, write_mixed_data};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "primary-returns",
    title: "primary1 comes back after writes and deletes on primary2",
    promise: "primary1 syncs back up; nothing newer is overwritten and nothing deleted returns",
    source: "guide, Testing (bring up the down primary and see that it will sync back up); KeyDB docs active-rep.md",
    seconds: 10,
    variants: &["none", "rdb", "aof"],
    long: &[],
    damage: &[
        Class::ResurrectedDelete,
        Class::LostWrite,
        Class::Divergence,
        Class::StuckLink,
        Class::WrongInfo,
        Class::Persistence,
        Class::Performance,
    ],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// Keys of each kind before the stop.
const KEYS: usize = 100;
/// How many of them are deleted, and how many overwritten, while primary1 is down.
const CHANGED: usize = 40;
/// Keys that one call writes, and keys that are deleted in four ways.
const WRITTEN: u64 = KEYS as u64 * KEYS_PER_COUNT;
const DELETED: u64 = 4 * CHANGED as u64;
/// How many connections through the proxy are compared with the nodes.
const THROUGH_PROXY: usize = 4;

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let persistence = match variant {
        "rdb" => Persistence::Rdb,
        "aof" => Persistence::Aof,
        _ => Persistence::None,
    };
    Topology::active_active()
        .replicas(3)
        .persistence(persistence)
        .build()
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (primary1, primary2) = (cluster.node("primary1")?, cluster.node("primary2")?);
    write_mixed_data(&mut trial.proxy_client().await?, "before", KEYS).await?;
    write_mixed_data(&mut primary1.client().await?, "own", KEYS).await?;
    if !agreement::check(trial, "agreement-before", 2 * WRITTEN).await {
        return Ok(());
    }

    let in_effect = eventually(cluster, "append-only files are written", DEADLINE, || {
        ready::append_only_files(cluster)
    });
    in_effect.await?;
    primary1.stop().await?;
    failover::replicas_follow(cluster, "primary2").await?;
    let stands_alone = eventually(cluster, "the proxy sees primary1 down", DEADLINE, || {
        ready::links(cluster)
    });
    stands_alone.await?;
    shows_link_down(trial, primary2).await;
    let mut proxy = trial.proxy_client().await?;
    write_mixed_data(&mut proxy, "while-down", KEYS).await?;
    change_and_delete(&mut proxy).await?;
    if !agreement::check(trial, "agreement-while-down", 3 * WRITTEN - DELETED).await {
        return Ok(());
    }

    let before = resync::before(cluster).await?;
    let began = Instant::now();
    primary1.start().await?;
    let promise = "primary1 resyncs and every link is up again";
    let Some(first_up) = relink::check(trial, "resyncs", promise, began).await else {
        return Ok(());
    };
    let resyncs = resync::since(cluster, &before).await?;
    resyncs.measure(trial);
    trial.measure("resync traffic", resyncs.bytes as f64, "bytes");
    trial.headline(format!(
        "links up after {:.2} s, {resyncs}",
        first_up.as_secs_f64()
    ));

    agreement::check(trial, "agreement", 3 * WRITTEN - DELETED).await;
    deletes_stay(trial).await?;
    overwrites_stay(trial).await?;
    while_down_survives(trial).await?;
    through_proxy(trial, primary2).await
}

/// What INFO says of a link is so: primary2's to primary1 is down.
async fn shows_link_down(trial: &Trial, survivor: &crate::cluster::Node) {
    let what = "primary2 shows its link to primary1 as down";
    let seen = eventually(trial.cluster(), what, DEADLINE, || async {
        let info = survivor.glance().await.map_err(|error| error.to_string())?;
        match info
            .replication()
            .masters
            .iter()
            .any(|master| master.link_up)
        {
            true => Err("up".to_owned()),
            false => Ok("it does"),
        }
    });
    let promise = "INFO shows a link as down while there is nobody at its end";
    trial.check("shows-link-down", promise, seen.await);
    let role = match survivor.glance().await {
        Ok(info) if info.replication().role == ServerRole::ActiveReplica => Ok("it is"),
        Ok(info) => Err(format!("{:?}", info.replication().role)),
        Err(error) => Err(error.to_string()),
    };
    let promise = "a primary that lost its peer is an active replica still";
    trial.check("role-stays", promise, role);
}

/// Deletes `before:*:0..CHANGED` in the ways there are, overwrites `before:string:CHANGED..2×`.
async fn change_and_delete(client: &mut Client) -> Result<()> {
    let mut pipe = redis::pipe();
    for n in 0..CHANGED {
        pipe.cmd("DEL").arg(format!("before:string:{n}")).ignore();
        pipe.cmd("UNLINK").arg(format!("own:string:{n}")).ignore();
        pipe.cmd("HDEL")
            .arg(format!("before:hash:{n}"))
            .arg("field")
            .arg("other")
            .ignore();
        pipe.cmd("LTRIM")
            .arg(format!("before:list:{n}"))
            .arg(1)
            .arg(0)
            .ignore();
        pipe.cmd("SREM")
            .arg(format!("before:set:{n}"))
            .arg("a")
            .ignore();
    }
    for n in CHANGED..2 * CHANGED {
        pipe.cmd("SET")
            .arg(format!("before:string:{n}"))
            .arg(format!("newer {n}"))
            .ignore();
        pipe.cmd("SET")
            .arg(format!("own:string:{n}"))
            .arg(format!("newer {n}"))
            .ignore();
    }
    client.pipeline::<()>(&pipe).await?;
    Ok(())
}

async fn deletes_stay(trial: &Trial) -> Result<()> {
    let mut returned = Vec::new();
    for node in trial.cluster().live() {
        let mut client = node.client().await?;
        let mut pipe = redis::pipe();
        for n in 0..CHANGED {
            for kind in ["before:string", "own:string", "before:hash", "before:list"] {
                pipe.cmd("EXISTS").arg(format!("{kind}:{n}"));
            }
            pipe.cmd("SISMEMBER")
                .arg(format!("before:set:{n}"))
                .arg("a");
        }
        let there: Vec<i64> = client.pipeline(&pipe).await?;
        let count: i64 = there.iter().sum();
        if count > 0 {
            returned.push(format!("{count} of {} on {}", there.len(), node.name()));
        }
    }
    let deleted = 5 * CHANGED;
    trial.check(
        "deletes-stay",
        "what was deleted while primary1 was down does not return",
        if returned.is_empty() {
            Ok(format!("{deleted} deletes stay"))
        } else {
            Err(format!(
                "deleted keys and members are back: {}",
                returned.join(", ")
            ))
        },
    );
    Ok(())
}

async fn overwrites_stay(trial: &Trial) -> Result<()> {
    let mut old = Vec::new();
    for node in trial.cluster().live() {
        let mut client = node.client().await?;
        let mut pipe = redis::pipe();
        for n in CHANGED..2 * CHANGED {
            pipe.cmd("GET").arg(format!("before:string:{n}"));
            pipe.cmd("GET").arg(format!("own:string:{n}"));
        }
        let values: Vec<Option<String>> = client.pipeline(&pipe).await?;
        let wrong = values
            .iter()
            .enumerate()
            .filter(|(position, value)| {
                value.as_deref() != Some(format!("newer {}", CHANGED + position / 2).as_str())
            })
            .count();
        if wrong > 0 {
            old.push(format!("{wrong} of {} on {}", values.len(), node.name()));
        }
    }
    trial.check(
        "newest-wins",
        "what was overwritten while primary1 was down keeps its newer value",
        if old.is_empty() {
            Ok(format!("{} newer values stay", 2 * CHANGED))
        } else {
            Err(format!("older values are back: {}", old.join(", ")))
        },
    );
    Ok(())
}

async fn while_down_survives(trial: &Trial) -> Result<()> {
    let mut missing = Vec::new();
    for node in trial.cluster().live() {
        let mut client = node.client().await?;
        let mut pipe = redis::pipe();
        for n in 0..KEYS {
            pipe.cmd("GET").arg(format!("while-down:string:{n}"));
        }
        let values: Vec<Value> = client.pipeline(&pipe).await?;
        let count = values
            .iter()
            .filter(|value| matches!(value, Value::Nil))
            .count();
        if count > 0 {
            missing.push(format!("{count} of {KEYS} on {}", node.name()));
        }
    }
    trial.check(
        "writes-survive",
        "what was written while primary1 was down is on every node",
        if missing.is_empty() {
            Ok(format!("{KEYS} keys"))
        } else {
            Err(format!(
                "acknowledged writes are missing: {}",
                missing.join(", ")
            ))
        },
    );
    Ok(())
}

/// The sixth endpoint: what clients see through the proxy is what the nodes hold.
async fn through_proxy(trial: &Trial, node: &crate::cluster::Node) -> Result<()> {
    let wanted = digest(&mut node.client().await?).await?;
    let mut differing = 0;
    for _ in 0..THROUGH_PROXY {
        let seen = digest(&mut trial.proxy_client().await?).await?;
        differing += usize::from(seen != wanted);
    }
    trial.check(
        "proxy-agrees",
        "clients of the proxy see the same data",
        if differing == 0 {
            Ok(format!("{THROUGH_PROXY} connections"))
        } else {
            Err(format!(
                "{differing} of {THROUGH_PROXY} connections see other data than primary2"
            ))
        },
    );
    Ok(())
}
