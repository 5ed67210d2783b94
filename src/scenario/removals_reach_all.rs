//! What is removed on one node is removed on every node: keys, members, and times to live.

use anyhow::Result;
use redis::{Value, cmd};

use super::{Scenario, reference};
use crate::cluster::{Client, Node, Order};
use crate::model::Class;
use crate::property::agreement;
use crate::trial::Trial;
use crate::wait::{DEADLINE, Unmet, eventually};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "removals-reach-all",
    title: "keys, members and TTLs are removed through the proxy",
    promise: "what is removed on one node is removed on every node, and nothing else is",
    source: "KeyDB docs active-rep.md (writes are replicated to all nodes); change log 6.0.16, 6.3.0",
    seconds: 3,
    variants: &[""],
    long: &[],
    damage: &[
        Class::ResurrectedDelete,
        Class::WrongDatabase,
        Class::Expiry,
    ],
    needs: &[],
    order: Order::Staged,
    topology: reference,
    run: |trial| Box::pin(run(trial)),
};

/// KeyDB's default number of databases. Every second one loses its keys.
const DATABASES: u32 = 16;
/// The keys of a database that are removed, and how.
const REMOVED: &[&[&str]] = &[
    &["DEL", "deleted"],
    &["UNLINK", "unlinked"],
    &["LPOP", "list"],
    &["SREM", "set", "m"],
    &["HDEL", "hash", "f"],
    &["ZREM", "zset", "m"],
];
/// Keys that a TTL is taken from: by a new value, and by PERSIST.
const FREED: &[&[&str]] = &[&["SET", "overwritten", "new"], &["PERSIST", "persisted"]];

async fn run(trial: &Trial) -> Result<()> {
    let mut proxy = trial.proxy_client().await?;
    for database in 0..DATABASES {
        proxy.select(database).await?;
        proxy.pipeline::<()>(&written()).await?;
    }
    // Through another connection, and so perhaps on the other primary, once it is there.
    agreement::reached(trial.cluster()).await?;
    let mut other = trial.proxy_client().await?;
    for database in (1..DATABASES).step_by(2) {
        other.select(database).await?;
        other.pipeline::<()>(&pipe(REMOVED)).await?;
        other.pipeline::<()>(&pipe(FREED)).await?;
    }
    let cluster = trial.cluster();
    let nodes: Vec<&Node> = cluster.live().collect();
    let removals = async {
        for node in &nodes {
            let what = format!("removals are seen on {}", node.name());
            eventually(cluster, &what, DEADLINE, || removed_on(node)).await?;
        }
        Ok::<_, Unmet>(format!("{} nodes", nodes.len()))
    };
    trial.check(
        "removals-arrive",
        "what is removed in a database is gone there on every node, and stays in the others",
        removals.await,
    );
    let ttls = async {
        for node in &nodes {
            let what = format!("TTLs are as they should be on {}", node.name());
            eventually(cluster, &what, DEADLINE, || ttls_on(node)).await?;
        }
        Ok::<_, Unmet>(format!("{} nodes", nodes.len()))
    };
    trial.check(
        "ttls-end",
        "a key that lost its TTL has none on any node, and the others keep theirs",
        ttls.await,
    );
    let kept = u64::from(DATABASES) * 8 - u64::from(DATABASES / 2) * REMOVED.len() as u64;
    agreement::check(trial, "agreement", kept).await;
    Ok(())
}

fn pipe(commands: &[&[&str]]) -> redis::Pipeline {
    let mut pipe = redis::pipe();
    for words in commands {
        let mut command = cmd(words[0]);
        command.arg(&words[1..]);
        pipe.add_command(command).ignore();
    }
    pipe
}

/// The eight keys of a database.
fn written() -> redis::Pipeline {
    pipe(&[
        &["SET", "deleted", "x"],
        &["SET", "unlinked", "x"],
        &["RPUSH", "list", "m"],
        &["SADD", "set", "m"],
        &["HSET", "hash", "f", "v"],
        &["ZADD", "zset", "1", "m"],
        &["SET", "overwritten", "old", "EX", "5000"],
        &["SET", "persisted", "x", "EX", "5000"],
    ])
}

async fn removed_on(node: &Node) -> Result<(), String> {
    let mut ask = redis::pipe();
    for words in REMOVED {
        ask.cmd("EXISTS").arg(words[1]);
    }
    each_database(node, &ask, |database, seen: Vec<i64>| {
        let wanted = i64::from(database % 2 == 0);
        for (words, there) in REMOVED.iter().zip(seen) {
            let key = words[1];
            match (there, wanted) {
                (1, 0) => return Err(format!("{key} is still in database {database}")),
                (0, 1) => return Err(format!("{key} is gone from database {database}")),
                _ => {}
            }
        }
        Ok(())
    })
    .await
}

async fn ttls_on(node: &Node) -> Result<(), String> {
    let mut ask = redis::pipe();
    for words in FREED {
        ask.cmd("TTL").arg(words[1]);
    }
    each_database(node, &ask, |database, seen: Vec<i64>| {
        let bound = database % 2 == 0;
        for (words, ttl) in FREED.iter().zip(seen) {
            if bound != (1..=5000).contains(&ttl) || (!bound && ttl != -1) {
                return Err(format!("{} has TTL {ttl} in {database}", words[1]));
            }
        }
        Ok(())
    })
    .await
}

/// Asks the same of every database of a node, and looks at each answer.
async fn each_database<T: redis::FromRedisValue>(
    node: &Node,
    ask: &redis::Pipeline,
    look: impl Fn(u32, T) -> Result<(), String>,
) -> Result<(), String> {
    let said = |error: crate::cluster::ClientError| error.to_string();
    let mut client: Client = node.client().await.map_err(said)?;
    for database in 0..DATABASES {
        client.select(database).await.map_err(said)?;
        let seen: Value = client.pipeline(ask).await.map_err(said)?;
        let seen = T::from_redis_value(seen).map_err(|error| error.to_string())?;
        look(database, seen)?;
    }
    Ok(())
}
