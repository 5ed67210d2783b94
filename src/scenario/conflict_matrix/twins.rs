//! Two keys that hold the same small number: what is written to the one must not count for the other.
//!
//! KeyDB keeps one object for each whole number below 10000, and the time stamp of a write is the
//! object's (upstream's source, `dbAddCore` in db.cpp).

use anyhow::Result;
use redis::cmd;
use tokio::time::sleep;

use super::APART;
use crate::cluster::Cluster;
use crate::trial::Trial;

const PROMISE: &str =
    "what is written to a key on one primary is not undone by what the other writes to another key";

/// Keys, each with a number of its own.
const KEYS: u32 = 6;

fn key(number: u32) -> String {
    format!("twin:{number}")
}

fn value(number: u32) -> u32 {
    7000 + number
}

/// What the second primary sets.
const NEWER: &str = "newer";

/// The keys as they are before.
pub(super) fn prepare(pipe: &mut redis::Pipeline) {
    pipe.cmd("SELECT").arg(0).ignore();
    for number in 0..KEYS {
        pipe.cmd("SET").arg(key(number)).arg(value(number)).ignore();
    }
}

/// The second primary sets them, and then the first one other keys to what they held. Nobody else
/// writes to either.
pub(super) async fn write(cluster: &Cluster) -> Result<()> {
    let mut second = redis::pipe();
    let mut first = redis::pipe();
    for number in 0..KEYS {
        second.cmd("SET").arg(key(number)).arg(NEWER).ignore();
        let other = format!("{}:other", key(number));
        first.cmd("SET").arg(other).arg(value(number)).ignore();
    }
    let mut client = cluster.node("primary2")?.client().await?;
    client.pipeline::<()>(&second).await?;
    sleep(APART).await;
    let mut client = cluster.node("primary1")?.client().await?;
    Ok(client.pipeline::<()>(&first).await?)
}

/// Records whether every node has what the second primary set.
pub(super) async fn judge(trial: &Trial) -> Result<()> {
    let mut wrong = Vec::new();
    for node in trial.cluster().live() {
        let mut client = node.client().await?;
        let mut read = cmd("MGET");
        for number in 0..KEYS {
            read.arg(key(number));
        }
        let held: Vec<Option<String>> = client.query(&read).await?;
        let lost = held.iter().filter(|it| it.as_deref() != Some(NEWER));
        match lost.count() {
            0 => {}
            lost => wrong.push(format!("{lost} of {KEYS} on {}", node.name())),
        }
    }
    let seen = match wrong.is_empty() {
        true => Ok(format!("{KEYS} keys")),
        false => Err(format!("the older number is back: {}", wrong.join(", "))),
    };
    trial.check("other-keys-do-not-count", PROMISE, seen);
    Ok(())
}
