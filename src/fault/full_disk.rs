//! A node cannot write to its disk.

use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use async_trait::async_trait;

use super::Unavailable;
use super::node::{Blow, Seen, ask};
use crate::cluster::{Cluster, Node};
use crate::wait::{DEADLINE, eventually};

/// Where nobody can make a file, not even root.
const NOWHERE: &str = "/proc";

const KEY: &str = "keydb-harness:probe:disk";

/// Its data directory becomes one in which no file can be made: every save fails, those for the
/// full resync of a follower too. An append-only file that is open stays so.
///
/// A server that follows nobody then refuses writes with `MISCONF`, and so `PING`. An active-active
/// primary that has a `replicaof` goes on taking them (measured on 6.3.4), whatever
/// `stop-writes-on-bgsave-error` says; the bite tells which of the two was seen.
#[derive(Debug, Default)]
pub struct FullDisk {
    /// `dir` and `save` as they were.
    before: Mutex<Option<[String; 2]>>,
}

impl FullDisk {
    async fn config(node: &Node, name: &str) -> Result<String> {
        let (_, value): (String, String) = ask(node, &["CONFIG", "GET", name]).await?;
        Ok(value)
    }
}

/// Has it save; it may be saving for a follower just now.
async fn bgsave(cluster: &Cluster, node: &Node) -> Result<()> {
    let what = format!("{} begins to save", node.name());
    let begun = eventually(cluster, &what, DEADLINE, || async {
        let begun = ask::<()>(node, &["BGSAVE"]).await;
        begun.map_err(|error| error.to_string())
    });
    Ok(begun.await?)
}

/// The end of its last save.
async fn last_save(node: &Node) -> Result<String, String> {
    let info = node.glance().await.map_err(|error| error.to_string())?;
    if info.stat("rdb_bgsave_in_progress") != Some(0) {
        return Err(format!("{} is saving", node.name()));
    }
    Ok(info
        .get("rdb_last_bgsave_status")
        .unwrap_or_default()
        .to_owned())
}

#[async_trait]
impl Blow for FullDisk {
    fn verb(&self) -> String {
        "full disk on".to_owned()
    }

    fn colour(&self) -> &'static str {
        "#6e2c00"
    }

    async fn strike(&self, cluster: &Cluster, node: &Node) -> Result<()> {
        let name = node.name();
        if node.glance().await?.get("keydb_harness_model").is_some() {
            let why = format!("{name} is a model, whose data directory stays where it is");
            return Err(Unavailable(why).into());
        }
        let before = [
            Self::config(node, "dir").await?,
            Self::config(node, "save").await?,
        ];
        if let Err(error) = ask::<()>(node, &["CONFIG", "SET", "dir", NOWHERE]).await {
            let why = format!("{name} cannot be sent to {NOWHERE}: {error}");
            return Err(Unavailable(why).into());
        }
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        // Only a server that is to save minds that it cannot.
        ask::<()>(node, &["CONFIG", "SET", "save", "900 1"]).await?;
        bgsave(cluster, node).await
    }

    async fn bites(&self, seen: &Seen<'_>) -> Result<String, String> {
        let (node, name) = (seen.node(), seen.node().name());
        let status = last_save(node).await?;
        if status != "err" {
            return Err(format!("{name} shows rdb_last_bgsave_status:{status}"));
        }
        let read = ask::<Option<String>>(node, &["GET", KEY]).await;
        read.map_err(|error| format!("{name} refuses a read: {error}"))?;
        let writes = match ask::<()>(node, &["SET", KEY, "1"]).await {
            Ok(()) => {
                let removed = ask::<()>(node, &["DEL", KEY]).await;
                removed.map_err(|error| error.to_string())?;
                "takes writes all the same"
            }
            Err(error) if error.is_refusal("MISCONF") => "refuses writes with MISCONF",
            Err(error) if error.is_refusal("READONLY") => "is read-only",
            Err(error) => return Err(format!("{name}: {error}")),
        };
        Ok(format!(
            "{name} shows rdb_last_bgsave_status:err, answers reads and {writes}"
        ))
    }

    async fn mend(&self, cluster: &Cluster, node: &Node) -> Result<()> {
        let before = self
            .before
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some([dir, save]) = before else {
            return Ok(());
        };
        ask::<()>(node, &["CONFIG", "SET", "dir", &dir]).await?;
        ask::<()>(node, &["CONFIG", "SET", "save", &save]).await?;
        bgsave(cluster, node).await
    }

    async fn gone(&self, seen: &Seen<'_>) -> Result<(), String> {
        let status = last_save(seen.node()).await?;
        match status.as_str() {
            "ok" => Ok(()),
            status => Err(format!(
                "{} shows rdb_last_bgsave_status:{status}",
                seen.node().name()
            )),
        }
    }
}
