//! What a short cut costs, by the size of the backlog.

use std::sync::Arc;

use anyhow::Result;
use tokio::time::Instant;

use super::super::PARTED;
use super::Configuration;
use crate::fault::{Cut, Together};
use crate::property::{agreement, resync};
use crate::topology::Topology;
use crate::trial::Trial;
use crate::workload::write_bulk;

pub(super) const COVERS: Configuration = Configuration {
    name: "backlog-covers",
    topology: || {
        let pair = Topology::active_active().without_proxy().relayed();
        pair.option("repl-backlog-size", "1mb").build()
    },
    run: |trial| Box::pin(covers(trial)),
};

pub(super) const EXCEEDED: Configuration = Configuration {
    name: "backlog-exceeded",
    topology: || {
        let pair = Topology::active_active().without_proxy().relayed();
        pair.option("repl-backlog-size", "16kb").build()
    },
    run: |trial| Box::pin(exceeded(trial)),
};

/// Written on each side while the link is cut.
const KEYS: usize = 20;

async fn covers(trial: &Trial) -> Result<()> {
    let Some(resyncs) = cut(trial, false).await? else {
        return Ok(());
    };
    let seen = resyncs.to_string();
    trial.check(
        "only-what-was-missed",
        "after a short cut each primary gets what it missed, by a partial resync",
        match resyncs.full == 0 && resyncs.partial > 0 {
            true => Ok(seen),
            false => Err(seen),
        },
    );
    Ok(())
}

async fn exceeded(trial: &Trial) -> Result<()> {
    let Some(resyncs) = cut(trial, true).await? else {
        return Ok(());
    };
    let seen = resyncs.to_string();
    trial.check(
        "too-much-is-told",
        "who missed more than the backlog holds is given everything, by a full resync",
        match resyncs.full > 0 {
            true => Ok(seen),
            false => Err(seen),
        },
    );
    Ok(())
}

/// Cuts the primaries apart, writes on both, joins them, and waits until they agree.
async fn cut(trial: &Trial, bulk: bool) -> Result<Option<resync::Resyncs>> {
    let cluster = trial.cluster();
    let nodes = [cluster.node("primary1")?, cluster.node("primary2")?];
    let before = resync::before(cluster).await?;
    let cut = Arc::new(Together::between("primary1", "primary2", || Cut));
    let Some(cut) = trial.inflict(cut, PARTED).await else {
        return Ok(None);
    };
    for node in nodes {
        let mut client = node.client().await?;
        for n in 0..KEYS {
            let mut write = redis::cmd("SET");
            write.arg(format!("{}:{n}", node.name())).arg("x");
            client.query::<()>(&write).await?;
        }
        if bulk {
            write_bulk(&mut client, node.name()).await?;
        }
    }
    let began = Instant::now();
    trial.heal(cut).await?;
    if !resync::check(trial, began, &before).await? {
        return Ok(None);
    }
    // What INFO counts as expiring after a full resync (E1) is looked at elsewhere.
    let agreed = agreement::reached(cluster).await;
    trial.check("agreement", agreement::PROMISE, agreed.map(|_| "equal"));
    Ok(Some(resync::since(cluster, &before).await?))
}
