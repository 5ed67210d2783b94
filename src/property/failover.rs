//! Losing a primary: every replica moves to a live one.

use std::collections::BTreeMap;

use super::replids;
use crate::cluster::{Cluster, Observation};
use crate::topology::Role;
use crate::wait::{DEADLINE, Unmet, eventually};

/// Waits until every replica shows the current replid of the primary `survivor` and its link is
/// up.
///
/// # Errors
/// They do not within the deadline.
pub async fn replicas_follow(cluster: &Cluster, survivor: &str) -> Result<String, Unmet> {
    let what = format!("every replica follows {survivor}");
    let roles = cluster.roles();
    let roles = &roles;
    eventually(cluster, &what, DEADLINE, || async move {
        all_follow(&cluster.glance().await, roles, survivor)
    })
    .await
}

/// Whether every replica shows the replid of `survivor`; `Err` says whom they follow instead.
fn all_follow(
    observation: &Observation,
    roles: &BTreeMap<String, Role>,
    survivor: &str,
) -> Result<String, String> {
    let groups = replids::groups(observation, roles)?;
    match groups.keys().collect::<Vec<_>>()[..] {
        [only] if only == survivor => Ok(replids::described(&groups)),
        _ => Err(replids::described(&groups)),
    }
}

#[cfg(test)]
mod tests;
