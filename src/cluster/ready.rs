//! When a cluster is ready: never by a log line, never by PING alone.
//!
//! KeyDB logs no line that means readiness without TLS, and answers PING while it loads (measured
//! on 6.0.18 and later). Ready means: every node answers and loads nothing; every primary's links
//! to its live peers are up, in both directions since each peer is asked; the proxy sees the live
//! primaries; every replica's link is up; a write on each primary is readable on every node.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;

use super::{ClientError, Cluster, Node, Timeouts};
use crate::topology::{Persistence, Role, Upstream};

/// Every live node links up as the topology says. `Err` says what is missing.
///
/// # Errors
/// The first thing that is not as it should be, with the node's name.
pub async fn links(cluster: &Cluster) -> Result<(), String> {
    primaries(cluster).await?;
    let replicas: Vec<&Node> = cluster
        .live()
        .filter(|node| node.spec().role == Role::Replica)
        .collect();
    try_join_all(replicas.iter().map(|node| linked(cluster, node))).await?;
    Ok(())
}

/// As [`links`], for the primaries and the proxy only.
///
/// # Errors
/// The first thing that is not as it should be, with the node's name.
pub async fn primaries(cluster: &Cluster) -> Result<(), String> {
    let live: Vec<&Node> = cluster
        .live()
        .filter(|node| node.spec().role == Role::Primary)
        .collect();
    try_join_all(live.iter().map(|node| linked(cluster, node))).await?;
    proxy_sees(cluster).await
}

/// One node: answers, loads nothing, has every link that it can have.
///
/// # Errors
/// The first thing that is not as it should be, with the node's name.
pub async fn linked(cluster: &Cluster, node: &Node) -> Result<(), String> {
    let name = node.name();
    let info = node
        .glance()
        .await
        .map_err(|error| format!("{name}: {error}"))?;
    if info.loading() != Some(false) {
        return Err(format!("{name} is loading"));
    }
    let replication = info.replication();
    if replication.masters.len() != node.spec().follows.len() {
        return Err(format!(
            "{name} follows {} servers, not {}",
            replication.masters.len(),
            node.spec().follows.len()
        ));
    }
    for master in &replication.masters {
        let upstream = cluster.server_at(&master.host, master.port);
        let reachable = upstream.is_none_or(|upstream| {
            cluster
                .nodes()
                .iter()
                .all(|node| node.name() != upstream || node.should_answer())
        });
        let upstream = upstream.unwrap_or(&master.host);
        if !reachable {
            continue;
        }
        if !master.link_up {
            return Err(format!("{name}'s link to {upstream} is down"));
        }
        if master.sync_in_progress {
            return Err(format!("{name} is syncing from {upstream}"));
        }
    }
    Ok(())
}

/// One node answers a read of its own, whether or not its links are up.
///
/// # Errors
/// It does not answer, or refuses: it is still loading, say.
pub async fn serves(node: &Node) -> Result<(), String> {
    let said = |error: ClientError| error.to_string();
    let mut client = node.client_with(Timeouts::GLANCE).await.map_err(said)?;
    let read = redis::cmd("GET").arg("keydb-harness:serves").to_owned();
    let read = client.query::<Option<String>>(&read).await;
    read.map(drop).map_err(said)
}

/// Every live node that keeps an append-only file writes to it. After a full resync it does so only
/// once the file was rewritten; told to stop before, it ends cleanly without what it has
/// acknowledged since (measured on 6.2.2: H5).
///
/// # Errors
/// The first node whose file is not in effect.
pub async fn append_only_files(cluster: &Cluster) -> Result<(), String> {
    for node in cluster.live() {
        if node.spec().persistence != Persistence::Aof {
            continue;
        }
        let name = node.name();
        let info = node
            .glance()
            .await
            .map_err(|error| format!("{name}: {error}"))?;
        for pending in ["aof_rewrite_in_progress", "aof_rewrite_scheduled"] {
            if info.stat(pending).is_some_and(|value| value != 0) {
                return Err(format!("{name} shows {pending}"));
            }
        }
    }
    Ok(())
}

/// HAProxy's view of the primaries is the truth: live ones up, others not.
async fn proxy_sees(cluster: &Cluster) -> Result<(), String> {
    let Ok(proxy) = cluster.proxy() else {
        return Ok(());
    };
    let up: BTreeSet<String> = proxy
        .backend_stats()
        .await?
        .into_iter()
        .filter(|stat| stat.is_up())
        .map(|stat| stat.server)
        .collect();
    let live: BTreeSet<String> = cluster
        .live()
        .map(|node| node.name().to_owned())
        .filter(|name| proxy.backends().contains(name))
        .collect();
    if up == live {
        return Ok(());
    }
    let list = |set: &BTreeSet<String>| {
        if set.is_empty() {
            "none".to_owned()
        } else {
            set.iter().cloned().collect::<Vec<_>>().join(", ")
        }
    };
    Err(format!(
        "the proxy sees up: {}; alive: {}",
        list(&up),
        list(&live)
    ))
}

/// A write on each live primary is readable on every live node it can reach; the keys are removed
/// again, everywhere.
///
/// # Errors
/// The first node on which a probe is not as it should be.
pub async fn probe(cluster: &Cluster) -> Result<(), String> {
    let key = |writer: &Node| format!("keydb-harness:probe:{}", writer.name());
    let writers: Vec<&Node> = cluster
        .live()
        .filter(|node| node.spec().role == Role::Primary)
        .collect();
    for writer in &writers {
        let mut client = writer
            .client()
            .await
            .map_err(|error| format!("{}: {error}", writer.name()))?;
        client
            .query::<()>(redis::cmd("SET").arg(key(writer)).arg("1"))
            .await
            .map_err(|error| format!("{} refuses a probe write: {error}", writer.name()))?;
    }
    let mut missing = Vec::new();
    for writer in &writers {
        missing.extend(await_value(cluster, writer, &key(writer), true).await);
    }
    for writer in &writers {
        let mut client = writer
            .client()
            .await
            .map_err(|error| format!("{}: {error}", writer.name()))?;
        client
            .query::<()>(redis::cmd("DEL").arg(key(writer)))
            .await
            .map_err(|error| format!("{} refuses to delete a probe: {error}", writer.name()))?;
        missing.extend(await_value(cluster, writer, &key(writer), false).await);
    }
    missing.into_iter().next().map_or(Ok(()), Err)
}

/// How often, and at what distance, a probe is looked for before the whole predicate is tried anew.
const LOOKS: u32 = 40;
const BETWEEN_LOOKS: std::time::Duration = std::time::Duration::from_millis(5);

async fn await_value(cluster: &Cluster, writer: &Node, key: &str, present: bool) -> Option<String> {
    for node in cluster.live().filter(|node| hears(cluster, node, writer)) {
        let mut seen = Err("not asked".to_owned());
        let client = node.client().await;
        let Ok(mut client) = client else {
            return Some(format!("{} does not answer", node.name()));
        };
        for _ in 0..LOOKS {
            let reply: Result<bool, _> = client.query(redis::cmd("EXISTS").arg(key)).await;
            seen = reply.map_err(|error| error.to_string());
            if seen == Ok(present) {
                break;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        match seen {
            Ok(exists) if exists == present => {}
            Ok(_) if present => {
                return Some(format!(
                    "{}'s probe write is not on {}",
                    writer.name(),
                    node.name()
                ));
            }
            Ok(_) => {
                return Some(format!(
                    "{}'s probe is still on {}",
                    writer.name(),
                    node.name()
                ));
            }
            Err(error) => return Some(format!("{}: {error}", node.name())),
        }
    }
    None
}

/// Whether a write on `writer` can reach `node`: not past a ring's gap, say.
fn hears(cluster: &Cluster, node: &Node, writer: &Node) -> bool {
    let mut reached = vec![node.name()];
    let mut next = 0;
    while let Some(name) = reached.get(next).copied() {
        next += 1;
        let Ok(listener) = cluster.node(name) else {
            continue;
        };
        if !listener.should_answer() {
            continue;
        }
        if name == writer.name() {
            return true;
        }
        for upstream in &listener.spec().follows {
            let names: Vec<&str> = match upstream {
                Upstream::Node(name) => vec![name.as_str()],
                Upstream::Proxy => cluster
                    .proxy()
                    .map(|proxy| proxy.backends().iter().map(String::as_str).collect())
                    .unwrap_or_default(),
            };
            for name in names {
                if !reached.contains(&name) {
                    reached.push(name);
                }
            }
        }
    }
    false
}
