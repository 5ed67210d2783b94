//! A primary starts with data that a server without active replication has saved: it carries no time
//! stamps (Redis writes none; KeyDB from 6.0.18 on only where `active-replica` is on).

use std::sync::Arc;

use anyhow::Result;
use redis::cmd;
use tokio::time::Instant;

use super::{ONE, TWO};
use crate::cluster::{Node, ready};
use crate::fault::{Cut, Together};
use crate::property::{agreement, relink, resync};
use crate::scenario::PARTED;
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};
use crate::workload::write_bulk;

/// Keys of each kind.
const KEYS: usize = 20;

async fn write(node: &Node, kind: &str, value: &str) -> Result<()> {
    let mut command = cmd("MSET");
    for n in 0..KEYS {
        command.arg(format!("cross:{kind}:{n}")).arg(value);
    }
    Ok(node.client().await?.query(&command).await?)
}

/// How many keys of a kind do not have this value, on all live nodes.
async fn others(trial: &Trial, kind: &str, value: &str) -> Result<Result<String, String>> {
    let mut read = cmd("MGET");
    for n in 0..KEYS {
        read.arg(format!("cross:{kind}:{n}"));
    }
    let mut wrong = Vec::new();
    for node in trial.cluster().live() {
        let values: Vec<Option<String>> = node.client().await?.query(&read).await?;
        let mut bad = values.iter().filter(|it| it.as_deref() != Some(value));
        if let Some(first) = bad.next() {
            let count = bad.count() + 1;
            let first = first.as_deref().unwrap_or("nothing");
            wrong.push(format!("{count} of {KEYS} on {} ({first})", node.name()));
        }
    }
    Ok(match wrong.is_empty() {
        true => Ok(format!("{KEYS} keys on every node")),
        false => Err(wrong.join("; ")),
    })
}

pub(super) async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (one, two) = (cluster.node(ONE)?, cluster.node(TWO)?);
    one.stop().await?;
    one.reconfigure_without(&["replicaof", "active-replica"])
        .await?;
    one.start().await?;
    let what = "primary1 serves as a server of its own";
    eventually(cluster, what, DEADLINE, || ready::serves(one)).await?;
    write(one, "imported", "old").await?;
    one.stop().await?;
    one.reconfigure("").await?;
    let began = Instant::now();
    one.start().await?;
    let promise = "a pair comes up with data that a server without active replication saved";
    if relink::check(trial, "imports", promise, began)
        .await
        .is_none()
    {
        return Ok(());
    }
    // What the pair itself wrote, for comparison.
    write(one, "own", "old").await?;
    agreement::reached(cluster).await?;
    let promise = "a primary loads what a server without active replication saved";
    if !trial.check("loads", promise, others(trial, "imported", "old").await?) {
        return Ok(());
    }
    let cut = Arc::new(Together::between(ONE, TWO, || Cut));
    let before = resync::before(cluster).await?;
    let Some(cut) = trial.inflict(cut, PARTED).await else {
        return Ok(());
    };
    for kind in ["imported", "own"] {
        write(one, kind, "new").await?;
    }
    write_bulk(&mut one.client().await?, "one").await?;
    write_bulk(&mut two.client().await?, "two").await?;
    let began = Instant::now();
    trial.heal(cut).await?;
    if !resync::check(trial, began, &before).await? {
        return Ok(());
    }
    let promise = "all nodes hold the same data";
    trial.check("agreement", promise, agreement::reached(cluster).await);
    let promise = "what is written over imported data during a cut stands after a full resync";
    trial.check(
        "imported-newest-wins",
        promise,
        others(trial, "imported", "new").await?,
    );
    let promise =
        "what is written over the pair's own data during a cut stands after a full resync";
    trial.check(
        "own-newest-wins",
        promise,
        others(trial, "own", "new").await?,
    );
    Ok(())
}
