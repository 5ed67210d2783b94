//! A replica restarts and heals.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use super::{Scenario, Trial, reference};
use crate::cluster::{Order, ready};
use crate::property::{agreement, resync};
use crate::wait::{DEADLINE, eventually, steadily};
use crate::workload::write_mixed_data;

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

const STEADY: Duration = Duration::from_millis(1500);

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let replica = cluster.node("replica1")?;
    write_mixed_data(&mut trial.proxy_client().await?, "before", 100).await?;
    agreement::reached(cluster).await?;
    match trial.variant() {
        "sigkill" => replica.kill().await?,
        _ => replica.stop().await?,
    }
    write_mixed_data(&mut trial.proxy_client().await?, "while-down", 100).await?;
    let before = resync::before(cluster).await?;
    let began = Instant::now();
    replica.start().await?;
    let up = eventually(cluster, "every link is up", DEADLINE, || {
        ready::links(cluster)
    })
    .await;
    let first_up = began.elapsed().as_secs_f64();
    let steady = match up {
        Ok(()) => {
            steadily(cluster, "every link stays up", STEADY, DEADLINE, || {
                ready::links(cluster)
            })
            .await
        }
        Err(unmet) => Err(unmet),
    };
    let heals = trial.check(
        "heals",
        "the replica reconnects through the proxy",
        steady.map(|()| format!("link up {first_up:.2} s after the start")),
    );
    if heals {
        let resyncs = resync::since(cluster, &before).await?;
        trial.measure("link up after the start", first_up, "s");
        trial.measure("resync traffic", resyncs.bytes as f64, "bytes");
        trial.headline(format!("link up after {first_up:.2} s, {resyncs}"));
        agreement::check(trial, "agreement").await;
    }
    Ok(())
}
