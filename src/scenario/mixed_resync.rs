//! A primary takes in the data of a peer of another release, and passes it on to a replica of that
//! release; then the other way round.

use anyhow::{Context, Result};
use redis::cmd;

use super::Scenario;
use crate::cluster::holdings::{Holdings, TRAVEL};
use crate::cluster::info::MasterLink;
use crate::cluster::{ClientError, Cluster, Node, Order};
use crate::spec::KeydbSpec;
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};
use crate::workload::shapes;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "mixed-resync",
    title: "a primary resyncs in full with a peer of another release, which has a replica of it; then the peer",
    promise: "a full resync brings all that a primary of another release holds, to replicas as well",
    source: "KeyDB docs multi-master.md (merges), replication.md (replicas are exact copies); KEYDB.MVCCRESTORE since 6.0.18 (read in the source)",
    seconds: 8,
    variants: &["6.3.4", "6.3.0", "6.2.2", "6.0.18", "5.3.3"],
    long: &[],
    damage: &[],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// The run's own release, the other, and what follows the first.
const OWN: &str = "primary1";
const OTHER: &str = "primary2";
const REPLICA: &str = "replica1";

/// Group reads do not end on 5.3.3 (Q2), and members with a TTL have it at home only there (Q12).
const WITHOUT: &[&str] = &["XREADGROUP", "EXPIREMEMBER"];

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let other = || KeydbSpec::Version(variant.to_owned());
    Topology::active_active()
        .unlinked(false)
        .without_proxy()
        .replicas(1)
        .node_keydb(OTHER, other())
        .node_keydb(REPLICA, other())
        .build()
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (own, other) = (cluster.node(OWN)?, cluster.node(OTHER)?);
    let replica = cluster.node(REPLICA)?;
    write(other).await?;
    follow(cluster, own, other).await?;
    merged(trial, other, own, "").await?;
    merged(trial, own, replica, "").await?;
    write(own).await?;
    arrived(cluster, own, replica).await?;
    follow(cluster, other, own).await?;
    merged(trial, own, other, "").await?;
    merged(trial, own, replica, "again-").await
}

async fn write(node: &Node) -> Result<()> {
    let mut client = node.client().await?;
    shapes::write(&mut client, node.name(), WITHOUT).await?;
    Ok(())
}

/// Has a primary follow another, and waits until it has taken in all.
async fn follow(cluster: &Cluster, node: &Node, upstream: &Node) -> Result<()> {
    let at = cluster.known_at(node.name(), upstream.name());
    let mut command = cmd("REPLICAOF");
    command.arg(at.ip().to_string()).arg(at.port());
    let mut client = node.client().await?;
    client.query::<redis::Value>(&command).await?;
    let what = format!("{} is linked to {}", node.name(), upstream.name());
    eventually(cluster, &what, DEADLINE, || async {
        let info = node.glance().await.map_err(|error| error.to_string())?;
        let links = info.replication().masters;
        let up = |link: &MasterLink| link.link_up && !link.sync_in_progress;
        match links.iter().all(up) && !links.is_empty() && info.loading() == Some(false) {
            true => Ok(()),
            false => Err(format!("it follows {}", links.len())),
        }
    })
    .await?;
    Ok(())
}

/// Waits until what one node took last is on another, or will surely not come.
async fn arrived(cluster: &Cluster, from: &Node, to: &Node) -> Result<()> {
    let mark = format!("{}:mark", from.name());
    let mut client = from.client().await?;
    client.query::<()>(cmd("SET").arg(&mark).arg("x")).await?;
    let what = format!("the last write on {} is on {}", from.name(), to.name());
    eventually(cluster, &what, DEADLINE, || async {
        let said = |error: ClientError| error.to_string();
        let mut client = to.client().await.map_err(said)?;
        let seen: Option<String> = client.query(cmd("GET").arg(&mark)).await.map_err(said)?;
        seen.map(drop).ok_or_else(|| "it is not".to_owned())
    })
    .await
    .context("nothing goes on")?;
    Ok(())
}

/// Records whether `to` holds what `from` does.
async fn merged(trial: &Trial, from: &Node, to: &Node, again: &str) -> Result<()> {
    arrived(trial.cluster(), from, to).await?;
    let (held, holds) = (Holdings::of(from).await?, Holdings::of(to).await?);
    for (aspect, promise, seen) in held.kept(&holds, TRAVEL) {
        if matches!(aspect, "groups" | "member-ttls") {
            continue;
        }
        let check = format!("{again}{aspect}-on-{}", to.name());
        trial.check(&check, promise, seen);
    }
    Ok(())
}
