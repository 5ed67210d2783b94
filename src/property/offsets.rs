//! A replica's place in its primary's stream, as INFO shows it, keeps up with the primary's.

use crate::cluster::Cluster;
use crate::cluster::observe::Observation;
use crate::topology::Role;
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};

/// What is promised (KeyDB documentation, replication: a replica keeps the offset of what it
/// processed of its master's stream).
pub const PROMISE: &str = "the offset that a replica shows reaches that of its primary";

/// Records as `check` whether every live replica comes to show the offset that its primary had at
/// the beginning. Links must be up.
pub async fn check(trial: &Trial, check: &str) -> bool {
    trial.check(check, PROMISE, reached(trial.cluster()).await)
}

async fn reached(cluster: &Cluster) -> Result<String, crate::wait::Unmet> {
    let began = cluster.glance().await;
    eventually(cluster, PROMISE, DEADLINE, || async {
        let roles = cluster.roles();
        let is_replica = |name: &str| roles.get(name) == Some(&Role::Replica);
        compared(&began, &cluster.glance().await, is_replica)
    })
    .await
}

/// Compares what replicas show now with what the primary of the same replication id showed before.
fn compared(
    before: &Observation,
    now: &Observation,
    is_replica: impl Fn(&str) -> bool,
) -> Result<String, String> {
    let answering = |seen: &'_ Observation| {
        let nodes = seen.nodes.iter().filter(|node| node.should_answer);
        nodes
            .filter_map(|node| Some((node.name.clone(), node.info.as_ref().ok()?.replication())))
            .collect::<Vec<_>>()
    };
    let primaries: Vec<_> = answering(before)
        .into_iter()
        .filter(|(name, _)| !is_replica(name))
        .collect();
    let mut count = 0;
    for (name, shown) in answering(now)
        .into_iter()
        .filter(|(name, _)| is_replica(name))
    {
        let primary = primaries
            .iter()
            .find(|(_, primary)| primary.replid == shown.replid)
            .ok_or_else(|| format!("{name} follows no primary"))?;
        let wanted = primary.1.master_repl_offset.unwrap_or_default();
        let offset = shown
            .masters
            .first()
            .and_then(|master| master.slave_repl_offset)
            .ok_or_else(|| format!("{name} shows no offset"))?;
        if offset < wanted {
            return Err(format!("{name} is at {offset}, {} at {wanted}", primary.0));
        }
        count += 1;
    }
    Ok(format!("{count} replicas"))
}
