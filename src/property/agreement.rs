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

/// As [`DEADLINE`], for counts that follow the data by an expiry cycle.
const EXPIRES_DEADLINE: Duration = Duration::from_secs(10);

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

/// Records as `check` whether all live nodes come to hold the same data, and as `expires` whether
/// they also come to count the same number of keys with a TTL: an expiry that was invented shows
/// there and nowhere else.
pub async fn check(trial: &Trial, check: &str) -> bool {
    let agrees = trial.check(check, PROMISE, reached(trial.cluster()).await);
    if agrees {
        let promise = "all nodes count the same number of keys with a TTL";
        trial.check("expires", promise, expires_reached(trial.cluster()).await);
    }
    agrees
}

/// Waits until all live nodes count the same number of keys with a TTL in each database.
///
/// # Errors
/// They do not within the deadline: the counts of each node.
pub async fn expires_reached(cluster: &Cluster) -> Result<&'static str, Unmet> {
    let what = "all nodes count the same number of keys with a TTL";
    eventually(cluster, what, EXPIRES_DEADLINE, || async {
        let nodes: Vec<&Node> = cluster.live().collect();
        match dataset::compare(&nodes).await {
            Ok(comparison) if comparison.expires.is_empty() => Ok("`expires=` is equal"),
            Ok(comparison) => Err(comparison.expires.join("; ")),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
}
