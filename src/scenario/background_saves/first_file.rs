//! A server is told to end while it writes its first append-only file: what it does once
//! `appendonly yes` was set, and after every full resync that it took in.

use anyhow::Result;
use redis::cmd;

use crate::cluster::{Cluster, Node};
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
const REFUSES: &str = "errors trying to shut down";
const WRITTEN: &str = "AOF rewrite finished successfully";
const TOLD: &str = "User requested shutdown";

/// How it ended.
enum End {
    Ended,
    Refused(String),
}

pub(super) async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let node = cluster.node("primary1")?;
    let mut client = node.client().await?;
    let mut set = cmd("CONFIG");
    set.arg("SET").arg("rdb-key-save-delay").arg(EACH);
    let keys = match client.query::<()>(&set).await {
        Ok(()) => FEW,
        Err(_) => MANY,
    };
    let mut fill = cmd("DEBUG");
    fill.arg("POPULATE").arg(keys);
    client.query::<()>(&fill).await?;
    let first = cmd("CONFIG").arg(&["SET", "appendonly", "yes"]).to_owned();
    client.query::<()>(&first).await?;
    if !begins(cluster, node).await? {
        trial.inconclusive(
            "told-to-end",
            PROMISE,
            "the file was written before that was seen",
        );
        return Ok(());
    }
    let end = tokio::select! {
        ended = node.stop() => ended.map(|()| End::Ended)?,
        refused = refusal(cluster, node) => End::Refused(refused?),
    };
    match end {
        End::Ended => {
            let log = node.log().await?;
            let before = log.find(WRITTEN).zip(log.find(TOLD));
            if before.is_some_and(|(written, told)| written < told) {
                let why = "the file was written before it was told";
                trial.inconclusive("told-to-end", PROMISE, why);
            } else {
                trial.check("told-to-end", PROMISE, Ok::<_, String>("it ended"));
            }
        }
        End::Refused(line) => {
            node.kill().await?;
            trial.check("told-to-end", PROMISE, Err::<&str, _>(line));
        }
    }
    Ok(())
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
        let said: Vec<&str> = log
            .lines()
            .filter(|line| line.contains(REFUSES) || line.contains("can't exit"))
            .collect();
        match said.is_empty() {
            true => Err("it says nothing".to_owned()),
            false => Ok(said.join("; ")),
        }
    });
    Ok(refusal.await?)
}
