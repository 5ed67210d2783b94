//! The proxy restarts, also while a primary is down, and all heals.

use anyhow::Result;
use tokio::time::Instant;

use super::{Scenario, reference};
use crate::cluster::Order;
use crate::model::Class;
use crate::property::{agreement, failover, relink};
use crate::trial::Trial;
use crate::workload::{KEYS_PER_COUNT, write_mixed_data};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "proxy-restarts",
    title: "the proxy restarts",
    promise: "replicas reconnect through a restarted proxy, also while a primary is down",
    source: "guide, Proxy; KeyDB docs haproxy.md",
    seconds: 12,
    variants: &["all-up", "primary-down"],
    long: &[],
    damage: &[
        Class::StaleRead,
        Class::StuckLink,
        Class::LostWrite,
        Class::Performance,
    ],
    needs: &[],
    order: Order::Staged,
    topology: reference,
    run: |trial| Box::pin(run(trial)),
};

/// How much data is written before, during and after the restart.
const DATA: usize = 100;

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    write_mixed_data(&mut trial.proxy_client().await?, "before", DATA).await?;
    agreement::reached(cluster).await?;
    if trial.variant() == "primary-down" {
        cluster.node("primary1")?.stop().await?;
        failover::replicas_follow(cluster, "primary2").await?;
    }
    let proxy = cluster.proxy()?;
    proxy.stop().await?;
    // The primaries themselves go on while there is no proxy.
    let mut primary2 = cluster.node("primary2")?.client().await?;
    write_mixed_data(&mut primary2, "no-proxy", DATA).await?;
    let began = Instant::now();
    proxy.start().await?;
    let promise = "every replica reconnects through the restarted proxy";
    let Some(first_up) = relink::check(trial, "heals", promise, began).await else {
        return Ok(());
    };
    trial.headline(format!("links up after {:.2} s", first_up.as_secs_f64()));
    write_mixed_data(&mut trial.proxy_client().await?, "after", DATA).await?;
    let keys = 3 * DATA as u64 * KEYS_PER_COUNT;
    agreement::check(trial, "agreement", keys).await;
    if trial.variant() == "primary-down" {
        let began = Instant::now();
        cluster.node("primary1")?.start().await?;
        let promise = "the primary that was down comes back behind the restarted proxy";
        if relink::check(trial, "returns", promise, began)
            .await
            .is_some()
        {
            agreement::check(trial, "agreement-after-return", keys).await;
        }
    }
    Ok(())
}
