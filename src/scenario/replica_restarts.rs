//! A replica restarts and heals.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use redis::cmd;
use tokio::time::{Instant, sleep};

use super::{Scenario, reference};
use crate::cluster::{Client, ClientError, Node, Order, Timeouts};
use crate::model::Class;
use crate::property::{agreement, relink, resync};
use crate::trial::Trial;
use crate::workload::{KEYS_PER_COUNT, write_mixed_data};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "replica-restarts",
    title: "a replica restarts",
    promise: "a replica that restarts reconnects through the proxy and holds the same data",
    source: "guide, Proxy; KeyDB docs replication.md (automatically try to reconnect to masters and resynchronize)",
    seconds: 6,
    variants: &["sigterm", "sigkill"],
    long: &[],
    damage: &[
        Class::Divergence,
        Class::StaleRead,
        Class::StuckLink,
        Class::ReadOnlyViolation,
    ],
    needs: &[],
    order: Order::Staged,
    topology: reference,
    run: |trial| Box::pin(run(trial)),
};

/// What reads on a restarting replica gave.
#[derive(Debug, Default)]
struct Reads {
    served: usize,
    empty: usize,
    refused: usize,
}

/// Reads a key that has been there for long, until the replica has healed.
async fn read_on(replica: &Node, healed: &AtomicBool) -> Reads {
    let mut reads = Reads::default();
    let mut client: Option<Client> = None;
    while !healed.load(Ordering::SeqCst) {
        let connected = match client.take() {
            Some(client) => Ok(client),
            None => replica.client_with(Timeouts::GLANCE).await,
        };
        let Ok(mut connected) = connected else {
            sleep(BETWEEN_READS).await;
            continue;
        };
        match connected
            .query::<Option<String>>(cmd("GET").arg("before:string:0"))
            .await
        {
            Ok(Some(_)) => reads.served += 1,
            Ok(None) => reads.empty += 1,
            Err(ClientError::Refused(_)) => reads.refused += 1,
            Err(_) => continue,
        }
        client = Some(connected);
        sleep(BETWEEN_READS).await;
    }
    reads
}

/// Between two reads on the restarting replica.
const BETWEEN_READS: Duration = Duration::from_millis(1);
/// How much data is written before the restart, and again meanwhile.
const DATA: usize = 100;

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let replica = cluster.node("replica1")?;
    write_mixed_data(&mut trial.proxy_client().await?, "before", DATA).await?;
    agreement::reached(cluster).await?;
    match trial.variant() {
        "sigkill" => replica.kill().await?,
        _ => replica.stop().await?,
    }
    write_mixed_data(&mut trial.proxy_client().await?, "while-down", DATA).await?;
    let before = resync::before(cluster).await?;
    let began = Instant::now();
    replica.start().await?;
    let promise = "the replica reconnects through the proxy";
    let healed = AtomicBool::new(false);
    let heal = async {
        let first_up = relink::check(trial, "heals", promise, began).await;
        healed.store(true, Ordering::SeqCst);
        first_up
    };
    let (first_up, reads) = tokio::join!(heal, read_on(replica, &healed));
    trial.measure("reads of an empty data set", reads.empty as f64, "reads");
    trial.check(
        "no-empty-reads",
        "a replica that restarted serves no empty data set before its first sync",
        match reads.empty {
            0 => Ok(format!("{} reads, {} refused", reads.served, reads.refused)),
            empty => Err(format!(
                "{empty} reads of a key that was there before the restart gave nothing"
            )),
        },
    );
    if let Some(first_up) = first_up {
        let resyncs = resync::since(cluster, &before).await?;
        trial.measure("resync traffic", resyncs.bytes as f64, "bytes");
        let first_up = first_up.as_secs_f64();
        trial.headline(format!("link up after {first_up:.2} s, {resyncs}"));
        agreement::check(trial, "agreement", 2 * DATA as u64 * KEYS_PER_COUNT).await;
    }
    Ok(())
}
