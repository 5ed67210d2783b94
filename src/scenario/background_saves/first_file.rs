//! A server is told to end while it writes its first append-only file: what it does once
//! `appendonly yes` was set, and after every full resync that it took in.

use anyhow::Result;
use redis::cmd;

use crate::cluster::{ClientError, Cluster, Node};
use crate::testbed::Status;
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};

pub(super) const VARIANT: &str = "first-file";

/// Microseconds for each key, where that can be told (since 6.0.18): two seconds and more in all.
const EACH: usize = 200;
const FEW: usize = 10_000;
/// Keys where it cannot.
const MANY: usize = 500_000;

const PROMISE: &str =
    "a server that is told to end ends, also while it writes its first append-only file";
const AGAIN: &str = "once its first file is written, a server that is told to end ends";
/// What it says in its log when it refuses, when the file is there, and when it was told.
const REFUSES: &str = "Writing initial AOF, can't exit";
const WRITTEN: &str = "AOF rewrite finished successfully";
const TOLD: &str = "User requested shutdown";

pub(super) async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let node = cluster.node("primary1")?;
    let mut client = node.client().await?;
    let mut set = cmd("CONFIG");
    set.arg("SET").arg("rdb-key-save-delay").arg(EACH);
    let keys = match client.query::<()>(&set).await {
        Ok(()) => FEW,
        Err(ClientError::Refused(_)) => MANY,
        Err(error) => return Err(error.into()),
    };
    let mut fill = cmd("DEBUG");
    fill.arg("POPULATE").arg(keys);
    client.query::<()>(&fill).await?;
    let first = cmd("CONFIG").arg(&["SET", "appendonly", "yes"]).to_owned();
    client.query::<()>(&first).await?;
    if !begins(cluster, node).await? {
        let why = "the file was written before that was seen";
        trial.inconclusive("told-to-end", PROMISE, why);
        return Ok(());
    }
    let refused = tokio::select! {
        ended = node.stop() => ended.map(|()| None)?,
        refused = refusal(cluster, node) => Some(refused?),
    };
    if let Some(line) = refused {
        trial.check("told-to-end", PROMISE, Err::<&str, _>(line));
        written(cluster, node).await?;
        node.stop().await?;
        trial.check("told-again", AGAIN, ended(node));
        return Ok(());
    }
    let log = node.log().await?;
    let before = log.find(WRITTEN).zip(log.find(TOLD));
    if before.is_some_and(|(written, told)| written < told) {
        let why = "the file was written before it was told";
        trial.inconclusive("told-to-end", PROMISE, why);
    } else {
        trial.check("told-to-end", PROMISE, ended(node));
    }
    Ok(())
}

/// How it ended when it was told to last: one that does not is killed.
fn ended(node: &Node) -> Result<String, String> {
    match node.ends().last() {
        Some(end @ Status::Ended(Some(0 | 143))) => Ok(end.to_string()),
        Some(other) => Err(format!("{} {other}", node.name())),
        None => Err(format!("{} was never told", node.name())),
    }
}

/// Waits until the file is there.
async fn written(cluster: &Cluster, node: &Node) -> Result<()> {
    let what = format!("{} has written its first append-only file", node.name());
    let written = eventually(cluster, &what, DEADLINE, || async {
        let log = node.log().await.map_err(|error| error.to_string())?;
        match log.contains(WRITTEN) {
            true => Ok(()),
            false => Err("the rewrite goes on".to_owned()),
        }
    });
    Ok(written.await?)
}

/// Waits until the first file is being written; not so if it is already there.
async fn begins(cluster: &Cluster, node: &Node) -> Result<bool> {
    let what = format!("{} writes its first append-only file", node.name());
    let begins = eventually(cluster, &what, DEADLINE, || async {
        let info = node.glance().await.map_err(|error| error.to_string())?;
        if info.stat("aof_rewrite_in_progress") == Some(1) {
            return Ok(true);
        }
        let log = node.log().await.map_err(|error| error.to_string())?;
        match log.contains(WRITTEN) {
            true => Ok(false),
            false => Err("no rewrite goes on".to_owned()),
        }
    });
    Ok(begins.await?)
}

/// Waits until the server says that it does not end; its words.
async fn refusal(cluster: &Cluster, node: &Node) -> Result<String> {
    let what = format!("{} ends, or says why not", node.name());
    let refusal = eventually(cluster, &what, DEADLINE, || async {
        let log = node.log().await.map_err(|error| error.to_string())?;
        let said = log.lines().find(|line| line.contains(REFUSES));
        said.map(str::to_owned)
            .ok_or_else(|| "it says nothing".to_owned())
    });
    Ok(refusal.await?)
}
