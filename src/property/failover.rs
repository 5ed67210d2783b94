//! Losing a primary: every replica moves to a live one.

use super::replids;
use crate::cluster::Cluster;
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
        let groups = replids::groups(&cluster.glance().await, roles)?;
        match groups.keys().collect::<Vec<_>>()[..] {
            [only] if only == survivor => Ok(replids::described(&groups)),
            _ => Err(replids::described(&groups)),
        }
    })
    .await
}
