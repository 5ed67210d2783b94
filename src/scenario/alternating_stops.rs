//! Guide, step 6: the proxy uses primary1 again; ten stops and starts of alternating primaries.

use std::collections::BTreeSet;

use anyhow::Result;
use redis::cmd;

use super::{Scenario, reference};
use crate::cluster::info::Info;
use crate::cluster::{Cluster, Order, ready};
use crate::model::Class;
use crate::property::{agreement, failover, relink};
use crate::trial::Trial;
use crate::wait::{DEADLINE, Unmet, eventually};
use crate::workload::{KEYS_PER_COUNT, write_mixed_data};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "alternating-stops",
    title: "ten stops and starts of alternating primaries",
    promise: "after each return the proxy uses that primary again and all nodes agree",
    source: "guide, Testing; KeyDB docs active-rep.md (automatically reboot failed instances)",
    seconds: 66,
    variants: &[""],
    long: &[],
    damage: &[Class::StuckLink, Class::Crash],
    needs: &[],
    order: Order::Staged,
    topology: reference,
    run: |trial| Box::pin(run(trial)),
};

const ROUNDS: usize = 10;
/// How much data is written in each round, while one primary is down.
const DATA: usize = 10;

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let mut slowest = 0.0_f64;
    for round in 1..=ROUNDS {
        let (leaves, stays) = if round % 2 == 1 {
            ("primary1", "primary2")
        } else {
            ("primary2", "primary1")
        };
        let leaving = cluster.node(leaves)?;
        let tell = |error: Unmet| crate::trial::Broken {
            evidence: format!("round {round}, {leaves} stopped: {}", error.sentence()),
            state: error.state,
        };
        leaving.stop().await?;
        let moved = failover::replicas_follow(cluster, stays).await;
        if let Err(unmet) = moved {
            trial.check(
                "replicas-move",
                "every replica follows the live primary",
                Err::<&str, _>(tell(unmet)),
            );
            return Ok(());
        }
        let seen_down = eventually(cluster, "the proxy leaves it out", DEADLINE, || {
            ready::links(cluster)
        });
        if let Err(unmet) = seen_down.await {
            trial.check(
                "proxy-leaves-out",
                "the proxy leaves out the stopped primary",
                Err::<&str, _>(tell(unmet)),
            );
            return Ok(());
        }
        write_mixed_data(
            &mut trial.proxy_client().await?,
            &format!("round{round}"),
            10,
        )
        .await?;

        let began = tokio::time::Instant::now();
        leaving.start().await?;
        let back = relink::reached(cluster, began).await;
        if let Err(unmet) = &back {
            trial.check(
                "resyncs",
                "the primary resyncs and every link is up again",
                Err::<&str, _>(tell(unmet.clone())),
            );
            return Ok(());
        }
        slowest = slowest.max(back.map_or(0.0, |time| time.as_secs_f64()));
        if let Err(unmet) = proxy_uses_all(cluster).await {
            trial.check(
                "proxy-uses-both",
                "the proxy uses the returned primary",
                Err::<&str, _>(tell(unmet)),
            );
            return Ok(());
        }
        if let Err(unmet) = agreement::reached(cluster).await {
            trial.check("agreement", agreement::PROMISE, Err::<&str, _>(tell(unmet)));
            return Ok(());
        }
    }
    let rounds = format!("{ROUNDS} rounds");
    for (check, promise) in [
        ("replicas-move", "every replica follows the live primary"),
        (
            "proxy-leaves-out",
            "the proxy leaves out the stopped primary",
        ),
        ("resyncs", "the primary resyncs and every link is up again"),
        ("proxy-uses-both", "the proxy uses the returned primary"),
    ] {
        trial.check(check, promise, Ok::<_, String>(&rounds));
    }
    agreement::check(trial, "agreement", (ROUNDS * DATA) as u64 * KEYS_PER_COUNT).await;
    trial.measure("slowest return", slowest, "s");
    trial.headline(format!("{rounds}, slowest return {slowest:.2} s"));
    Ok(())
}

/// New connections through the proxy reach every live primary.
async fn proxy_uses_all(cluster: &Cluster) -> Result<(), Unmet> {
    eventually(
        cluster,
        "connections through the proxy reach both primaries",
        DEADLINE,
        || async {
            let mut wanted = BTreeSet::new();
            for node in cluster.primaries() {
                let info = node.info().await.map_err(|error| error.to_string())?;
                wanted.insert(info.run_id().unwrap_or_default().to_owned());
            }
            let mut reached = BTreeSet::new();
            for _ in 0..2 * wanted.len() {
                let proxy = cluster.proxy().map_err(|error| error.to_string())?;
                let mut client = proxy.client().await.map_err(|error| error.to_string())?;
                let text: String = client
                    .query(cmd("INFO").arg("server"))
                    .await
                    .map_err(|error| error.to_string())?;
                reached.insert(Info::parse(&text).run_id().unwrap_or_default().to_owned());
            }
            if reached == wanted {
                Ok(())
            } else {
                Err(format!(
                    "{} of {} primaries reached",
                    reached.len(),
                    wanted.len()
                ))
            }
        },
    )
    .await
}
