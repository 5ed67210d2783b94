//! How nodes synchronised: full or partial, and how much went over the wire.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use tokio::time::Instant;

use super::relink;
use crate::cluster::Cluster;
use crate::cluster::info::Info;
use crate::trial::Trial;

/// What each live node has served so far, to tell afterwards what a restart cost.
#[derive(Debug, Clone)]
pub struct Before {
    served: BTreeMap<String, Served>,
    log_lengths: BTreeMap<String, usize>,
}

/// What a node has served to those that replicate it, since its start (`sync_full`,
/// `sync_partial_ok` in INFO stats).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Served {
    full: i64,
    partial: i64,
}

/// What was synchronised between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resyncs {
    /// Full resynchronisations, all nodes together.
    pub full: i64,
    /// Accepted partial ones.
    pub partial: i64,
    /// Bytes of RDB files and backlogs sent, as the logs have them.
    pub bytes: u64,
}

impl Resyncs {
    /// Records how many of each there were.
    pub fn measure(&self, trial: &Trial) {
        trial.measure("full resyncs", self.full as f64, "resyncs");
        trial.measure("partial resyncs", self.partial as f64, "resyncs");
    }
}

impl fmt::Display for Resyncs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} full and {} partial resyncs, {} bytes",
            self.full, self.partial, self.bytes
        )
    }
}

/// Takes note of what every live node has served, before a stopped one is started again: what that
/// one counts begins at zero.
///
/// # Errors
/// A node does not answer.
pub async fn before(cluster: &Cluster) -> Result<Before> {
    let mut before = Before {
        served: served(cluster).await?,
        log_lengths: BTreeMap::new(),
    };
    for node in cluster.nodes() {
        before
            .log_lengths
            .insert(node.name().to_owned(), node.log().await?.len());
    }
    Ok(before)
}

/// What was synchronised since `before`.
///
/// # Errors
/// A node does not answer.
pub async fn since(cluster: &Cluster, before: &Before) -> Result<Resyncs> {
    let served = served(cluster).await?;
    let mut logs = BTreeMap::new();
    for node in cluster.nodes() {
        logs.insert(node.name().to_owned(), node.log().await?);
    }
    Ok(before.until(&served, &logs))
}

/// Records as the check `resyncs` whether every link that was down is up again, with the time from
/// `began`; if so, what was synchronised since `before`, as numbers and for the summary. Gives back
/// whether links are up.
///
/// # Errors
/// A node does not answer.
pub async fn check(trial: &Trial, began: Instant, before: &Before) -> Result<bool> {
    let promise = "every link is up again";
    let up = relink::check(trial, "resyncs", promise, began).await;
    if up.is_none() {
        return Ok(false);
    }
    let resyncs = since(trial.cluster(), before).await?;
    resyncs.measure(trial);
    trial.headline(resyncs.to_string());
    Ok(true)
}

impl Before {
    /// What was synchronised until nodes had served this and their logs had grown to that.
    fn until(&self, served: &BTreeMap<String, Served>, logs: &BTreeMap<String, String>) -> Resyncs {
        let mut resyncs = Resyncs::default();
        for (name, now) in served {
            let then = self.served.get(name).copied().unwrap_or_default();
            resyncs.full += (now.full - then.full).max(0);
            resyncs.partial += (now.partial - then.partial).max(0);
        }
        for (name, log) in logs {
            let from = self.log_lengths.get(name).copied().unwrap_or(0);
            resyncs.bytes += bytes_in(log.get(from..).unwrap_or_default());
        }
        resyncs
    }
}

async fn served(cluster: &Cluster) -> Result<BTreeMap<String, Served>> {
    let mut served = BTreeMap::new();
    for node in cluster.live() {
        let info = node.info().await?;
        served.insert(node.name().to_owned(), Served::of(&info));
    }
    Ok(served)
}

impl Served {
    fn of(info: &Info) -> Self {
        let count = |field| info.stat(field).unwrap_or(0);
        Self {
            full: count("sync_full"),
            partial: count("sync_partial_ok"),
        }
    }
}

/// The bytes that a log says were received as an RDB or sent from a backlog.
fn bytes_in(log: &str) -> u64 {
    let number_after = |line: &str, before: &str| -> Option<u64> {
        let rest = line.split_once(before)?.1;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    log.lines()
        .filter_map(|line| {
            number_after(line, "sync: receiving ")
                .or_else(|| number_after(line, "accepted. Sending "))
        })
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;
