//! The proxy restarts, also while a primary is down, and all heals.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use super::{Scenario, Trial, reference};
use crate::cluster::{Order, ready};
use crate::property::{agreement, failover};
use crate::wait::{DEADLINE, eventually, steadily};
use crate::workload::write_mixed_data;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "proxy-restarts",
    title: "the proxy restarts",
    promise: "replicas reconnect through a restarted proxy, also while a primary is down",
    source: "guide, Proxy; KeyDB docs haproxy.md",
    seconds: 8,
    variants: &["all-up", "primary-down"],
    order: Order::Staged,
    topology: reference,
    run: |trial| Box::pin(run(trial)),
};

const STEADY: Duration = Duration::from_millis(1500);

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    write_mixed_data(&mut trial.proxy_client().await?, "before", 100).await?;
    agreement::reached(cluster).await?;
    if trial.variant() == "primary-down" {
        cluster.node("primary1")?.stop().await?;
        failover::replicas_follow(cluster, "primary2").await?;
    }
    let proxy = cluster.proxy()?;
    proxy.stop().await?;
    // The primaries themselves go on while there is no proxy.
    let mut primary2 = cluster.node("primary2")?.client().await?;
    write_mixed_data(&mut primary2, "no-proxy", 100).await?;
    let began = Instant::now();
    proxy.start().await?;
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
        "every replica reconnects through the restarted proxy",
        steady.map(|()| format!("all links up {first_up:.2} s after the start")),
    );
    if heals {
        trial.measure("links up after the start", first_up, "s");
        trial.headline(format!("links up after {first_up:.2} s"));
        write_mixed_data(&mut trial.proxy_client().await?, "after", 100).await?;
        agreement::check(trial, "agreement").await;
    }
    if trial.variant() == "primary-down" && heals {
        cluster.node("primary1")?.start().await?;
        let up = steadily(cluster, "every link is up again", STEADY, DEADLINE, || {
            ready::links(cluster)
        });
        trial.check(
            "returns",
            "the primary that was down comes back behind the restarted proxy",
            up.await.map(|()| "all links up"),
        );
        agreement::check(trial, "agreement-after-return").await;
    }
    Ok(())
}
