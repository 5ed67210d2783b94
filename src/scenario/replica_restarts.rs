//! A replica restarts and heals.

use anyhow::Result;
use tokio::time::Instant;

use super::{Scenario, reference};
use crate::cluster::Order;
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
    order: Order::Staged,
    topology: reference,
    run: |trial| Box::pin(run(trial)),
};

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
    if let Some(first_up) = relink::check(trial, "heals", promise, began).await {
        let resyncs = resync::since(cluster, &before).await?;
        trial.measure("resync traffic", resyncs.bytes as f64, "bytes");
        let first_up = first_up.as_secs_f64();
        trial.headline(format!("link up after {first_up:.2} s, {resyncs}"));
        agreement::check(trial, "agreement", 2 * DATA as u64 * KEYS_PER_COUNT).await;
    }
    Ok(())
}
