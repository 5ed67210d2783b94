//! After a server returned: every link that can be up is, and stays up.

use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::{Cluster, ready};
use crate::trial::Trial;
use crate::wait::{DEADLINE, Unmet, eventually, steadily};

/// Waits until every link is up and has stayed up; gives the time from `since` until all were up
/// first.
///
/// # Errors
/// They do not come up, or do not stay up, within the deadline.
pub async fn reached(cluster: &Cluster, since: Instant) -> Result<Duration, Unmet> {
    eventually(cluster, "every link is up", DEADLINE, || {
        ready::links(cluster)
    })
    .await?;
    let first_up = since.elapsed();
    steadily(
        cluster,
        "every link stays up",
        cluster.pace().steady,
        DEADLINE,
        || ready::links(cluster),
    )
    .await?;
    Ok(first_up)
}

/// Records as `check` whether [`reached`] is, and as a number how long it took.
pub async fn check(trial: &Trial, check: &str, promise: &str, since: Instant) -> Option<Duration> {
    let seen = reached(trial.cluster(), since).await;
    let first_up = seen.as_ref().ok().copied();
    let told = seen.map(|time| format!("all links up {:.2} s after the start", time.as_secs_f64()));
    trial.check(check, promise, told);
    if let Some(time) = first_up {
        trial.measure(
            format!("{check}: links up after the start"),
            time.as_secs_f64(),
            "s",
        );
    }
    first_up
}
