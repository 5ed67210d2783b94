//! A primary restarts before it has heard its own writes come back from its peer.
//!
//! KeyDB sends each write back to its origin, which knows it by the id of its process (measured);
//! that id is new at every start. The race is made certain: what comes back is held until the
//! primary has stopped.

use std::sync::Arc;

use anyhow::Result;
use redis::{Value, cmd};
use tokio::time::Instant;

use super::Scenario;
use crate::cluster::{Cluster, Node, Order};
use crate::fault::{Link, OneWay};
use crate::model::Class;
use crate::property::{agreement, relink};
use crate::relay::Direction;
use crate::topology::{Persistence, Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "echo-after-restart",
    title: "primary1 stops cleanly before its own writes have come back to it, and returns",
    promise: "what a primary wrote before a clean restart counts once on every node",
    source: "KeyDB docs active-rep.md (logic to prevent infinitely bouncing queries), multi-master.md; measured: counted twice on 6.3.4",
    seconds: 7,
    variants: &[""],
    long: &[],
    damage: &[Class::DoubleApplication],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// Keys of each kind.
const KEYS: usize = 50;
/// A kind of key: the write, how it is read, and what is right.
const KINDS: &[(&[&str], &[&str], &str)] = &[
    (&["INCRBY", "counter", "1"], &["GET", "counter"], "1"),
    (&["APPEND", "text", "a"], &["GET", "text"], "a"),
    (&["RPUSH", "list", "a"], &["LLEN", "list"], "1"),
    (&["SADD", "set", "a"], &["SCARD", "set"], "1"),
];

fn topology(_variant: &str) -> Result<Topology, TopologyError> {
    Topology::active_active()
        .replicas(1)
        .persistence(Persistence::Rdb)
        .relayed()
        .build()
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (primary1, primary2) = (cluster.node("primary1")?, cluster.node("primary2")?);
    let back = Link::new("primary2", "primary1");
    let hold = Arc::new(back.struck_by(OneWay(Direction::TowardsDownstream)));
    let Some(held) = trial.inflict(hold, "what comes back is held").await else {
        return Ok(());
    };
    let relay = cluster.link("primary1", "primary2")?;
    let before = relay.traffic(Direction::TowardsDownstream).held;
    let writes = commands(KINDS.iter().map(|(write, _, _)| *write));
    primary1.client().await?.pipeline::<()>(&writes).await?;
    eventually(cluster, "primary2 has all writes", DEADLINE, || async {
        match wrong_on(primary2).await {
            Ok(None) => Ok(()),
            Ok(Some(wrong)) => Err(wrong),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .await?;
    primary1.stop().await?;
    let echoed = relay.traffic(Direction::TowardsDownstream).held > before;
    trial.measure("echoed", f64::from(u8::from(echoed)), "links");
    // The primary at its end is away: it lets go of what it holds without waiting for that.
    drop(held);
    let began = Instant::now();
    primary1.start().await?;
    let promise = "primary1 resyncs and every link is up again";
    if relink::check(trial, "resyncs", promise, began)
        .await
        .is_none()
    {
        return Ok(());
    }
    agreement::check(trial, "agreement", (KINDS.len() * KEYS) as u64).await;
    once(trial, cluster).await
}

/// The same of every key of each kind.
fn commands<'a>(kinds: impl Iterator<Item = &'a [&'a str]>) -> redis::Pipeline {
    let mut pipe = redis::pipe();
    for words in kinds {
        for n in 0..KEYS {
            let mut command = cmd(words[0]);
            command.arg(format!("{}:{n}", words[1])).arg(&words[2..]);
            pipe.add_command(command);
        }
    }
    pipe
}

async fn once(trial: &Trial, cluster: &Cluster) -> Result<()> {
    let mut wrong = Vec::new();
    for node in cluster.live() {
        wrong.extend(wrong_on(node).await?);
    }
    let seen = match wrong.is_empty() {
        true => Ok(format!("{KEYS} keys of each kind")),
        false => Err(wrong.join("; ")),
    };
    let promise = "each increment, append and push counts once on every node";
    trial.check("counts-once", promise, seen);
    Ok(())
}

/// What is not as it was written on a node.
async fn wrong_on(node: &Node) -> Result<Option<String>> {
    let reads = commands(KINDS.iter().map(|(_, read, _)| *read));
    let seen: Vec<Value> = node.client().await?.pipeline(&reads).await?;
    let shown = |value: &Value| {
        let text = redis::from_redis_value::<Option<String>>(value.clone());
        text.ok().flatten().unwrap_or_else(|| "nothing".to_owned())
    };
    let mut wrong = Vec::new();
    for ((write, _, right), values) in KINDS.iter().zip(seen.chunks(KEYS)) {
        let others: Vec<String> = values.iter().map(shown).filter(|it| it != right).collect();
        if let Some(first) = others.first() {
            let count = others.len();
            wrong.push(format!(
                "{count} of {KEYS} {} are {first}, not {right}",
                write[1]
            ));
        }
    }
    let told = format!("{}: {}", node.name(), wrong.join(", "));
    Ok((!wrong.is_empty()).then_some(told))
}
