//! What servers hold on to once a scenario is over: temporary files, descriptors, memory.
//!
//! Upstream users report all three growing until a server dies; a run that ends well shows a leak
//! only here.

use crate::cluster::Node;
use crate::cluster::info::Info;
use crate::testbed::Status;
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};

/// How many descriptors a server has besides its connections: listeners, event loops, pipes, its
/// log and its files. Measured: below 60 on each of the five versions.
const OF_ITS_OWN: u64 = 160;
/// What temporary files are called: of a save, of a rewrite, of a snapshot that is received.
const TEMPORARY: &str = "temp-";

/// Records whether temporary files are left, and whether descriptors are; measures both, and memory.
/// What a testbed cannot tell is left out. A server that was killed, or ended by itself,
/// may leave files: nobody promises that it does not.
pub(super) async fn check(trial: &Trial) {
    let cluster = trial.cluster();
    let mut told: Vec<&Node> = Vec::new();
    for node in cluster.live().filter(|node| !node.was_killed()) {
        if matches!(node.status().await, Ok(Status::Running)) {
            told.push(node);
        }
    }
    let mut looked_at = 0;
    let mut kept = Vec::new();
    for node in &told {
        if node.server().data_files().await.is_err() {
            continue;
        }
        looked_at += 1;
        let what = format!("temporary files of {} are gone", node.name());
        // A save that goes on now has one.
        let gone = eventually(cluster, &what, DEADLINE, || async {
            match node.server().data_files().await {
                Ok(files) => none_is_temporary(&files),
                Err(error) => Err(error.to_string()),
            }
        });
        if let Err(unmet) = gone.await {
            kept.push(format!("{}: {}", node.name(), unmet.last));
        }
    }
    if looked_at > 0 {
        let seen = match kept.is_empty() {
            true => Ok(format!("{looked_at} data directories")),
            false => Err(kept.join("; ")),
        };
        let promise = "no temporary file is left once saves and resyncs are over";
        trial.check("temp-files", promise, seen);
    }
    let mut counts = Vec::new();
    for node in cluster.live() {
        let Ok(info) = node.glance().await else {
            continue;
        };
        if let Some(bytes) = info.stat("used_memory") {
            #[allow(clippy::cast_precision_loss)]
            trial.measure(format!("memory-{}", node.name()), bytes as f64, "bytes");
        }
        if let Ok(count) = node.server().descriptors().await {
            counts.push((node.name(), count, connections(&info)));
        }
    }
    if let Some(seen) = descriptors(&counts) {
        let promise = "a server has a descriptor for each connection, and few besides";
        trial.check("descriptors", promise, seen);
    }
}

fn none_is_temporary(files: &[String]) -> Result<(), String> {
    let temporary = files.iter().filter(|file| file.starts_with(TEMPORARY));
    let temporary: Vec<_> = temporary.map(String::as_str).collect();
    match temporary.is_empty() {
        true => Ok(()),
        false => Err(temporary.join(", ")),
    }
}

/// The connections that a server says it has: of clients, of those that follow it, and its own.
fn connections(info: &Info) -> u64 {
    let replication = info.replication();
    let clients = info.stat("connected_clients").unwrap_or_default();
    let links = replication.slaves.len() + replication.masters.len();
    u64::try_from(clients).unwrap_or_default() + links as u64
}

/// What the descriptors and connections of servers say; none if no testbed tells.
fn descriptors(counts: &[(&str, u64, u64)]) -> Option<Result<String, String>> {
    let most = counts.iter().map(|(_, count, _)| count).max()?;
    let leaking = counts
        .iter()
        .filter(|(_, count, connections)| *count > connections + OF_ITS_OWN);
    let leaking: Vec<String> = leaking
        .map(|(name, count, connections)| {
            format!("{name} has {count} descriptors and {connections} connections")
        })
        .collect();
    Some(match leaking.is_empty() {
        true => Ok(format!("at most {most} on {} servers", counts.len())),
        false => Err(leaking.join("; ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_files_are_named() {
        let files = [
            "appendonly.aof",
            "dump.rdb",
            "temp-17.rdb",
            "temp-rewriteaof-3.aof",
        ];
        let files = files.map(str::to_owned);
        assert_eq!(none_is_temporary(&files[..2]), Ok(()));
        let told = none_is_temporary(&files);
        assert_eq!(told, Err("temp-17.rdb, temp-rewriteaof-3.aof".to_owned()));
    }

    #[test]
    fn many_descriptors_are_many_beyond_the_connections() {
        assert_eq!(descriptors(&[]), None);
        let fine = [("a", 170, 10), ("b", 40, 3)];
        let most = "at most 170 on 2 servers".to_owned();
        assert_eq!(descriptors(&fine), Some(Ok(most)));
        let leak = [("a", 171, 10), ("b", 40, 3)];
        let told = "a has 171 descriptors and 10 connections".to_owned();
        assert_eq!(descriptors(&leak), Some(Err(told)));
    }
}
