//! All live nodes hold the same data.

use std::time::Duration;

use crate::cluster::dataset::{self, Comparison};
use crate::cluster::{Cluster, Node};
use crate::scenario::Trial;
use crate::wait::{Unmet, eventually};

/// What is promised (KeyDB documentation, active-rep: both instances remain synced).
pub const PROMISE: &str = "all nodes hold the same data";

/// How long nodes may take to agree once traffic has stopped and links are up. The slowest
/// propagation that was measured on a loaded machine is 36 ms, a full resync a few seconds; a
/// divergence is for ever.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until all live nodes agree.
///
/// # Errors
/// They do not within the deadline: the differing keys with each node's value.
pub async fn reached(cluster: &Cluster) -> Result<Comparison, Unmet> {
    eventually(cluster, PROMISE, DEADLINE, || async {
        let nodes: Vec<&Node> = cluster.live().collect();
        match dataset::compare(&nodes).await {
            Ok(comparison) if comparison.agrees() => Ok(comparison),
            Ok(comparison) => Err(comparison.to_string()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
}

/// Records as `check` whether all live nodes come to agree.
pub async fn check(trial: &Trial, check: &str) -> bool {
    trial.check(check, PROMISE, reached(trial.cluster()).await)
}
