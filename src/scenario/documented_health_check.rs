//! The health check of KeyDB's own HAProxy page, letter by letter.

use anyhow::{Context, Result};

use super::{Need, Scenario};
use crate::cluster::{Cluster, Order, Proxy};
use crate::lab::last_words;
use crate::testbed::Status;
use crate::topology::{HealthCheck, Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, Unmet, eventually};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "documented-health-check",
    title: "HAProxy with the health check that KeyDB's documentation shows",
    promise: "with the documented health check HAProxy starts, and sees every primary that serves",
    source: "KeyDB docs haproxy.md (expect string role: active-replica, with a blank); upstream #224; HAProxy #1521",
    seconds: 5,
    variants: &["as-documented", "escaped", "without-blank"],
    long: &[],
    damage: &[],
    // The model shows the role as KeyDB does: it would be called broken for what a page says.
    needs: &[Need::RealKeydb],
    order: Order::Staged,
    topology: |_| healthy(),
    run: |trial| Box::pin(run(trial)),
};

fn healthy() -> Result<Topology, TopologyError> {
    Topology::active_active()
        .health_check(HealthCheck::PingAndRole)
        .build()
}

/// The line that the harness's own configuration has for the role.
const OURS: &str = "tcp-check expect string role:active-replica";
/// What the page has after it.
const LAST: &str = "    tcp-check send QUIT\\r\\n\n    tcp-check expect string +OK";

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let proxy = cluster.proxy()?;
    let theirs = match trial.variant() {
        "as-documented" => "tcp-check expect string role: active-replica",
        "escaped" => "tcp-check expect string role:\\ active-replica",
        _ => OURS,
    };
    let config = proxy.config();
    anyhow::ensure!(config.contains(OURS), "no line to replace: {config}");
    let config = config.replace(OURS, &format!("{theirs}\n{LAST}"));
    proxy.stop().await?;
    proxy.server().reconfigure(config).await?;
    proxy.start().await?;
    let promise = "HAProxy starts with it";
    let started = starts(cluster, proxy).await?;
    if !trial.check("proxy-starts", promise, started) {
        // It is known to be away from here on.
        proxy.stop().await?;
        return Ok(());
    }
    let promise = "every primary that serves is up in the proxy";
    let up = up(cluster, proxy).await;
    trial.check("primaries-up", promise, up.map(|()| "both are"));
    Ok(())
}

/// Waits until its admin socket answers, or it has ended: then its last words.
async fn starts(cluster: &Cluster, proxy: &Proxy) -> Result<Result<String, String>> {
    let what = "HAProxy answers, or has ended";
    let ended = eventually(cluster, what, DEADLINE, || async {
        match proxy.server().status().await {
            Ok(Status::Ended(code)) => Ok(Some(code)),
            Ok(_) => proxy.process().await.map(|_| None),
            Err(error) => Err(error.to_string()),
        }
    })
    .await?;
    Ok(match ended {
        None => Ok("it does".to_owned()),
        Some(code) => {
            let log = proxy.server().log().await.context("the proxy's log")?;
            Err(format!("it ended with {code:?}: {}", last_words(&log)))
        }
    })
}

/// Waits until the proxy has every primary up.
async fn up(cluster: &Cluster, proxy: &Proxy) -> Result<(), Unmet> {
    // A check that never passes is known after a few of them.
    let time = DEADLINE.min(cluster.pace().health_check * 100);
    eventually(cluster, "HAProxy has every primary up", time, || async {
        for primary in proxy.backends() {
            // Up at first, until a check has failed: one has to have passed.
            let stats = proxy.backend_stats().await?;
            let stat = stats.into_iter().find(|stat| stat.server == *primary);
            let stat = stat.ok_or_else(|| format!("it knows no {primary}"))?;
            let last = stat.check_status.clone().unwrap_or_default();
            if !stat.is_up() || !last.ends_with("L7OK") {
                let said = stat.last_check.unwrap_or_default();
                return Err(format!("{primary} is {}: {last} {said}", stat.status));
            }
        }
        Ok(())
    })
    .await
}
