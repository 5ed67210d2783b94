//! A node has no memory left.

use anyhow::Result;
use async_trait::async_trait;

use super::Unavailable;
use super::node::{Blow, Seen, ask};
use crate::cluster::{Cluster, Node};
use crate::topology::Role;

/// `maxmemory 1` without eviction: every write that may need memory is refused, reads are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimit;

/// Never written: every write of it is refused, or it is removed again.
const KEY: &str = "keydb-harness:probe:memory";

#[async_trait]
impl Blow for MemoryLimit {
    fn verb(&self) -> String {
        "no memory on".to_owned()
    }

    fn colour(&self) -> &'static str {
        "#2980b9"
    }

    fn unavailable(&self, node: &Node) -> Option<String> {
        let replica = node.spec().role == Role::Replica;
        let why = || format!("{} takes no writes but its primary's", node.name());
        replica.then(why)
    }

    async fn strike(&self, _cluster: &Cluster, node: &Node) -> Result<()> {
        if node.glance().await?.get("keydb_harness_model").is_some() {
            let why = format!("{} is a model, which measures no memory", node.name());
            return Err(Unavailable(why).into());
        }
        for (name, value) in [("maxmemory-policy", "noeviction"), ("maxmemory", "1")] {
            ask::<()>(node, &["CONFIG", "SET", name, value]).await?;
        }
        Ok(())
    }

    /// A write is refused with OOM, a read is answered.
    async fn bites(&self, seen: &Seen<'_>) -> Result<String, String> {
        let (node, name) = (seen.node(), seen.node().name());
        let read = ask::<Option<String>>(node, &["GET", KEY]).await;
        read.map_err(|error| format!("{name} refuses a read: {error}"))?;
        match ask::<()>(node, &["SET", KEY, "1"]).await {
            Ok(()) => {
                let removed = ask::<()>(node, &["DEL", KEY]).await;
                removed.map_err(|error| error.to_string())?;
                Err(format!("{name} takes a write"))
            }
            Err(error) if error.is_refusal("OOM") => Ok(format!(
                "{name} answers a read and refuses a write: {error}"
            )),
            Err(error) => Err(format!("{name}: {error}")),
        }
    }

    async fn mend(&self, _cluster: &Cluster, node: &Node) -> Result<()> {
        Ok(ask(node, &["CONFIG", "SET", "maxmemory", "0"]).await?)
    }

    async fn gone(&self, seen: &Seen<'_>) -> Result<(), String> {
        let name = seen.node().name();
        let written = ask::<()>(seen.node(), &["SET", KEY, "1"]).await;
        written.map_err(|error| format!("{name} refuses a write: {error}"))?;
        let removed = ask::<()>(seen.node(), &["DEL", KEY]).await;
        removed.map_err(|error| error.to_string())
    }
}
