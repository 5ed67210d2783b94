//! Guide, step 4: primary1 is lost under traffic; the replicas move to primary2.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use rand::RngExt;
use tokio::time::Instant;

use super::{Scenario, reference};
use crate::cluster::{Cluster, Node, Order};
use crate::history::WriteLog;
use crate::model::Class;
use crate::property::survival::{Allowance, losses};
use crate::property::{agreement, failover, relink};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};
use crate::workload::WriteStream;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "primary-lost",
    title: "primary1 is lost under traffic",
    promise: "the replicas all follow primary2, link up, and the proxy goes on taking writes",
    source: "guide, Testing (all the replicas will switch to the same primary); KeyDB docs active-rep.md, haproxy.md",
    seconds: 8,
    variants: &["sigterm", "sigkill", "pause"],
    long: &[],
    damage: &[
        Class::Performance,
        Class::LostWrite,
        Class::StuckLink,
        Class::Crash,
    ],
    needs: &[],
    order: Order::Staged,
    topology: reference,
    run: |trial| Box::pin(run(trial)),
};

const CLIENTS: usize = 4;
/// Below this rate of acknowledged writes before the fault the run says nothing.
const MINIMUM_RATE: f64 = 50.0;
/// How many writes are acknowledged before the fault, and again after the replicas have moved.
const ENOUGH_WRITES: usize = 200;

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let primary1 = cluster.node("primary1")?;
    let stream = WriteStream::start(cluster, "stream", CLIENTS).await?;
    let promise = "there is traffic when the primary is lost";
    // The moment of the loss is drawn, so that runs with other seeds meet other moments.
    let before = ENOUGH_WRITES + trial.rng().random_range(0..ENOUGH_WRITES);
    if let Err(unmet) = more_writes(cluster, &stream, before).await {
        trial.inconclusive("traffic", promise, unmet.sentence());
        return Ok(());
    }

    let lost_at = stream.now();
    match trial.variant() {
        "sigterm" => primary1.stop().await?,
        "sigkill" => primary1.kill().await?,
        _ => primary1.pause().await?,
    }
    let gone_at = stream.now();
    let moved = failover::replicas_follow(cluster, "primary2").await;
    let moved_at = stream.now();
    let moved = trial.check(
        "replicas-move",
        "every replica follows the live primary2",
        moved,
    );
    let more = more_writes(cluster, &stream, ENOUGH_WRITES).await;
    trial.check(
        "proxy-takes-writes",
        "the proxy goes on taking writes",
        more.map(|()| format!("{ENOUGH_WRITES} more writes acknowledged")),
    );
    let prefix = stream.prefix().to_owned();
    let history = stream.stop().await;

    let rate = history.rate(Duration::ZERO, lost_at);
    if rate < MINIMUM_RATE {
        trial.inconclusive(
            "traffic",
            promise,
            format!("{rate:.0} writes/s acknowledged before, fewer than {MINIMUM_RATE}"),
        );
    }
    let gap = history.longest_gap(lost_at, history.length);
    let client_gap = history.longest_client_gap(lost_at, history.length);
    let (errors, first_error) = history.errors();
    trial.measure("rate before the loss", rate, "writes/s");
    trial.measure(
        "longest gap without an acknowledged write",
        gap.as_secs_f64(),
        "s",
    );
    trial.measure("longest gap of one client", client_gap.as_secs_f64(), "s");
    trial.measure("writes not acknowledged", errors as f64, "writes");
    if moved {
        let convergence = moved_at.saturating_sub(lost_at).as_secs_f64();
        trial.measure("replicas moved after", convergence, "s");
        trial.headline(format!("replicas moved after {convergence:.2} s"));
    }
    trial.headline(format!(
        "longest write gap {:.2} s (of one client {:.2} s)",
        gap.as_secs_f64(),
        client_gap.as_secs_f64()
    ));
    if let Some(error) = first_error {
        trial.headline(format!("{errors} writes failed ({error})"));
    }

    let allowance = match trial.variant() {
        "pause" => {
            primary1.resume().await?;
            let promise = "the paused primary links up again";
            relink::check(trial, "resumes", promise, Instant::now()).await;
            Allowance::Nothing
        }
        // It kept nothing on disk and stays away: what it had not yet passed on is gone.
        _ => Allowance::LostWith {
            from: lost_at,
            to: gone_at,
        },
    };
    // Survival looks for each key; here every client has written one at least.
    agreement::check(trial, "agreement", CLIENTS as u64).await;
    survival(trial, &history, &prefix, allowance).await
}

async fn more_writes(
    cluster: &Cluster,
    stream: &WriteStream,
    number: usize,
) -> Result<(), crate::wait::Unmet> {
    let wanted = stream.acknowledged() + number;
    let what = format!("{number} more writes are acknowledged through the proxy");
    eventually(cluster, &what, DEADLINE, || async {
        let now = stream.acknowledged();
        if now >= wanted {
            Ok(())
        } else {
            Err(format!("{} missing", wanted - now))
        }
    })
    .await
}

async fn survival(
    trial: &Trial,
    history: &WriteLog,
    prefix: &str,
    allowance: Allowance,
) -> Result<()> {
    let mut present = BTreeMap::new();
    for node in trial.cluster().live().collect::<Vec<&Node>>() {
        present.insert(
            node.name().to_owned(),
            WriteStream::keys_on(node, prefix).await?,
        );
    }
    let losses = losses(history, &present, &[allowance]);
    trial.measure("acknowledged writes", losses.acknowledged as f64, "writes");
    trial.measure(
        "acknowledged writes lost, allowed",
        losses.allowed.len() as f64,
        "writes",
    );
    trial.measure(
        "acknowledged writes lost, forbidden",
        losses.forbidden.len() as f64,
        "writes",
    );
    let verdict = losses.verdict();
    trial.headline(match &verdict {
        Ok(text) | Err(text) => text.clone(),
    });
    trial.check("survival", "acknowledged writes survive", verdict);
    Ok(())
}
