//! All live nodes hold the same data.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::cluster::dataset::{self, Comparison};
use crate::cluster::info::ServerRole;
use crate::cluster::{ClientError, Cluster, Node, Observation};
use crate::topology::PROXY;
use crate::trial::{Trial, judged};
use crate::verdict::Finding;
use crate::wait::{Unmet, eventually};

/// What is promised (KeyDB documentation, active-rep: both instances remain synced).
pub const PROMISE: &str = "all nodes hold the same data";

/// What the check is called where a trial makes it once, at its end.
pub const AT_THE_END: &str = "agreement";

/// What is promised of expiries besides.
const SAME_EXPIRES: &str = "all nodes count the same number of keys with a TTL";

/// How long nodes may take to agree once traffic has stopped and links are up. The slowest
/// propagation that was measured on a loaded machine is 36 ms, a full resync a few seconds; a
/// divergence is for ever.
const DEADLINE: Duration = Duration::from_secs(30);

/// As [`DEADLINE`], for counts that follow the data by an expiry cycle.
const EXPIRES_DEADLINE: Duration = Duration::from_secs(10);

/// For how many times a cluster's steady stretch nodes have to be at rest, and different, until
/// they are taken to differ for ever.
const AT_REST: u32 = 3;

/// Waits until all live nodes agree; no longer than until they are at rest and differ: what they
/// have heard of each other is all that there is to hear, and nothing changes any more.
///
/// # Errors
/// They do not within the deadline: the differing keys with each node's value.
pub async fn reached(cluster: &Cluster) -> Result<Comparison, Unmet> {
    reached_within(cluster, DEADLINE).await
}

/// As [`reached`], with a deadline of the caller's.
///
/// # Errors
/// As [`reached`].
pub async fn reached_within(cluster: &Cluster, deadline: Duration) -> Result<Comparison, Unmet> {
    let waited = settled(cluster, PROMISE, deadline, || async {
        let nodes: Vec<&Node> = cluster.live().collect();
        agreeing(dataset::glance(&nodes).await)
    });
    let unmet = match waited.await {
        Ok(comparison) => return Ok(comparison),
        Err(unmet) => unmet,
    };
    // Every key is read once, not at each look.
    let nodes: Vec<&Node> = cluster.live().collect();
    agreeing(dataset::compare(&nodes).await).map_err(|last| Unmet { last, ..unmet })
}

/// Waits until `look` shows what it is to show; no longer than until nodes are at rest and it shows
/// something else, the same for a while.
///
/// # Errors
/// It does not within the deadline, or never will: what it showed at last.
async fn settled<T, Look>(
    cluster: &Cluster,
    what: &str,
    deadline: Duration,
    look: impl Fn() -> Look,
) -> Result<T, Unmet>
where
    Look: Future<Output = Result<T, String>>,
{
    let began = Instant::now();
    let rest: Mutex<Option<(String, Instant)>> = Mutex::default();
    let waited = eventually(cluster, what, deadline, || async {
        let seen = match look().await {
            Ok(shown) => return Ok(Ok(shown)),
            Err(seen) => seen,
        };
        let resting = at_rest(&cluster.glance().await);
        let mut rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*rest {
            Some((before, since)) if resting && *before == seen => {
                if since.elapsed() >= cluster.pace().steady * AT_REST {
                    return Ok(Err(seen));
                }
            }
            _ => *rest = resting.then(|| (seen.clone(), Instant::now())),
        }
        Err(seen)
    });
    match waited.await? {
        Ok(shown) => Ok(shown),
        Err(last) => Err(Unmet {
            what: format!("{what} (links are up, and all that was sent has arrived)"),
            waited: began.elapsed(),
            last,
            state: cluster.observe().await.to_string(),
        }),
    }
}

/// Whether every live node's links are up, and it has heard all that their other ends have sent.
fn at_rest(seen: &Observation) -> bool {
    let mut shown = Vec::new();
    for node in seen.nodes.iter().filter(|node| node.should_answer) {
        match &node.info {
            Ok(info) => shown.push((node, info.replication())),
            Err(_) => return false,
        }
    }
    let sent = |upstream: &str, replid: &str| {
        let found = shown.iter().find(|(node, replication)| {
            node.name == upstream
                || upstream == PROXY && replication.replid == replid && {
                    // A replica of it shows the same id.
                    replication.role != ServerRole::Replica
                }
        });
        found.and_then(|(_, replication)| replication.master_repl_offset)
    };
    shown.iter().all(|(node, replication)| {
        let links = replication.masters.iter().zip(&node.upstreams);
        links.into_iter().all(|(link, upstream)| {
            link.link_up
                && !link.sync_in_progress
                && link.slave_repl_offset.is_some()
                && link.slave_repl_offset == sent(upstream, &replication.replid)
        })
    })
}

/// A comparison that shows agreement; else what it shows.
fn agreeing(compared: Result<Comparison, ClientError>) -> Result<Comparison, String> {
    match compared {
        Ok(comparison) if comparison.agrees() => Ok(comparison),
        Ok(comparison) => Err(comparison.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Records as `check` whether all live nodes come to hold the same data; then whether none holds
/// fewer than `at_least` keys (nodes that lost everything agree as well), and whether they come to
/// count the same number of keys with a TTL (an expiry that was invented shows there and nowhere
/// else). The names of these two are `data-kept` and `expires`, after the check's own name unless
/// that is [`AT_THE_END`].
pub async fn check(trial: &Trial, check: &str, at_least: u64) -> bool {
    let agreed = reached(trial.cluster()).await;
    let keys = agreed
        .as_ref()
        .ok()
        .map(|comparison| comparison.keys.clone());
    let agrees = trial.check(check, PROMISE, agreed);
    if let Some(keys) = keys {
        trial.found(data_kept(check, &keys, at_least));
        trial.check(
            &name_beside(check, "expires"),
            SAME_EXPIRES,
            expires_reached(trial.cluster()).await,
        );
    }
    agrees
}

/// The name of a check that is made together with the check called `check`.
fn name_beside(check: &str, what: &str) -> String {
    match check {
        AT_THE_END => what.to_owned(),
        _ => format!("{check}-{what}"),
    }
}

/// Whether no node holds fewer than `at_least` keys.
fn data_kept(check: &str, keys: &BTreeMap<String, u64>, at_least: u64) -> Finding {
    let fewest = keys.values().min().copied().unwrap_or(0);
    let seen = format!("{fewest} keys of {at_least} that were written and not deleted");
    let kept = if fewest >= at_least {
        Ok(seen)
    } else {
        Err(seen)
    };
    let promise = "what was written is still there";
    judged(&name_beside(check, "data-kept"), promise, kept)
}

/// Waits until all live nodes count the same number of keys with a TTL in each database; as with the
/// data, no longer than until they are at rest and do not.
///
/// # Errors
/// They do not within the deadline: the counts of each node.
pub async fn expires_reached(cluster: &Cluster) -> Result<&'static str, Unmet> {
    settled(cluster, SAME_EXPIRES, EXPIRES_DEADLINE, || async {
        let nodes: Vec<&Node> = cluster.live().collect();
        same_expires(dataset::expires(&nodes).await)
    })
    .await
}

fn same_expires(differ: Result<Vec<String>, ClientError>) -> Result<&'static str, String> {
    match differ {
        Ok(differ) if differ.is_empty() => Ok("`expires=` is equal"),
        Ok(differ) => Err(differ.join("; ")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
