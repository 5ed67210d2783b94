//! A primary comes back, and a client writes on it from the first moment.

use std::time::Duration;

use anyhow::Result;
use redis::cmd;
use tokio::time::{Instant, sleep};

use super::Scenario;
use crate::cluster::{Client, Node, Order, Timeouts, ready};
use crate::model::Class;
use crate::property::{agreement, failover, relink};
use crate::topology::{Persistence, Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};
use crate::workload::{KEYS_PER_COUNT, write_mixed_data};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "early-writes",
    title: "a client writes on primary1 from the first moment after its return",
    promise: "what a returning primary acknowledges reaches every node, from its first write on",
    source: "KeyDB docs active-rep.md (any command written to one node is seen on the other); measured: lost on 6.3.0 and 6.3.4",
    seconds: 15,
    variants: &["none", "rdb", "aof"],
    long: &[],
    damage: &[Class::LostWrite, Class::Expiry],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// Keys of each kind before the stop, and again while primary1 is down.
const DATA: usize = 20;
/// How many writes the returned primary has to acknowledge.
const EARLY: usize = 400;
/// Between two tries while it refuses.
const RETRY: Duration = Duration::from_millis(1);

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let persistence = match variant {
        "rdb" => Persistence::Rdb,
        "aof" => Persistence::Aof,
        _ => Persistence::None,
    };
    Topology::active_active()
        .replicas(2)
        .persistence(persistence)
        .build()
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let primary1 = cluster.node("primary1")?;
    write_mixed_data(&mut trial.proxy_client().await?, "before", DATA).await?;
    agreement::reached(cluster).await?;
    let in_effect = eventually(cluster, "append-only files are written", DEADLINE, || {
        ready::append_only_files(cluster)
    });
    in_effect.await?;
    primary1.stop().await?;
    failover::replicas_follow(cluster, "primary2").await?;
    let mut primary2 = cluster.node("primary2")?.client().await?;
    write_mixed_data(&mut primary2, "while-down", DATA).await?;

    let began = Instant::now();
    primary1.start().await?;
    let (linked, early) = tokio::join!(
        relink::check(
            trial,
            "resyncs",
            "primary1 resyncs and every link is up again",
            began
        ),
        write_early(primary1),
    );
    let promise = "primary1 takes writes again";
    let Some(first) = early else {
        trial.inconclusive("takes-writes", promise, "it acknowledged no write in time");
        return Ok(());
    };
    trial.headline(format!(
        "first write {:.2} s after the start",
        first.as_secs_f64()
    ));
    if linked.is_none() {
        return Ok(());
    }
    let written = 2 * DATA as u64 * KEYS_PER_COUNT + EARLY as u64;
    agreement::check(trial, "agreement", written).await;
    reached(trial).await
}

/// Writes `early:0..EARLY` on a node that has just been started, each until it is acknowledged.
/// Gives the time from now to the first; `None` if not all are in time.
async fn write_early(node: &Node) -> Option<Duration> {
    let began = Instant::now();
    let (mut client, mut number, mut first): (Option<Client>, _, _) = (None, 0, None);
    while number < EARLY && began.elapsed() < DEADLINE {
        let connected = match client.take() {
            Some(client) => Ok(client),
            None => node.client_with(Timeouts::GLANCE).await,
        };
        let Ok(mut connected) = connected else {
            sleep(RETRY).await;
            continue;
        };
        let key = format!("early:{number}");
        match connected.query::<()>(cmd("SET").arg(&key).arg(&key)).await {
            Ok(()) => {
                first.get_or_insert(began.elapsed());
                number += 1;
                client = Some(connected);
            }
            // A connection that broke is not used again.
            Err(_) => sleep(RETRY).await,
        }
    }
    first.filter(|_| number == EARLY)
}

/// Whether every early write is on every node.
async fn reached(trial: &Trial) -> Result<()> {
    let mut missing = Vec::new();
    for node in trial.cluster().live() {
        let mut pipe = redis::pipe();
        for number in 0..EARLY {
            pipe.cmd("EXISTS").arg(format!("early:{number}"));
        }
        let there: Vec<u64> = node.client().await?.pipeline(&pipe).await?;
        let count = there.iter().filter(|there| **there == 0).count();
        if count > 0 {
            missing.push(format!("{count} of {EARLY} on {}", node.name()));
        }
    }
    trial.check(
        "early-writes-survive",
        "every write that the returned primary acknowledged is on every node",
        match missing.is_empty() {
            true => Ok(format!("{EARLY} keys")),
            false => Err(format!(
                "acknowledged writes are missing: {}",
                missing.join(", ")
            )),
        },
    );
    Ok(())
}
