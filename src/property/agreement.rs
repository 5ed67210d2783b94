//! All live nodes hold the same data.

use std::time::Duration;

use crate::cluster::dataset::{self, Comparison};
use crate::cluster::{Cluster, Node};
use crate::trial::Trial;
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

/// Records as `check` whether all live nodes come to hold the same data; then whether none holds
/// fewer than `at_least` keys (nodes that lost everything agree as well), and whether they come to
/// count the same number of keys with a TTL (an expiry that was invented shows there and nowhere
/// else). The names of these two are `data-kept` and `expires`, after the check's own name unless
/// that is `agreement`.
pub async fn check(trial: &Trial, check: &str, at_least: u64) -> bool {
    let name = |what: &str| match check {
        "agreement" => what.to_owned(),
        _ => format!("{check}-{what}"),
    };
    let agreed = reached(trial.cluster()).await;
    let keys = agreed
        .as_ref()
        .ok()
        .map(|comparison| comparison.keys.clone());
    let agrees = trial.check(check, PROMISE, agreed);
    if let Some(keys) = keys {
        let fewest = keys.values().min().copied().unwrap_or(0);
        let seen = format!("{fewest} keys of {at_least} that were written and not deleted");
        let kept = if fewest >= at_least {
            Ok(seen)
        } else {
            Err(seen)
        };
        trial.check(&name("data-kept"), "what was written is still there", kept);
        let promise = "all nodes count the same number of keys with a TTL";
        trial.check(
            &name("expires"),
            promise,
            expires_reached(trial.cluster()).await,
        );
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
