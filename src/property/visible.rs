//! A write is visible on every live node.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::{Cmd, Value};
use tokio::time::Instant;

use crate::cluster::{Client, ClientError, Cluster, Node};
use crate::wait::{DEADLINE, Unmet, eventually};

/// How long after a moment each node showed what was waited for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Latencies(pub BTreeMap<String, Duration>);

impl Latencies {
    /// The slowest node's.
    pub fn slowest(&self) -> Duration {
        self.0.values().max().copied().unwrap_or_default()
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (node, latency)) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{node} {:.1} ms", latency.as_secs_f64() * 1000.0)?;
        }
        Ok(())
    }
}

/// Waits until `read` gives `wanted` on every live node, each asked over a connection of its own
/// to `database` that was opened beforehand ([`readers`]). Latencies count from `since`.
///
/// # Errors
/// A node does not show it within the deadline; names the first such node and what it shows.
pub async fn everywhere(
    cluster: &Cluster,
    readers: &mut Readers,
    what: &str,
    read: &Cmd,
    wanted: &Value,
    since: Instant,
) -> Result<Latencies, Unmet> {
    let waits = readers.0.iter_mut().map(|(name, client)| async move {
        let what = format!("{what} on {name}");
        let client = &tokio::sync::Mutex::new(client);
        let latency = eventually(cluster, &what, DEADLINE, || async {
            let seen = client.lock().await.query(read).await;
            shows(seen, wanted).map(|()| since.elapsed())
        })
        .await?;
        Ok::<_, Unmet>((name.clone(), latency))
    });
    Ok(Latencies(try_join_all(waits).await?.into_iter().collect()))
}

/// Whether a node's reply is the one that is waited for; `Err` is what it replied instead.
fn shows(seen: Result<Value, ClientError>, wanted: &Value) -> Result<(), String> {
    match seen {
        Ok(seen) if &seen == wanted => Ok(()),
        Ok(seen) => Err(format!("{seen:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// A connection to each live node, in one database.
#[derive(Debug)]
pub struct Readers(Vec<(String, Client)>);

/// Opens a connection to each live node, in `database`.
///
/// # Errors
/// A node does not answer.
pub async fn readers(cluster: &Cluster, database: u32) -> anyhow::Result<Readers> {
    let nodes: Vec<&Node> = cluster.live().collect();
    let mut readers = Vec::new();
    for node in nodes {
        let mut client = node.client().await?;
        client.select(database).await?;
        readers.push((node.name().to_owned(), client));
    }
    Ok(Readers(readers))
}

/// A bulk string, as replies carry it.
pub fn bulk(bytes: impl AsRef<[u8]>) -> Value {
    Value::BulkString(bytes.as_ref().to_vec())
}

#[cfg(test)]
mod tests;
